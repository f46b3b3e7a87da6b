package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the pawl binary: PAWL_BIN, or built from this repository.
var program = os.Getenv("PAWL_BIN")

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if program == "" {
		dir, err := os.MkdirTemp("", "pawl-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "pawl")
		build := exec.Command("go", "build", "-o", program, "./cmd/pawl")
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("building pawl: %v\n%s", err, out))
		}
	}
	return m.Run()
}

// pawl is a `pawl dev` with data and a port of its own.
type pawl struct {
	t    *testing.T
	data string
	port int
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// startPawl starts one that ends with the test.
func startPawl(t *testing.T) *pawl {
	t.Helper()
	p := &pawl{t: t, data: t.TempDir()}
	t.Cleanup(p.stop)
	for range 20 {
		p.port = 10_000 + rand.IntN(22_000) // below the ports that connections get
		if l, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", p.port)); err == nil {
			l.Close()
			p.start()
			return p
		}
	}
	t.Fatal("no free port")
	return nil
}

// kept is a new file in PAWL_TEST_LOG_DIR, for what is printed at debug level; or
// nothing where that is not set.
func kept(t *testing.T) io.Writer {
	t.Helper()
	dir := os.Getenv("PAWL_TEST_LOG_DIR")
	if dir == "" {
		return io.Discard
	}
	file, err := os.CreateTemp(dir, "go-resource-*.log")
	if err != nil {
		t.Fatal(err)
	}
	return file // open to the end: programs write to it while they stop
}

func (p *pawl) url() string { return fmt.Sprintf("http://localhost:%d", p.port) }

// start waits until the program is ready.
func (p *pawl) start() {
	p.t.Helper()
	p.log.Reset()
	p.cmd = exec.Command(program, "dev", "--addr", fmt.Sprintf("localhost:%d", p.port), "--data-dir", p.data)
	logs := kept(p.t)
	p.cmd.Stdout, p.cmd.Stderr = logs, io.MultiWriter(logs, &p.log)
	p.cmd.Env = append(os.Environ(), "PAWL_LOG_LEVEL=debug")
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(p.url() + "/readyz")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
	}
	p.stop()
	p.t.Fatalf("pawl dev is not ready after a minute:\n%s", p.log.String())
}

func (p *pawl) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// addKey puts a signing key of another algorithm into the folder; the next start
// signs with it.
func (p *pawl) addKey(alg string) {
	p.t.Helper()
	made := p.t.TempDir()
	if out, err := exec.Command(program, "keys", "init", "--alg", alg, "--keys-dir", made).CombinedOutput(); err != nil {
		p.t.Fatalf("pawl keys init: %v\n%s", err, out)
	}
	files, _ := filepath.Glob(filepath.Join(made, "access-*.pem"))
	if len(files) != 1 {
		p.t.Fatalf("pawl keys init made %d signing keys, want 1", len(files))
	}
	// The newest by name signs: the others were used from a minute before.
	for _, file := range p.keyFiles() {
		p.name(file, p.usedFrom(file).Add(-time.Minute))
	}
	p.name(files[0], time.Now())
}

const (
	keyPrefix = "access-"
	keyTime   = "20060102T150405Z"
	keySuffix = ".pem"
)

// name puts a signing key into the folder, to be used from a time on.
func (p *pawl) name(file string, from time.Time) {
	p.t.Helper()
	if err := os.Rename(file, filepath.Join(p.data, "keys", keyPrefix+from.UTC().Format(keyTime)+keySuffix)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pawl) usedFrom(file string) time.Time {
	p.t.Helper()
	from, err := time.Parse(keyTime, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), keyPrefix), keySuffix))
	if err != nil {
		p.t.Fatal(err)
	}
	return from
}

// keyFiles are the signing keys, the oldest first.
func (p *pawl) keyFiles() []string {
	files, _ := filepath.Glob(filepath.Join(p.data, "keys", "access-*.pem"))
	return files
}

// signingKey is the private key that signs now.
func (p *pawl) signingKey() crypto.Signer {
	p.t.Helper()
	files := p.keyFiles()
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		p.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		p.t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// login returns the access and the refresh token of a new session.
func (p *pawl) login(email string) (access, refresh string) {
	p.t.Helper()
	query := fmt.Sprintf(`mutation { login(input: {email: %q, password: "correct horse battery staple", refreshTokenDelivery: BODY}) {
		... on LoginPayload { accessToken { token } refreshToken } } }`, email)
	body, _ := json.Marshal(map[string]string{"query": query})
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.url()+"/graphql", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Data struct {
			Login struct {
				AccessToken  struct{ Token string }
				RefreshToken string
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || !strings.HasPrefix(got.Data.Login.AccessToken.Token, "eyJ") {
		p.t.Fatalf("login: status %d, error %v, no access token", answer.StatusCode, err)
	}
	return got.Data.Login.AccessToken.Token, got.Data.Login.RefreshToken
}
