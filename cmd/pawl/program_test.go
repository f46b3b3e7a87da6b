package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a test waits for something that happens at once on an
// idle machine.
const patience = 60 * time.Second

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitline":   waitLine,
			"field":      field,
			"quickstart": quickstart,
			"tokenless":  tokenless,
		},
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, promptEnd, logDir+"="+os.Getenv(logDir), "PAWL_LOG_LEVEL=debug")
			return nil
		},
		RequireExplicitExec: true,
	})
}

// promptEnd spares each pawl of the tests the second that the race detector
// waits at the end of a program.
const promptEnd = "GORACE=atexit_sleep_ms=0"

// waitLine FILE REGEXP [VAR] waits until the file matches, and puts the first
// group into the variable.
func waitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitline FILE REGEXP [VAR]")
	}
	pattern := regexp.MustCompile(args[1])
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if match := pattern.FindSubmatch(text); match != nil {
			if len(args) > 2 {
				ts.Setenv(args[2], string(match[1]))
			}
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: got %q (%v), want a match of %s", args[0], text, err, pattern)
		}
	}
}

// field PATH VAR puts a value of the last answer into the variable. The path
// has dots.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field PATH VAR")
	}
	answer := ts.ReadFile("stdout")
	if _, body, ok := strings.Cut(answer, "\r\n\r\n"); ok { // of curl -i
		answer = body
	}
	var value any
	ts.Check(json.Unmarshal([]byte(answer), &value))
	for _, name := range strings.Split(args[0], ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	text, ok := value.(string)
	if !ok {
		ts.Fatalf("%s: got %v in %s, want a text", args[0], value, answer)
	}
	ts.Setenv(args[1], text)
}

// quickstart URL FILE writes the README's shell lines as one script that talks
// to URL, with a shorter wait for a shorter grace.
func quickstart(ts *testscript.TestScript, neg bool, args []string) {
	readme, err := os.ReadFile("../../README.md")
	ts.Check(err)
	blocks := regexp.MustCompile("(?s)<!-- quickstart -->\n```sh\n(.*?)```").FindAllSubmatch(readme, -1)
	if neg || len(args) != 2 || len(blocks) == 0 {
		ts.Fatalf("usage: quickstart URL FILE; the README has %d blocks", len(blocks))
	}
	var script strings.Builder
	for _, block := range blocks {
		script.Write(block[1])
	}
	text := strings.ReplaceAll(script.String(), "http://localhost:8080", args[0])
	text = strings.ReplaceAll(text, "sleep 11\n", "sleep 4.2\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// tokenless FILE... fails when a file holds a refresh token, an access token or
// the demo password.
func tokenless(ts *testscript.TestScript, neg bool, args []string) {
	secrets := regexp.MustCompile(`pawl_rt1_|eyJ[A-Za-z0-9_-]{20}|correct horse`)
	for _, name := range args {
		if found := secrets.FindString(ts.ReadFile(name)); (found != "") != neg {
			ts.Fatalf("%s: got %q, want nothing secret", name, found)
		}
	}
}

// curl [-s] [-S] [-i] [-H HEADER]... [-d BODY] URL sends one request and prints
// the answer.
func curl() {
	var url, body string
	header, showHead := http.Header{}, false
	for args := os.Args[1:]; len(args) > 0; args = args[1:] {
		switch arg := args[0]; arg {
		case "-s", "-S", "-sS":
		case "-i", "-si":
			showHead = true
		case "-H":
			if name, value, ok := strings.Cut(args[1], ": "); ok { // curl drops empty headers
				header.Add(name, value)
			}
			args = args[1:]
		case "-d":
			body = args[1]
			args = args[1:]
		default:
			url = arg
		}
	}
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err == nil {
		request.Header = header
		var response *http.Response
		if response, err = http.DefaultTransport.RoundTrip(request); err == nil {
			if showHead {
				fmt.Print(response.Proto, " ", response.Status, "\r\n")
				_ = response.Header.Write(os.Stdout)
				fmt.Print("\r\n")
			}
			_, err = io.Copy(os.Stdout, response.Body)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		os.Exit(7)
	}
}

// process is a running pawl.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bytes.Buffer
	logs chan string // lines of stderr
	all  *strings.Builder
}

// start runs pawl in dir with nothing but env in its environment.
func start(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	return startProgram(t, "pawl", dir, env, args...)
}

func startProgram(t *testing.T, program, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), out: &bytes.Buffer{}, logs: make(chan string, 1<<16), all: &strings.Builder{}}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout = dir, env, p.out
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatalf("starting pawl %v: %v", args, err)
	}
	go func() {
		defer close(p.logs)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.logs <- lines.Text()
		}
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// await returns the first group of the first line of the log that matches.
func (p *process) await(pattern string) string {
	p.t.Helper()
	expression := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.logs:
			if !ok {
				p.t.Fatalf("pawl ended; log:\n%s\nwant a line that matches %s", p.all, pattern)
			}
			p.all.WriteString(line + "\n")
			if match := expression.FindStringSubmatch(line); match != nil {
				return match[len(match)-1]
			}
		case <-timeout:
			p.t.Fatalf("log:\n%s\nwant a line that matches %s", p.all, pattern)
		}
	}
}

// end waits for the process and returns its exit code and whole log.
func (p *process) end() (code int, log string) {
	p.t.Helper()
	timeout := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timeout.Stop()
	for line := range p.logs {
		p.all.WriteString(line + "\n")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), p.all.String()
}

// answer is what GraphQL said.
type answer struct {
	status int
	header http.Header
	body   string
	Data   map[string]map[string]any
	Errors []struct {
		Extensions struct {
			Code, Reason string
			RetryAfter   float64
		}
	}
}

// token is a text of the answer's first root field, nested ones with dots.
func (a answer) text(field, path string) string {
	var value any = a.Data[field]
	for _, name := range strings.Split(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	text, _ := value.(string)
	return text
}

// query sends one GraphQL request.
func query(url, text string, headers ...string) (answer, error) {
	var a answer
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		return a, err
	}
	request, err := http.NewRequest(http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	text64, err := io.ReadAll(response.Body)
	a.status, a.header, a.body = response.StatusCode, response.Header, string(text64)
	if err == nil {
		err = json.Unmarshal(text64, &a)
	}
	return a, err
}

const loginBody = `mutation { login(input: {email: "demo@example.com", password: "correct horse battery staple", refreshTokenDelivery: BODY}) {
	... on LoginPayload { accessToken { token } refreshToken session { id } } } }`

func refreshBody(token string) string {
	return `mutation { refreshToken(input: {refreshToken: "` + token + `"}) { rotated refreshToken session { id } accessToken { token } } }`
}
