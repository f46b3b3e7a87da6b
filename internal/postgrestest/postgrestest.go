// Package postgrestest gives tests PostgreSQL servers of their own, which can be
// stopped, killed, started again, cloned and promoted, and end with the test.
// They are real processes on loopback. Programs under test use the role pawl,
// which owns the database pawl and has no rights over the server. It is for tests
// only and knows nothing of what is kept in the database.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/proctest"
)

const (
	// patience is how long the kit waits for a server to do as it was told.
	patience = 3 * time.Minute
	poll     = 5 * time.Millisecond
)

// Server is one PostgreSQL server, running or not. Methods that fail end the
// test, so they belong into its own goroutine; only With, Addr and URL may be
// called from any.
type Server struct {
	t    testing.TB
	bin  string              // the folder of its programs
	as   *syscall.Credential // who it runs as; nil for whoever runs the test
	dir  string
	port int
	conf []string // further settings, as name=value

	run *proctest.Process // the one that runs, or ran last
	log *bytes.Buffer
}

// Start starts a server with an empty database pawl and without fsync. conf are
// further settings as name=value. Where PostgreSQL is not installed the test is
// skipped, or fails where PAWL_TEST_REQUIRE_SERVICES is 1.
func Start(t testing.TB, conf ...string) *Server {
	t.Helper()
	program, err := filepath.EvalSymlinks(proctest.Find(t, "postgres")) // its folder has the others
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: filepath.Dir(program)}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		s.as = unprivileged(t)
	}
	s.conf = append([]string{"fsync=off", "full_page_writes=off", "logging_collector=off"}, conf...)
	s.folder()
	s.tool("initdb", "-D", s.dir, "-U", "root", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
	s.Up()
	s.Exec("CREATE ROLE pawl LOGIN", "CREATE DATABASE pawl OWNER pawl")
	return s
}

// unprivileged is an account that owns nothing of importance.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("account %s: %v, %v", account.Username, uidErr, gidErr)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// folder makes an empty data folder that the server's account can reach. The
// server ends before the folder goes.
func (s *Server) folder() {
	s.t.Helper()
	s.dir = filepath.Join(s.t.TempDir(), "data")
	s.t.Cleanup(func() { s.End(syscall.SIGQUIT) })
	err := os.Mkdir(s.dir, 0o700)
	if s.as != nil && err == nil {
		err = os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid))
		for parent := filepath.Dir(s.dir); err == nil && parent != filepath.Clean(os.TempDir()) && parent != "/"; parent = filepath.Dir(parent) {
			err = os.Chmod(parent, 0o711) //nolint:gosec // the server's account must pass
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...) //nolint:gosec // PostgreSQL's own
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

// tool carries out one of PostgreSQL's programs.
func (s *Server) tool(name string, args ...string) {
	s.t.Helper()
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Up starts the server, which must not run, and returns when it takes queries.
// Its port stays the same from the first start on; before, another program may
// take it first.
func (s *Server) Up() {
	s.t.Helper()
	for try := 0; ; try++ {
		first := s.port == 0
		if first {
			s.port = proctest.FreePort(s.t)
		}
		s.begin()
		err := s.answers()
		if err == nil {
			return
		}
		s.End(syscall.SIGQUIT)
		if !first || try == 10 {
			s.t.Fatalf("PostgreSQL does not start: %v\n%s", err, s.log)
		}
		s.port = 0
	}
}

// begin starts the server and does not wait.
func (s *Server) begin() {
	s.t.Helper()
	args := []string{"-D", s.dir, "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", ""}
	for _, setting := range s.conf {
		args = append(args, "-c", setting)
	}
	cmd := s.command("postgres", args...)
	s.log = &bytes.Buffer{}
	cmd.Stderr = s.log
	run, err := proctest.Start(cmd, syscall.SIGQUIT)
	if err != nil {
		s.t.Fatal(err)
	}
	s.run = run
}

// answers waits until the server takes queries.
func (s *Server) answers() (err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(poll) {
		if !s.run.Running() {
			return errors.New("it ended")
		}
		if err = s.With("postgres", func(ctx context.Context, conn *pgx.Conn) error { return conn.Ping(ctx) }); err == nil {
			return nil
		}
	}
	return err
}

// End ends the server and returns when the process is gone: SIGINT is a fast
// shutdown, SIGQUIT an immediate one, SIGKILL a crash. It may have ended before.
func (s *Server) End(signal syscall.Signal) {
	if s.run == nil {
		return
	}
	if err := s.run.End(signal); err != nil {
		s.t.Errorf("PostgreSQL: %v", err)
	}
}

// Addr is the server's host:port; it never changes.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// URL is the database as the role pawl sees it, as PAWL_DATABASE_URL spells it.
func (s *Server) URL() string { return "postgres://pawl@" + s.Addr() + "/pawl?sslmode=disable" }
