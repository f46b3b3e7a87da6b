package main_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"github.com/rogpeppe/go-internal/testscript"
	"gorm.io/gorm/logger"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// waiters is how many parallel tests run at once at least: they wait for most of
// their time.
const waiters = 3

// TestMain puts the real program into the PATH of the tests, and a curl that is
// good enough for machines without one.
func TestMain(m *testing.M) {
	logging.Disable() // the Redis client's own: it tells of servers that are down on purpose
	if runtime.GOMAXPROCS(0) < waiters {
		_ = flag.Set("test.parallel", strconv.Itoa(waiters)) // go test -parallel has the last word
	}
	testscript.Main(m, map[string]func(){"pawl": func() { program(pawl.Run) }, "chatty": func() { program(chatty) }, "curl": curl})
}

// logDir is the variable with the folder in which tests leave what the programs
// printed that they started; scripts/no-secrets reads it.
const logDir = "PAWL_TEST_LOG_DIR"

// program runs pawl, and leaves what it prints in logDir as well where that is
// set, also what some library prints past it.
func program(run func(args []string, in *os.File, out, errOut io.Writer) int) {
	out, errOut, drain := io.Writer(os.Stdout), io.Writer(os.Stderr), func() {}
	if dir := os.Getenv(logDir); dir != "" {
		file, err := os.CreateTemp(dir, "pawl-*.log")
		if err != nil {
			fmt.Fprintln(os.Stderr, logDir, err)
			os.Exit(1)
		}
		stdout, stderr := *os.Stdout, *os.Stderr
		drainOut, drainErr := divert(os.Stdout, io.MultiWriter(&stdout, file)), divert(os.Stderr, io.MultiWriter(&stderr, file))
		drain = func() { drainOut(); drainErr() }
		out, errOut = io.MultiWriter(&stdout, file), io.MultiWriter(&stderr, file)
	}
	code := run(os.Args[1:], os.Stdin, out, errOut)
	drain()
	os.Exit(code)
}

// divert lets everybody who holds file write to another place, as package log
// does, and the loggers of libraries, which took it when the program began.
// drain waits until all of it is there.
func divert(file *os.File, to io.Writer) (drain func()) {
	reader, writer, err := os.Pipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, logDir, err)
		os.Exit(1)
	}
	*file = *writer
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(to, reader) }()
	return func() { _ = file.Close(); <-done }
}

// chatty prints as libraries do, past what a program was given to print to.
func chatty([]string, *os.File, io.Writer, io.Writer) int {
	log.Print("by package log")
	fmt.Println("to stdout")
	logger.Default.Warn(context.Background(), "by gorm")
	return 3
}

// TestLogsAreKept: what a program prints, to its last line, is where
// scripts/no-secrets looks for it.
func TestLogsAreKept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(logDir, dir)
	p := start(t, t.TempDir(), list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
	url := "http://" + p.await(`msg=listening address=(\S+)`)
	p.await("msg=server.ready")
	login, err := query(url, loginBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := query(url, refreshBody(login.text("login", "refreshToken"))); err != nil {
		t.Fatal(err)
	}
	p.stop()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got files %q (%v), want one", names, err)
	}
	text, err := os.ReadFile(names[0])
	for _, want := range []string{"msg=listening", "level=DEBUG", "msg=login.succeeded", "msg=stopped", "Pawl for development"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("got %s (%v), want it with %s", text, err, want)
		}
	}
}

// TestNothingIsPrintedPastTheLog: what a library prints by itself is there, too.
func TestNothingIsPrintedPastTheLog(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("chatty")
	cmd.Env = append(list(nil), logDir+"="+dir)
	printed, err := cmd.CombinedOutput()
	if failed := (*exec.ExitError)(nil); !errors.As(err, &failed) || failed.ExitCode() != 3 {
		t.Errorf("got %v, want exit code 3", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got files %q (%v), want one", names, err)
	}
	kept, err := os.ReadFile(names[0])
	for _, want := range []string{"by package log", "to stdout", "by gorm"} {
		if err != nil || !strings.Contains(string(kept), want) || !strings.Contains(string(printed), want) {
			t.Errorf("kept %q (%v) of %q, want %q in both", kept, err, printed, want)
		}
	}
}
