package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/server"
)

// overTLS is a configuration with a certificate.
func overTLS(t *testing.T) server.Config {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, certFile, keyFile, "a.example", at.AddDate(1, 0, 0))
	certificate, err := server.LoadCertificate(certFile, keyFile, clockOfTests)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t)
	cfg.Certificate = certificate
	return cfg
}

// speaking is a TLS connection on which HTTP/2 was agreed on.
func speaking(t *testing.T, conn net.Conn, protocol string) net.Conn {
	t.Helper()
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

// frame is an HTTP/2 frame (RFC 9113, section 4.1) of which length bytes of
// payload are announced.
func frame(length int, kind, flags, stream byte, payload string) string {
	return string([]byte{byte(length >> 16), byte(length >> 8), byte(length), kind, flags, 0, 0, 0, stream}) + payload
}

const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	dataFrame, headersFrame, settingsFrame, continuationFrame = 0, 1, 4, 9
	endHeaders                                                = 4

	// post is :method POST, :scheme https, :path /graphql, :authority x in HPACK.
	post = "\x83\x87\x44\x08/graphql\x41\x01x"
)

// TestSlowSendersOverTLS: whoever sends slowly, or half of something, is cut off
// on HTTP/2 as on HTTP/1.1.
func TestSlowSendersOverTLS(t *testing.T) {
	hello := preface + frame(0, settingsFrame, 0, 0, "")
	posted := hello + frame(len(post), headersFrame, endHeaders, 1, post)
	for _, tt := range []struct{ name, protocol, first, drip string }{
		{"nothing instead of a handshake", "", "", ""},
		{"half a handshake", "", "\x16\x03\x01\x02\x00\x01", ""},
		{"a handshake, a byte a second", "", "\x16\x03\x01\x02\x00\x01", "\x00"},
		{"nothing after the handshake, HTTP/1.1", "http/1.1", "", ""},
		{"headers, a byte a second, HTTP/1.1", "http/1.1", "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ", "a"},
		{"nothing after the handshake", "h2", "", ""},
		{"half a preface", "h2", preface[:12], ""},
		{"a preface, a byte a second", "h2", preface[:2], preface[2:]},
		{"no settings", "h2", preface, ""},
		{"half a SETTINGS frame", "h2", preface + frame(6, settingsFrame, 0, 0, "\x00")[:7], ""},
		{"nothing more, pings unanswered", "h2", hello, ""},
		{"half the head of a frame", "h2", hello + frame(len(post), headersFrame, endHeaders, 1, "")[:5], ""},
		{"half a HEADERS frame", "h2", hello + frame(len(post), headersFrame, endHeaders, 1, post[:4]), ""},
		{"a HEADERS frame, a byte a second", "h2", hello + frame(200, headersFrame, endHeaders, 1, ""), "\x00"},
		{"HEADERS without their end", "h2", hello + frame(len(post), headersFrame, 0, 1, post), ""},
		{"CONTINUATION, a byte a second", "h2", hello + frame(len(post), headersFrame, 0, 1, post), frame(1, continuationFrame, 0, 1, "\x00")},
		{"half a CONTINUATION frame", "h2", hello + frame(len(post), headersFrame, 0, 1, post) + frame(9, continuationFrame, 0, 1, "\x00"), ""},
		{"no body", "h2", posted, ""},
		{"half a DATA frame", "h2", posted + frame(100, dataFrame, 0, 1, "{"), ""},
		{"a DATA frame, a byte a second", "h2", posted + frame(100, dataFrame, 0, 1, "{"), " "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubbleWith(t, overTLS(t), func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("a body that never came was read")
				}
				w.WriteHeader(http.StatusBadRequest)
			}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				if tt.protocol != "" {
					conn = speaking(t, conn, tt.protocol)
				}
				if held, answer := cutOff(conn, tt.first, tt.drip, true); held > 12*time.Second {
					t.Errorf("the connection was held for %s, want 10 s at most (answer %.80q)", held, answer)
				}
			})
		})
	}
}

// TestSlowBodiesOverHTTP2: a body that comes in whole frames, one a second, ends
// its request in time, and the connection serves others.
func TestSlowBodiesOverHTTP2(t *testing.T) {
	ended := make(chan time.Duration, 1)
	inBubbleWith(t, overTLS(t), func(_ http.ResponseWriter, r *http.Request) {
		began := time.Now()
		_, _ = io.Copy(io.Discard, r.Body)
		ended <- time.Since(began)
	}, func(t *testing.T, dial func() net.Conn) {
		client, _ := speaker(dial)
		defer client.CloseIdleConnections()
		body, writer := io.Pipe()
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range 60 {
				time.Sleep(time.Second)
				if _, err := io.WriteString(writer, " "); err != nil {
					return
				}
			}
		}()
		if res, err := client.Post("https://a.example/graphql", "application/json", body); err == nil {
			_ = res.Body.Close()
		}
		_ = writer.Close()
		<-written
		if held := <-ended; held < 9*time.Second || held > 12*time.Second {
			t.Errorf("the request was held for %s, want 10 s", held)
		}
		res, err := client.Get("https://a.example/livez")
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("after it: got %v (%v), want 200", res, err)
		}
		_ = res.Body.Close()
	})
}

// speaker is a client of HTTP/2 and how often it connected.
func speaker(dial func() net.Conn) (*http.Client, func() int) {
	dials := 0
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { dials++; return dial(), nil },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true,
	}}, func() int { return dials }
}

// TestIdleOverHTTP2: a client that says nothing keeps its connection for as long
// as on HTTP/1.1, because it answers pings.
func TestIdleOverHTTP2(t *testing.T) {
	inBubbleWith(t, overTLS(t), func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, dial func() net.Conn) {
		client, dials := speaker(dial)
		defer client.CloseIdleConnections()
		for i, pause := range []time.Duration{0, 9 * time.Second, 115 * time.Second, 125 * time.Second} {
			time.Sleep(pause)
			res, err := client.Get("https://a.example/livez")
			if err != nil || res.ProtoMajor != 2 {
				t.Fatalf("after %s: got %v (%v), want an answer over HTTP/2", pause, res, err)
			}
			_ = res.Body.Close()
			if want := 1 + i/3; dials() != want {
				t.Errorf("after %s without a request: got %d connections, want %d", pause, dials(), want)
			}
		}
	})
}
