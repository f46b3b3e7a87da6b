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
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

const (
	demoUser     = "demo@example.com"
	demoAdmin    = "admin@example.com"
	demoPassword = "correct horse battery staple"

	devDatabase = "pawl.db"
	followDev   = 2 * time.Second
)

type devCmd struct {
	serverFlags `embed:""`
	DataDir     string `env:"PAWL_DATA_DIR" default:"./.pawl" placeholder:"DIR" help:"Where users, sessions and keys are kept. Default: ./.pawl."`
}

// Run serves a developer until told to stop.
func (c *devCmd) Run(io streams) error {
	err := c.serve(io)
	c.tellRefused(io.err, err)
	return err
}

func (c *devCmd) serve(io streams) error {
	var r reader
	s := c.settings(&r, limits{shortest: time.Second})
	if r.err != nil {
		return r.err
	}
	if !loopback(s.addr) {
		return &settingError{"PAWL_ADDR", "pawl dev serves this machine only: the host must be localhost, 127.0.0.1 or [::1]"}
	}
	if s.adminAddr != "" && !loopback(s.adminAddr) {
		return &settingError{"PAWL_ADMIN_ADDR", "pawl dev serves this machine only: the host must be localhost, 127.0.0.1 or [::1]"}
	}
	s.keysDir, s.reconcile, s.developer = filepath.Join(c.DataDir, "keys"), followDev, true
	s.databaseURL = secret.New("sqlite:" + filepath.Join(c.DataDir, devDatabase))
	if err := makeDataDir(c.DataDir); err != nil {
		return &settingError{"PAWL_DATA_DIR", err.Error()}
	}
	ctx, stop := untilSignal()
	defer stop()
	// Before the keys: of several first starts one makes them.
	lease, err := holdFolder(ctx, s.databaseURL)
	if err != nil {
		return ended(ctx, inDataDir(err))
	}
	defer func() { _ = lease.Release() }()
	if _, err := makeKeys(s.keysDir, token.EdDSA, time.Now()); err != nil && !errors.Is(err, errHasKeys) {
		return &settingError{"PAWL_DATA_DIR", "keys: " + err.Error()}
	}
	n := &node{settings: s, log: newLog(io.err, s), prepare: prepareDev, held: lease}
	n.ready = func(port int) { welcome(io.out, port, c.DataDir, s.explorer) }
	return inDataDir(n.run(ctx))
}

// inDataDir names the setting that pawl dev has for what serve asks for one by one.
func inDataDir(err error) error {
	if e := (*settingError)(nil); errors.As(err, &e) {
		switch e.setting {
		case "PAWL_DATABASE_URL":
			return &settingError{"PAWL_DATA_DIR", devDatabase + ": " + e.problem}
		case "PAWL_KEYS_DIR":
			return &settingError{"PAWL_DATA_DIR", "keys: " + e.problem}
		}
	}
	return err
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

// makeDataDir makes the folder, keeps it out of version control, and refuses one
// in which nothing can be kept.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot be made: %w", bare(err))
	}
	trial, err := writeTemp(dir, []byte("*\n"))
	if trial != "" {
		defer func() { _ = os.Remove(trial) }()
	}
	ignore := filepath.Join(dir, ".gitignore")
	if _, missing := os.Stat(ignore); err == nil && errors.Is(missing, os.ErrNotExist) {
		err = place(trial, ignore)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("is not writable: %w", bare(err))
	}
	for _, name := range []string{devDatabase, devDatabase + "-wal", devDatabase + "-shm", devDatabase + ".lease"} {
		// SQLite would open a file that cannot be written, and fail at the first login.
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is not writable: %w", name, bare(err))
		}
		if err == nil {
			_ = f.Close()
		}
	}
	return nil
}

// holdFolder takes the lease on the database of a folder.
func holdFolder(ctx context.Context, url secret.Text) (*ledger.Lease, error) {
	db, err := openDatabase(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = database.Close(db) }() // the lease has a file of its own
	lease, err := ledger.AcquireLease(ctx, db, time.Now, nil)
	if errors.Is(err, ledger.ErrLeased) {
		return nil, &settingError{"PAWL_DATA_DIR", "another pawl runs on this folder; stop it, or choose another folder"}
	}
	return lease, databaseError(err)
}

// prepareDev brings the schema up to date and adds the demo users where they
// are missing.
func prepareDev(ctx context.Context, db *gorm.DB, hasher *password.Hasher) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	if _, err := bringUp(ctx, pool, database.Dialect(db)); err != nil {
		return databaseError(err)
	}
	users := user.New(db, time.Now)
	for email, role := range map[string]user.Role{demoUser: user.RoleUser, demoAdmin: user.RoleAdmin} {
		if _, err := users.ByEmail(ctx, email); !errors.Is(err, user.ErrNotFound) {
			if err != nil {
				return databaseError(err)
			}
			continue
		}
		hash, err := hasher.Hash(ctx, "", secret.New(demoPassword))
		if err != nil {
			return err
		}
		if _, err := users.Add(ctx, email, hash, role); err != nil {
			return databaseError(err)
		}
	}
	return nil
}

// welcome says where to go: a browser, and three lines for a shell.
func welcome(w io.Writer, port int, dir string, explorer bool) {
	url, browser := fmt.Sprintf("http://localhost:%d", port), ""
	if explorer {
		browser = "  Browser   " + url + "/explorer\n"
	}
	_, _ = fmt.Fprintf(w, `Pawl for development, on this machine only. Data and keys: %[2]s

%[6]s  API       %[1]s/graphql
  Users     %[3]s and %[4]s, password: %[5]s

Three lines for a shell: log in, ask who you are, refresh.

  S=$(curl -s %[1]s/graphql -H 'Content-Type: application/json' -d '{"query":"mutation { login(input: {email: \"%[3]s\", password: \"%[5]s\", refreshTokenDelivery: BODY}) { ... on LoginPayload { accessToken { token } refreshToken } } }"}'); echo "$S"
  curl -s %[1]s/graphql -H 'Content-Type: application/json' -H "Authorization: Bearer $(echo "$S" | sed 's/.*"token":"\([^"]*\)".*/\1/')" -d '{"query":"{ me { id email role } }"}'; echo
  curl -s %[1]s/graphql -H 'Content-Type: application/json' -d '{"query":"mutation { refreshToken(input: {refreshToken: \"'$(echo "$S" | sed 's/.*"refreshToken":"\([^"]*\)".*/\1/')'\"}) { rotated refreshToken accessToken { token } } }"}'; echo

Ctrl-C stops it.
`, url, dir, demoUser, demoAdmin, demoPassword, browser)
}
