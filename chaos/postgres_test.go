package chaos_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a PostgreSQL of the test's own. The servers under test use a role
// without rights over it.
type postgres struct {
	*process
	addr string
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	initdb, server := program(t, "initdb"), program(t, "postgres")
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var as *syscall.Credential
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		as = unprivileged(t)
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
		for parent := filepath.Dir(dir); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
			if err := os.Chmod(parent, 0o711); err != nil {
				t.Fatal(err)
			}
		}
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		return cmd
	}
	if out, err := run(initdb, "-D", dir, "-U", "root", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := strconv.Itoa(freePort(t))
	p := &postgres{addr: "127.0.0.1:" + port}
	p.process = &process{dies: syscall.SIGQUIT, make: func() *exec.Cmd {
		return run(server, "-D", dir, "-h", "127.0.0.1", "-p", port, "-k", "", "-c", "fsync=off", "-c", "full_page_writes=off",
			"-c", "max_connections=120", "-c", "logging_collector=off", "-c", "log_min_messages=panic")
	}}
	t.Cleanup(func() { _ = p.end(syscall.SIGQUIT) })
	if err := p.up(); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"CREATE ROLE pawl LOGIN", "CREATE DATABASE pawl OWNER pawl"} {
		if err := p.exec("postgres", statement); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// up starts the server and returns when it takes queries.
func (p *postgres) up() error {
	if err := p.start(); err != nil {
		return err
	}
	return await("PostgreSQL starts", func() error { return p.exec("postgres", "SELECT 1") })
}

// exec runs one statement as superuser, past all proxies.
func (p *postgres) exec(database, statement string, args ...any) error {
	return p.with(database, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement, args...)
		return err
	})
}

func (p *postgres) with(database string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://root@%s/%s?sslmode=disable", p.addr, database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return do(ctx, conn)
}

// all runs statements one by one.
func (p *postgres) all(statements ...string) error {
	return p.with("postgres", func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

// held reports whether the ledger knows that a session is held to attempt ids.
func (p *postgres) held(sessionID string) bool {
	held := false
	err := p.with("pawl", func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT held FROM sessions WHERE id = $1::text::uuid", sessionID).Scan(&held)
	})
	return err == nil && held
}
