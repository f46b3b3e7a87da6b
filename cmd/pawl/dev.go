package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
	"github.com/pawlauth/pawl/migrations"
)

const (
	demoUser     = "demo@example.com"
	demoAdmin    = "admin@example.com"
	demoPassword = "correct horse battery staple"

	followDev = 2 * time.Second
)

type devCmd struct {
	serverFlags `embed:""`
	DataDir     string `env:"PAWL_DATA_DIR" default:"./.pawl" placeholder:"DIR" help:"Where users, sessions and keys are kept. Default: ./.pawl."`
}

// Run serves a developer until told to stop.
func (c *devCmd) Run(io streams) error {
	s, err := c.serverFlags.settings(limits{shortest: time.Second})
	if err != nil {
		return err
	}
	if !loopback(s.addr) {
		return &settingError{"PAWL_ADDR", "pawl dev serves this machine only: the host must be localhost, 127.0.0.1 or [::1]"}
	}
	if s.adminAddr != "" && !loopback(s.adminAddr) {
		return &settingError{"PAWL_ADMIN_ADDR", "pawl dev serves this machine only: the host must be localhost, 127.0.0.1 or [::1]"}
	}
	s.keysDir, s.reconcile, s.developer = filepath.Join(c.DataDir, "keys"), followDev, true
	s.databaseURL = secret.New("sqlite:" + filepath.Join(c.DataDir, "pawl.db"))
	if err := makeDataDir(c.DataDir, s.keysDir); err != nil {
		return &settingError{"PAWL_DATA_DIR", err.Error()}
	}
	ctx, stop := untilSignal()
	defer stop()
	n := &node{settings: s, log: newLog(io.err, s), prepare: prepareDev}
	n.ready = func(port int) { welcome(io.out, port, c.DataDir) }
	return n.run(ctx)
}

// devOrigins are the pages that may use the cookie when nothing was set: the
// server's own, and the usual ports of front end tools.
func devOrigins(port int) []string {
	return []string{
		fmt.Sprintf("http://localhost:%d", port),
		fmt.Sprintf("http://127.0.0.1:%d", port),
		fmt.Sprintf("http://[::1]:%d", port),
		"http://localhost:3000",
		"http://localhost:5173",
	}
}

// makeDataDir makes the folder, keeps it out of version control, and makes the
// keys the first time.
func makeDataDir(dir, keys string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot be made: %w", bare(err))
	}
	err := writePrivate(filepath.Join(dir, ".gitignore"), []byte("*\n"))
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cannot be written to: %w", bare(err))
	}
	if _, err := makeKeys(keys, token.EdDSA, time.Now()); err != nil && !errors.Is(err, errHasKeys) {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// prepareDev brings the schema up to date and adds the demo users where they
// are missing.
func prepareDev(ctx context.Context, db *gorm.DB, hasher *password.Hasher) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	if _, err := migrations.Up(ctx, pool, database.Dialect(db)); err != nil {
		return err
	}
	users := user.New(db, time.Now)
	for email, role := range map[string]user.Role{demoUser: user.RoleUser, demoAdmin: user.RoleAdmin} {
		if _, err := users.ByEmail(ctx, email); !errors.Is(err, user.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		hash, err := hasher.Hash(ctx, secret.New(demoPassword))
		if err != nil {
			return err
		}
		if _, err := users.Add(ctx, email, hash, role); err != nil {
			return err
		}
	}
	return nil
}

// welcome says where to go: a browser, and three lines for a shell.
func welcome(w io.Writer, port int, dir string) {
	url := fmt.Sprintf("http://localhost:%d", port)
	_, _ = fmt.Fprintf(w, `Pawl for development, on this machine only. Data and keys: %[2]s

  Browser   %[1]s/explorer
  API       %[1]s/graphql
  Users     %[3]s and %[4]s, password: %[5]s

Three lines for a shell: log in, ask who you are, refresh.

  S=$(curl -s %[1]s/graphql -H 'Content-Type: application/json' -d '{"query":"mutation { login(input: {email: \"%[3]s\", password: \"%[5]s\", refreshTokenDelivery: BODY}) { ... on LoginPayload { accessToken { token } refreshToken } } }"}'); echo "$S"
  curl -s %[1]s/graphql -H 'Content-Type: application/json' -H "Authorization: Bearer $(echo "$S" | sed 's/.*"token":"\([^"]*\)".*/\1/')" -d '{"query":"{ me { id email role } }"}'; echo
  curl -s %[1]s/graphql -H 'Content-Type: application/json' -d '{"query":"mutation { refreshToken(input: {refreshToken: \"'$(echo "$S" | sed 's/.*"refreshToken":"\([^"]*\)".*/\1/')'\"}) { rotated refreshToken accessToken { token } } }"}'; echo

Ctrl-C stops it.
`, url, dir, demoUser, demoAdmin, demoPassword)
}
