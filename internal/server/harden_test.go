package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/server"
)

// always are the headers of every answer that this package writes.
var always = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
}

const apiPolicy = "default-src 'none'; frame-ancestors 'none'"

func TestHeadersOnEveryPath(t *testing.T) {
	cfg := config(t)
	cfg.RootToExplorer = true
	cfg.Explorer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/explorer/panic" {
			panic("x")
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'")
		_, _ = io.WriteString(w, "explorer")
	})
	s := open(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Panic") != "" {
			panic("x")
		}
		_, _ = io.WriteString(w, "{}")
	})
	unready, err := server.New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		on           http.Handler
		method, path string
		status       int
		headers      []string
	}{
		{s, "POST", "/graphql", 200, nil},
		{s, "OPTIONS", "/graphql", 204, []string{"Origin", page}},
		{s, "OPTIONS", "/graphql", 403, []string{"Origin", "https://evil.example.com"}},
		{s, "POST", "/graphql", 403, []string{"Origin", "https://evil.example.com"}},
		{s, "POST", "/graphql", 500, []string{"X-Panic", "1"}},
		{unready, "POST", "/graphql", 503, nil},
		{s, "GET", "/.well-known/jwks.json", 200, nil},
		{s, "POST", "/.well-known/jwks.json", 405, nil},
		{s, "GET", "/livez", 200, nil},
		{s, "DELETE", "/livez", 405, nil},
		{s, "GET", "/readyz", 200, nil},
		{unready, "GET", "/readyz", 503, nil},
		{s, "GET", "/explorer", 200, nil},
		{s, "GET", "/explorer/x", 200, nil},
		{s, "GET", "/explorer/panic", 500, nil},
		{s, "GET", "/", 307, nil},
		{s, "GET", "/nothing", 404, nil},
		{s, "GET", "//graphql", 307, nil},
		{s, "GET", "/a/../graphql", 307, nil},
		{s, "CONNECT", "/nothing", 404, nil},
	} {
		res := do(tt.on, tt.method, tt.path, tt.headers...)
		if res.StatusCode != tt.status {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, res.StatusCode, tt.status)
		}
		for name, want := range always {
			if got := res.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s %s (%d): got %s %q, want %q", tt.method, tt.path, res.StatusCode, name, got, want)
			}
		}
		policy := apiPolicy
		if got := res.Header.Get("Cache-Control"); res.StatusCode >= 500 && got != "no-store" {
			t.Errorf("%s %s (%d): got Cache-Control %q, want no-store", tt.method, tt.path, res.StatusCode, got)
		}
		if strings.HasPrefix(tt.path, "/explorer") && res.StatusCode == 200 {
			policy = "default-src 'none'; script-src 'self'"
		}
		if got := res.Header.Values("Content-Security-Policy"); len(got) != 1 || got[0] != policy {
			t.Errorf("%s %s (%d): got policy %q, want %q", tt.method, tt.path, res.StatusCode, got, policy)
		}
		for _, banner := range []string{"Server", "X-Powered-By", "Via", "Strict-Transport-Security"} {
			if got := res.Header.Get(banner); got != "" {
				t.Errorf("%s %s (%d): got %s %q, want none", tt.method, tt.path, res.StatusCode, banner, got)
			}
		}
	}
}

// A browser is told to come back encrypted when it came encrypted: to this
// server, or to a proxy that may say so.
func TestStrictTransportSecurity(t *testing.T) {
	s := open(t, config(t), func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"plain", "203.0.113.9:1", nil, ""},
		{"a client that says so", "203.0.113.9:1", []string{"https"}, ""},
		{"a proxy that says so", "10.0.0.1:1", []string{"https"}, "max-age=31536000"},
		{"a proxy in other case", "[::ffff:10.0.0.1]:1", []string{"HTTPS"}, "max-age=31536000"},
		{"a proxy of plain HTTP", "10.0.0.1:1", []string{"http"}, ""},
		{"a proxy that says nothing", "10.0.0.1:1", nil, ""},
		{"a proxy that says two things", "10.0.0.1:1", []string{"https", "http"}, ""},
		{"a proxy that repeats a client", "10.0.0.1:1", []string{"https,http"}, ""},
		{"no peer", "@", []string{"https"}, ""},
	} {
		for _, path := range []string{"/graphql", "/livez", "/nothing"} {
			r := httptest.NewRequest(http.MethodPost, path, nil)
			r.RemoteAddr = tt.peer
			if tt.forwarded != nil {
				r.Header["X-Forwarded-Proto"] = tt.forwarded
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if got := w.Header().Get("Strict-Transport-Security"); got != tt.want {
				t.Errorf("%s, %s: got %q, want %q", tt.name, path, got, tt.want)
			}
		}
	}
}

// What the gate refuses has the form that the transport would have chosen.
func TestRefusalsAreNegotiated(t *testing.T) {
	const graphql, plain = "application/graphql-response+json; charset=utf-8", "application/json; charset=utf-8"
	s := open(t, config(t), func(http.ResponseWriter, *http.Request) { panic("x") })
	unready, err := server.New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, refusal := range []struct {
		on      http.Handler
		status  int
		code    string
		headers []string
	}{
		{s, 403, "CROSS_ORIGIN_REQUEST", []string{"Origin", "https://evil.example.com"}},
		{s, 500, "INTERNAL_SERVER_ERROR", nil},
		{unready, 503, "UNAVAILABLE", nil},
	} {
		for accept, want := range map[string]string{
			"application/graphql-response+json":                         graphql,
			"application/graphql-response+json, application/json;q=0.9": graphql,
			"application/json": plain,
			"*/*":              plain,
			"application/json, application/graphql-response+json;q=0.1": plain,
			"text/html": plain,
		} {
			res := do(refusal.on, "POST", "/graphql", append([]string{"Accept", accept}, refusal.headers...)...)
			if got := res.Header.Get("Content-Type"); got != want || res.StatusCode != refusal.status {
				t.Errorf("%s, Accept %s: got %d %q, want %d %q", refusal.code, accept, res.StatusCode, got, refusal.status, want)
			}
			if got := code(t, res); got != refusal.code {
				t.Errorf("Accept %s: got code %s, want %s", accept, got, refusal.code)
			}
		}
	}
}

// smuggle sends raw bytes over one connection and returns all that came back. A
// server that has refused resets the connection after half a second, and with it
// an answer that nobody read yet: then it is asked again.
func smuggle(t *testing.T, url, raw string) string {
	t.Helper()
	var err error
	for range 5 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", strings.TrimPrefix(url, "http://")); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		go func() { _, _ = io.WriteString(conn, raw) }()
		var answer []byte
		answer, err = io.ReadAll(conn)
		_ = conn.Close()
		if len(answer) > 0 {
			return string(answer)
		}
	}
	t.Errorf("%.60q: no answer: %v", raw, err)
	return ""
}

// Where two parties could see the end of a request in different places, nothing
// after it is taken for a request, and what is plainly wrong is refused.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	var smuggled atomic.Int32
	url, _, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Smuggled") != "" {
			smuggled.Add(1)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	const inner = "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Smuggled: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	post := func(headers, body string) string {
		return "POST /graphql HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", len("0\r\n\r\n"+inner))
	for _, tt := range []struct {
		name, raw string
		status    string
	}{
		{"both lengths", post(length+"Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+inner), "200"},
		{"both lengths, HTTP/1.0", strings.Replace(post("Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+inner), "HTTP/1.1", "HTTP/1.0", 1), "200"},
		{"chunked alone", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+inner), "200"},
		{"two lengths", post("Content-Length: 0\r\nContent-Length: 5\r\n", inner), "400"},
		{"two lengths in one", post("Content-Length: 0, 5\r\n", inner), "400"},
		{"signed length", post("Content-Length: +0\r\n", inner), "400"},
		{"negative length", post("Content-Length: -1\r\n", inner), "400"},
		{"empty length", post("Content-Length: \r\n", inner), "400"},
		{"length in hex", post("Content-Length: 0x0\r\n", inner), "400"},
		{"other coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"+inner), "501"},
		{"two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+inner), "501"},
		{"odd coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"+inner), "501"},
		{"blank before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"+inner), "400"},
		{"chunk size in words", post("Transfer-Encoding: chunked\r\n", "zz\r\n\r\n"+inner), "200"},
		{"chunk size too long", post("Transfer-Encoding: chunked\r\n", strings.Repeat("0", 40)+"1\r\na\r\n0\r\n\r\n"+inner), "200"},
		{"folded header", post("X: a\r\n Content-Length: 5\r\nContent-Length: 0\r\nConnection: close\r\n", ""), "200"},
		{"no host", "POST /graphql HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + inner, "400"},
		{"two hosts", post("Host: y\r\nContent-Length: 0\r\n", inner), "400"},
		{"null in a header", post("X: a\x00b\r\nContent-Length: 0\r\n", inner), "400"},
		{"bare return", post("X: a\rContent-Length: 5\r\nContent-Length: 0\r\n", inner), "400"},
	} {
		answer := smuggle(t, url, tt.raw)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) && !strings.HasPrefix(answer, "HTTP/1.0 "+tt.status) {
			t.Errorf("%s: got %.60q, want status %s", tt.name, answer, tt.status)
		}
		if n := smuggled.Swap(0); n != 0 {
			t.Errorf("%s: the request inside was answered", tt.name)
		}
		if n := strings.Count(answer, "HTTP/1."); n != 1 {
			t.Errorf("%s: got %d answers, want one and the end of the connection", tt.name, n)
		}
	}
}

// Plain requests keep their connection.
func TestConnectionsAreKept(t *testing.T) {
	url, _, _ := serving(t, func(http.ResponseWriter, *http.Request) {})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	for i := range 3 {
		_, _ = io.WriteString(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		res, err := http.ReadResponse(answers, nil)
		if err != nil || res.StatusCode != 200 || res.Close {
			t.Fatalf("request %d: got %v and error %v, want 200 on a connection that stays", i+1, res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}
}

// Floods of headers end at the limit, whatever they are made of.
func TestHeaderFloods(t *testing.T) {
	url, _, _ := serving(t, func(http.ResponseWriter, *http.Request) { t.Error("a flood was executed") })
	lines := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, headers := range map[string]string{
		"one long header":  "X-Pad: " + strings.Repeat("a", 17<<10) + "\r\n",
		"many headers":     lines(2000, "X-%d: a\r\n"),
		"the same header":  strings.Repeat("X: a\r\n", 3000),
		"a huge cookie":    "Cookie: __Host-pawl-refresh=" + strings.Repeat("a", 17<<10) + "\r\n",
		"many cookies":     "Cookie: " + lines(3000, "c%d=a; ") + "\r\n",
		"many cookie rows": strings.Repeat("Cookie: a=b\r\n", 2000),
		"a long token":     "Authorization: Bearer " + strings.Repeat("a", 17<<10) + "\r\n",
		"many forwarded":   "X-Forwarded-For: " + strings.Repeat("10.0.0.1, ", 2000) + "\r\n",
	} {
		answer := smuggle(t, url, "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+headers+"Content-Length: 0\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
			t.Errorf("%s: got %.60q, want 431", name, answer)
		}
	}
	answer := smuggle(t, url, "GET /"+strings.Repeat("a", 17<<10)+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("long request line: got %.60q, want 431", answer)
	}
}
