package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/server"
)

// at is when the certificates of the tests are good: a bubble begins in 2000.
var at = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func clockOfTests() time.Time { return at }

// writePair makes a certificate that is good from 1999 until a time.
func writePair(t *testing.T, certFile, keyFile, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: at.AddDate(-1, 0, 0), NotAfter: until,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadCertificateRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	next := at.AddDate(1, 0, 0)
	writePair(t, file("good.crt"), file("good.key"), "a.example", next)
	writePair(t, file("other.crt"), file("other.key"), "b.example", next)
	writePair(t, file("old.crt"), file("old.key"), "c.example", at.AddDate(0, 0, -1))
	write(t, file("hunter2"), "hunter2")
	for _, tt := range []struct{ cert, key, want string }{
		{"good.crt", "good.key", ""},
		{"missing.crt", "good.key", "the certificate cannot be read: no such file or directory"},
		{"good.crt", "missing.key", "the private key cannot be read: no such file or directory"},
		{"good.crt", "other.key", "private key does not match public key"},
		{"good.key", "good.crt", "cannot be used together"},
		{"hunter2", "good.key", "cannot be used together"},
		{"good.crt", "hunter2", "cannot be used together"},
		{"old.crt", "old.key", "has expired"},
	} {
		_, err := server.LoadCertificate(file(tt.cert), file(tt.key), clockOfTests)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s and %s: got %v, want %q", tt.cert, tt.key, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s and %s: got %v, want it without path and content", tt.cert, tt.key, err)
		}
	}
}

// A renewed certificate is taken within seconds; one that cannot be used leaves
// the one before, and is logged once.
func TestCertificateFollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	next := at.AddDate(1, 0, 0)
	writePair(t, certFile, keyFile, "first.example", next)
	certificate, err := server.LoadCertificate(certFile, keyFile, clockOfTests)
	if err != nil {
		t.Fatal(err)
	}
	var log logged
	cfg := config(t, &log)
	cfg.Certificate = certificate
	inBubbleWith(t, cfg, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, dial func() net.Conn) {
		shown := func() string {
			conn := tls.Client(dial(), &tls.Config{InsecureSkipVerify: true})
			if err := conn.Handshake(); err != nil {
				t.Fatalf("handshake: %v", err)
			}
			defer func() { _ = conn.Close() }()
			return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		}
		step := func(what, want, event string, change func()) {
			before := log.String()
			change()
			time.Sleep(time.Minute)
			if got := shown(); got != want {
				t.Errorf("%s: got the certificate of %s, want %s's", what, got, want)
			}
			news := strings.TrimPrefix(log.String(), before)
			if got := strings.Count(news, "tls.certificate"); event == "" && got != 0 || event != "" && (got != 1 || !strings.Contains(news, event)) {
				t.Errorf("%s: got log %q, want one line about %q", what, news, event)
			}
		}
		time.Sleep(2500 * time.Millisecond) // files change between two looks at them, not during one
		step("at first", "first.example", "", func() {})
		step("renewed", "second.example", "tls.certificate_loaded", func() { writePair(t, certFile, keyFile, "second.example", next) })
		step("unchanged", "second.example", "", func() {})
		step("garbage", "second.example", "tls.certificate_refused", func() { write(t, certFile, "garbage") })
		step("gone", "second.example", "tls.certificate_refused", func() { _ = os.Remove(certFile) })
		step("back", "third.example", "tls.certificate_loaded", func() { writePair(t, certFile, keyFile, "third.example", next) })
		step("expired", "third.example", "tls.certificate_refused", func() { writePair(t, certFile, keyFile, "fourth.example", at.AddDate(0, 0, -1)) })
	})
	if strings.Contains(log.String(), dir) {
		t.Errorf("got log %s, want it without the path", log.String())
	}
}

// logged keeps what is logged, safe for concurrent use.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}
func (l *logged) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }

// Over TLS: nothing older than 1.2, browsers are told to stay, plain HTTP is not
// answered, and slow senders are cut off on HTTP/2 too.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, certFile, keyFile, "a.example", at.AddDate(1, 0, 0))
	certificate, err := server.LoadCertificate(certFile, keyFile, clockOfTests)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t)
	cfg.Certificate = certificate
	address := servingWith(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("%s: got error %v, want it to work: %t", tls.VersionName(version), err, want)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for _, path := range []string{"/livez", "/graphql", "/nothing"} {
		res, err := client.Get("https://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" || res.ProtoMajor != 2 {
			t.Errorf("%s: got %s and Strict-Transport-Security %q, want HTTP/2 and a year", path, res.Proto, got)
		}
	}
	if res, err := http.Get("http://" + address + "/livez"); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: got %v and error %v, want 400", res, err)
	}
	body, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	began := time.Now()
	res, err := client.Post("https://"+address+"/graphql", "application/json", body)
	if took := time.Since(began); took < 9*time.Second || took > 50*time.Second {
		t.Errorf("a body that never comes over HTTP/2: ended after %s, want about 10s", took)
	}
	if err == nil {
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("a body that never comes over HTTP/2: got %d, want 400 or the end of the stream", res.StatusCode)
		}
		_ = res.Body.Close()
	}
}

// One HTTP/2 connection has at most 64 requests in flight: whoever wants more
// opens more connections, which are counted and cut off as any others.
func TestRequestsOfOneConnection(t *testing.T) {
	t.Parallel()
	const requests = 100
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, certFile, keyFile, "a.example", at.AddDate(1, 0, 0))
	certificate, err := server.LoadCertificate(certFile, keyFile, clockOfTests)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t)
	cfg.Certificate = certificate
	arrived, release := make(chan string, requests), make(chan struct{})
	address := servingWith(t, cfg, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.RemoteAddr
		<-release
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	get := func(path string) {
		res, err := client.Get("https://" + address + path)
		if err != nil {
			t.Errorf("GET %s: %v", path, err)
			return
		}
		_ = res.Body.Close()
	}
	get("/livez") // the client knows the limit from then on
	var all sync.WaitGroup
	for range requests {
		all.Go(func() { get("/graphql") })
	}
	inFlight := map[string]int{}
	for range requests {
		select {
		case connection := <-arrived:
			inFlight[connection]++
		case <-time.After(30 * time.Second):
			t.Fatalf("got %v requests in flight after 30 s, want all %d", inFlight, requests)
		}
	}
	close(release)
	all.Wait()
	for connection, n := range inFlight {
		if n > 64 {
			t.Errorf("%s has %d requests in flight, want at most 64", connection, n)
		}
	}
}
