package chaos_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pawltest"
	"github.com/pawlauth/pawl/internal/proctest"
)

// node is one server of the program under test. It keeps its address.
type node struct {
	*process
	url, admin, log string
	life            atomic.Int64 // changes when the server is started
}

func newNode(t *testing.T, program pawltest.Program, logFile string) *node {
	t.Helper()
	public, admin := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t))
	logs, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logs.Close() })
	program.Env = append(program.Env, "PAWL_ADDR="+public, "PAWL_ADMIN_ADDR="+admin)
	n := &node{url: "http://" + public, admin: "http://" + admin, log: logFile}
	n.process = &process{make: func() *exec.Cmd {
		cmd := program.Command(context.Background(), "serve")
		cmd.Stderr = logs
		return cmd
	}}
	t.Cleanup(func() { _ = n.end(syscall.SIGKILL) })
	return n
}

// up starts the server and returns when it is ready.
func (n *node) up() error {
	n.life.Add(1)
	if err := n.start(); err != nil {
		return err
	}
	return await("the server becomes ready", n.ready)
}

func (n *node) ready() error {
	if !n.now().Running() {
		return fmt.Errorf("it ended; its log: %s", n.log)
	}
	_, err := get(n.url + "/readyz")
	return err
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", url, response.StatusCode)
	}
	return string(text), err
}

// size is what a server takes: resident memory in MiB and goroutines.
type size struct{ resident, goroutines int }

func (s size) String() string { return fmt.Sprintf("%d MiB, %d goroutines", s.resident, s.goroutines) }

func (n *node) size() (s size) {
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.now().PID())); err == nil {
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		kib, _ := strconv.Atoi(strings.Fields(after + " 0")[0])
		s.resident = kib >> 10
	}
	if text, err := get(n.admin + "/debug/pprof/goroutine?debug=1"); err == nil {
		if found := regexp.MustCompile(`total (\d+)`).FindStringSubmatch(text); found != nil {
			s.goroutines, _ = strconv.Atoi(found[1])
		}
	}
	return s
}

// says are the lines of the server's log that contain text.
func (n *node) says(text string, most int) (lines []string) {
	log, err := os.ReadFile(n.log)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, text) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines[max(0, len(lines)-most):]
}
