package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a certificate for localhost and its key, good for an hour.
func writeCertificate(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	writeCertificateUntil(t, certFile, keyFile, name, time.Now().Add(time.Hour))
}

func writeCertificateUntil(t *testing.T, certFile, keyFile, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// shownBy is the common name of the certificate that a server shows.
func shownBy(t *testing.T, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("TLS to %s: %v", address, err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestServeOverTLS: the program serves HTTPS by itself, tells browsers to keep
// to it, refuses old protocols and plain HTTP, and follows a renewed certificate.
func TestServeOverTLS(t *testing.T) {
	t.Parallel()
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"] = "memory"
	env["PAWL_TLS_CERT"], env["PAWL_TLS_KEY"] = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writeCertificate(t, env["PAWL_TLS_CERT"], env["PAWL_TLS_KEY"], "first")
	operate(t, dir, env, "", "migrate", "up")
	p, url := serveOne(t, dir, env)
	address := strings.TrimPrefix(url, "http://")

	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	for path, want := range map[string]int{"/readyz": 200, "/.well-known/jwks.json": 200, "/nothing": 404, "/graphql": 405} {
		response, err := client.Get("https://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := response.Header.Get("Strict-Transport-Security"); response.StatusCode != want || got != "max-age=31536000" {
			t.Errorf("%s: got %d and Strict-Transport-Security %q, want %d and a year", path, response.StatusCode, got, want)
		}
	}
	if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1: got a connection, want none")
	}
	if got := status(t, url+"/readyz"); got != http.StatusBadRequest {
		t.Errorf("plain HTTP: got %d, want 400", got)
	}
	operate(t, dir, map[string]string{"PAWL_ADDR": address, "PAWL_TLS_CERT": env["PAWL_TLS_CERT"]}, "", "healthcheck")

	if got := shownBy(t, address); got != "first" {
		t.Errorf("got the certificate %q, want the first", got)
	}
	writeCertificate(t, env["PAWL_TLS_CERT"], env["PAWL_TLS_KEY"], "second")
	p.await(`"event":"tls.certificate_loaded"`)
	if got := shownBy(t, address); got != "second" {
		t.Errorf("after the files changed: got the certificate %q, want the second", got)
	}
	p.stop()
}

// TestBadTLSSettings: half a pair, and a pair that is none, stop the start.
func TestBadTLSSettings(t *testing.T) {
	dir, good := environment(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	writeCertificate(t, file("one.crt"), file("one.key"), "one")
	writeCertificate(t, file("two.crt"), file("two.key"), "two")
	for _, tt := range []struct{ cert, key, setting, want string }{
		{file("one.crt"), "", "PAWL_TLS_KEY", "must be set where PAWL_TLS_CERT is"},
		{"", file("one.key"), "PAWL_TLS_CERT", "must be set where PAWL_TLS_KEY is"},
		{file("9h3k.crt"), file("one.key"), "PAWL_TLS_CERT", "the certificate cannot be read: no such file"},
		{file("one.crt"), file("9h3k.key"), "PAWL_TLS_CERT", "the private key cannot be read: no such file"},
		{file("one.crt"), file("two.key"), "PAWL_TLS_CERT", "does not match"},
		{file("one.key"), file("one.crt"), "PAWL_TLS_CERT", "cannot be used together"},
	} {
		env := map[string]string{"PAWL_TLS_CERT": tt.cert, "PAWL_TLS_KEY": tt.key}
		for name, value := range good {
			env[name] = value
		}
		refused(t, dir, env, tt.setting, tt.want, "9h3k.")
	}
}
