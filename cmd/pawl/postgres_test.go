package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgres is a PostgreSQL of the test's own, that can be killed, promoted and
// cloned. The programs under test use the role pawl, which has no rights over it.
type postgres struct {
	t    *testing.T
	bin  string              // the folder of its programs
	as   *syscall.Credential // who it runs as; nil for whoever runs the test
	dir  string
	port string
	conf []string // further arguments of the server

	cmd   *exec.Cmd
	log   *bytes.Buffer
	ended chan struct{}
}

// newPostgres starts a server with an empty database pawl. conf are settings as
// name=value.
func newPostgres(t *testing.T, conf ...string) *postgres {
	t.Helper()
	p := &postgres{t: t}
	program, err := exec.LookPath("postgres")
	if err == nil {
		program, err = filepath.EvalSymlinks(program) // its folder has the others
	}
	if err != nil && os.Getenv("PAWL_TEST_REQUIRE_SERVICES") == "1" {
		t.Fatal("postgres is not installed, and PAWL_TEST_REQUIRE_SERVICES=1 asks for it")
	} else if err != nil {
		t.Skip("postgres is not installed")
	}
	p.bin = filepath.Dir(program)
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		p.as = unprivileged(t)
	}
	p.conf = append([]string{"fsync=off", "full_page_writes=off", "logging_collector=off"}, conf...)
	p.folder()
	p.run("initdb", "-D", p.dir, "-U", "root", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
	p.up()
	p.exec("CREATE ROLE pawl LOGIN", "CREATE DATABASE pawl OWNER pawl")
	return p
}

// unprivileged is an account that owns nothing of importance.
func unprivileged(t *testing.T) *syscall.Credential {
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
func (p *postgres) folder() {
	p.t.Helper()
	p.dir = filepath.Join(p.t.TempDir(), "data")
	p.t.Cleanup(func() { p.end(syscall.SIGQUIT) })
	err := os.Mkdir(p.dir, 0o700)
	if p.as != nil && err == nil {
		err = os.Chown(p.dir, int(p.as.Uid), int(p.as.Gid))
		for parent := filepath.Dir(p.dir); err == nil && parent != filepath.Clean(os.TempDir()) && parent != "/"; parent = filepath.Dir(parent) {
			err = os.Chmod(parent, 0o711)
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// run carries out one of PostgreSQL's programs.
func (p *postgres) run(name string, args ...string) {
	p.t.Helper()
	if out, err := p.command(name, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// up starts the server, and returns when it takes queries. Its port stays the
// same from the first start on; before, another program may take it first.
func (p *postgres) up() {
	p.t.Helper()
	for try := 0; ; try++ {
		first := p.port == ""
		if first {
			p.port = freePortBelow(p.t)
		}
		p.begin()
		err := p.answers()
		if err == nil {
			return
		}
		p.end(syscall.SIGQUIT)
		if !first || try == 10 {
			p.t.Fatalf("PostgreSQL does not start: %v\n%s", err, p.log)
		}
		p.port = ""
	}
}

// answers waits until the server takes queries.
func (p *postgres) answers() (err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.ended:
			return errors.New("it ended")
		default:
		}
		if err = p.with("postgres", func(ctx context.Context, conn *pgx.Conn) error { return conn.Ping(ctx) }); err == nil {
			return nil
		}
	}
	return err
}

// freePortBelow is a free port below those that systems give to clients, so that
// a server finds it free again.
func freePortBelow(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(22000 + rand.IntN(10000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// begin starts the server and does not wait.
func (p *postgres) begin() {
	p.t.Helper()
	args := []string{"-D", p.dir, "-h", "127.0.0.1", "-p", p.port, "-k", ""}
	for _, setting := range p.conf {
		args = append(args, "-c", setting)
	}
	cmd, log, ended := p.command("postgres", args...), &bytes.Buffer{}, make(chan struct{})
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(ended) }()
	p.cmd, p.log, p.ended = cmd, log, ended
}

// end ends the server: SIGINT is a fast shutdown, SIGQUIT an immediate one. It
// returns when the process is gone.
func (p *postgres) end(signal syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// clone starts a standby that streams from p, on the port of old or a free one.
func (p *postgres) clone(old *postgres) *postgres {
	p.t.Helper()
	standby := &postgres{t: p.t, bin: p.bin, as: p.as, conf: p.conf}
	standby.folder()
	p.run("pg_basebackup", "-D", standby.dir, "-h", "127.0.0.1", "-p", p.port, "-U", "root", "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if old != nil {
		standby.port = old.port
	}
	standby.up()
	return standby
}

// caughtUp waits until a standby has all that p has.
func (p *postgres) caughtUp() {
	p.t.Helper()
	p.until("the standby has everything", "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()")
}

// until waits for a query of the database pawl to say true.
func (p *postgres) until(what, query string, args ...any) {
	p.t.Helper()
	var is bool
	var err error
	for deadline := time.Now().Add(patience); !is; time.Sleep(5 * time.Millisecond) {
		err = p.with("pawl", func(ctx context.Context, conn *pgx.Conn) error {
			return conn.QueryRow(ctx, query, args...).Scan(&is)
		})
		if time.Now().After(deadline) {
			p.t.Fatalf("never: %s (%v)", what, err)
		}
	}
}

// exec runs statements one by one as superuser.
func (p *postgres) exec(statements ...string) {
	p.t.Helper()
	err := p.with("postgres", func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *postgres) with(database string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, "postgres://root@127.0.0.1:"+p.port+"/"+database+"?sslmode=disable")
	for isFull(err) && ctx.Err() == nil { // connections that were closed may not have ended yet
		time.Sleep(5 * time.Millisecond)
		conn, err = pgx.Connect(ctx, "postgres://root@127.0.0.1:"+p.port+"/"+database+"?sslmode=disable")
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return do(ctx, conn)
}

// isFull reports whether a server has no connection left, not even for its owner.
func isFull(err error) bool {
	full := (*pgconn.PgError)(nil)
	return errors.As(err, &full) && full.Code == "53300"
}

// url is the database as the role pawl sees it.
func (p *postgres) url() string {
	return "postgres://pawl@127.0.0.1:" + p.port + "/pawl?sslmode=disable"
}
