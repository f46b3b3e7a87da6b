package server_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/refreshcookie"
	"github.com/pawlauth/pawl/internal/server"
)

const (
	page    = "https://app.example.com"
	webview = "capacitor://localhost"
	both    = "https://both.example.com"
)

// config logs into own, too.
func config(t testing.TB, own ...io.Writer) server.Config {
	t.Helper()
	var handlers []slog.Handler
	for _, w := range own {
		handlers = append(handlers, slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return server.Config{
		JWKS:           func() []byte { return []byte(`{"keys":[]}`) },
		Cookie:         refreshcookie.New(refreshcookie.Config{Secure: true}),
		DeviceCookie:   refreshcookie.NewDevice(refreshcookie.Config{Secure: true}),
		AllowedOrigins: []string{page, both},
		WebviewOrigins: []string{webview, both},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Log:            logtest.New(t, handlers...),
	}
}

// open is a server whose GraphQL handler is h.
func open(t *testing.T, cfg server.Config, h http.HandlerFunc) *server.Server {
	t.Helper()
	s, err := server.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	s.Open(h)
	return s
}

func do(h http.Handler, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader("{}"))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return string(body)
}

func code(t *testing.T, res *http.Response) string {
	t.Helper()
	var answer struct {
		Data   *json.RawMessage
		Errors []struct{ Extensions struct{ Code string } }
	}
	body := text(t, res)
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("answer %q is not JSON: %v", body, err)
	}
	if answer.Data != nil || len(answer.Errors) != 1 {
		t.Fatalf("answer %q: want one error and no data", body)
	}
	return answer.Errors[0].Extensions.Code
}

func TestPaths(t *testing.T) {
	cfg := config(t)
	cfg.Explorer = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "explorer") })
	cfg.RootToExplorer = true
	s := open(t, cfg, func(w http.ResponseWriter, _ *http.Request) {})
	bare := open(t, config(t), func(w http.ResponseWriter, _ *http.Request) {})
	cfg.RootToExplorer = false
	noRoot := open(t, cfg, func(w http.ResponseWriter, _ *http.Request) {})
	for _, tt := range []struct {
		on           http.Handler
		method, path string
		status       int
		header, want string
	}{
		{s, "GET", "/livez", 200, "X-Content-Type-Options", "nosniff"},
		{s, "GET", "/readyz", 200, "Cache-Control", "no-store"},
		{s, "GET", "/.well-known/jwks.json", 200, "Cache-Control", "public, max-age=300"},
		{s, "GET", "/.well-known/jwks.json", 200, "Content-Type", "application/jwk-set+json"},
		{s, "POST", "/.well-known/jwks.json", 405, "Allow", "GET, HEAD"},
		{s, "GET", "/explorer", 200, "Referrer-Policy", "no-referrer"},
		{s, "GET", "/explorer/x.js", 200, "Referrer-Policy", "no-referrer"},
		{s, "GET", "/", 307, "Location", "/explorer"},
		{s, "GET", "/nothing", 404, "X-Content-Type-Options", "nosniff"},
		{s, "GET", "/metrics", 404, "X-Content-Type-Options", "nosniff"},
		{s, "GET", "/debug/pprof/", 404, "X-Content-Type-Options", "nosniff"},
		{noRoot, "GET", "/", 404, "Location", ""},
		{noRoot, "GET", "/explorer", 200, "Referrer-Policy", "no-referrer"},
		{bare, "GET", "/", 404, "X-Content-Type-Options", "nosniff"},
		{bare, "GET", "/explorer", 404, "X-Content-Type-Options", "nosniff"},
	} {
		res := do(tt.on, tt.method, tt.path)
		if res.StatusCode != tt.status || res.Header.Get(tt.header) != tt.want {
			t.Errorf("%s %s: got %d and %s %q, want %d and %q", tt.method, tt.path,
				res.StatusCode, tt.header, res.Header.Get(tt.header), tt.status, tt.want)
		}
	}
}

func TestNotReadyBeforeOpen(t *testing.T) {
	s, err := server.New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := do(s, "GET", "/livez").StatusCode; got != 200 {
		t.Errorf("livez before Open: got %d, want 200", got)
	}
	if got := do(s, "GET", "/readyz").StatusCode; got != 503 {
		t.Errorf("readyz before Open: got %d, want 503", got)
	}
	res := do(s, "POST", "/graphql", "Origin", page)
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || res.Header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("graphql before Open: got %d %v, want 503 with Retry-After and CORS headers", res.StatusCode, res.Header)
	}
	if got := code(t, res); got != "UNAVAILABLE" {
		t.Errorf("graphql before Open: got code %s, want UNAVAILABLE", got)
	}
}

// TestHalted: a server that may not answer for now says so, and nobody's request
// is carried out meanwhile.
func TestHalted(t *testing.T) {
	cfg, halted, served := config(t), false, 0
	cfg.Halted = func() bool { return halted }
	s := open(t, cfg, func(http.ResponseWriter, *http.Request) { served++ })
	for _, halted = range []bool{false, true, false} {
		want, before := 200, served
		if halted {
			want = 503
		}
		if got := do(s, "GET", "/readyz").StatusCode; got != want {
			t.Errorf("readyz, halted %t: got %d, want %d", halted, got, want)
		}
		res := do(s, "POST", "/graphql")
		if res.StatusCode != want || (served > before) == halted {
			t.Errorf("graphql, halted %t: got %d, carried out: %t, want %d", halted, res.StatusCode, served > before, want)
		}
		if halted && (code(t, res) != "UNAVAILABLE" || res.Header.Get("Retry-After") != "1") {
			t.Errorf("graphql, halted: got %v, want UNAVAILABLE with Retry-After", res.Header)
		}
		if got := do(s, "GET", "/livez").StatusCode; got != 200 {
			t.Errorf("livez, halted %t: got %d, want 200", halted, got)
		}
	}
}

// TestChannels holds who may use the cookie, who may send tokens in bodies, and
// who is refused before anything runs.
func TestChannels(t *testing.T) {
	type row struct {
		name         string
		headers      []string
		refused      bool
		cookie, body bool
	}
	rows := []row{
		{"no browser", nil, false, false, true},
		{"listed page", []string{"Origin", page}, false, true, false},
		{"listed page, same-site", []string{"Origin", page, "Sec-Fetch-Site", "same-site"}, false, true, false},
		{"listed page, same-origin", []string{"Origin", page, "Sec-Fetch-Site", "same-origin"}, false, true, false},
		{"listed page, cross-site", []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, false, false, false},
		{"listed page, cross-site among two", []string{"Origin", page, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Site", "Cross-Site"}, false, false, false},
		{"no origin, fetch metadata", []string{"Sec-Fetch-Site", "none"}, false, false, false},
		{"no origin, cross-site", []string{"Sec-Fetch-Site", "cross-site"}, false, false, false},
		{"webview", []string{"Origin", webview}, false, false, true},
		{"webview, cross-site", []string{"Origin", webview, "Sec-Fetch-Site", "cross-site"}, false, false, true},
		{"on both lists", []string{"Origin", both}, false, true, true},
		{"unlisted", []string{"Origin", "https://evil.example.com"}, true, false, false},
		{"null", []string{"Origin", "null"}, true, false, false},
		{"empty", []string{"Origin", ""}, true, false, false},
		{"doubled", []string{"Origin", page, "Origin", page}, true, false, false},
		{"joined", []string{"Origin", page + ", " + page}, true, false, false},
		{"other case", []string{"Origin", "https://APP.example.com"}, true, false, false},
		{"longer", []string{"Origin", page + ".evil.com"}, true, false, false},
		{"other scheme", []string{"Origin", "http://app.example.com"}, true, false, false},
		{"other port", []string{"Origin", page + ":444"}, true, false, false},
		{"trailing slash", []string{"Origin", page + "/"}, true, false, false},
	}
	check := func(t *testing.T, cfg server.Config, tt row) {
		t.Helper()
		var caller *auth.Caller
		var told []auth.Caller
		var log strings.Builder
		cfg.CrossOrigin = func(c auth.Caller) { told = append(told, c) }
		cfg.Log = logtest.New(t, slog.NewJSONHandler(&log, nil))
		s := open(t, cfg, func(_ http.ResponseWriter, r *http.Request) {
			c := auth.CallerFrom(r.Context())
			caller = &c
		})
		res := do(s, "POST", "/graphql", tt.headers...)
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Vary") != "Origin" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v: want no-store, Vary: Origin, nosniff", res.Header)
		}
		refusals := 0
		if tt.refused {
			refusals = 1
		}
		if len(told) != refusals || strings.Count(log.String(), "request.cross_origin_rejected") != refusals {
			t.Errorf("told of %v and logged %q, want %d refusals", told, log.String(), refusals)
		}
		if tt.refused {
			if len(told) == 1 && told[0].Address.String() != "192.0.2.1" {
				t.Errorf("told of somebody at %s, want 192.0.2.1", told[0].Address)
			}
			if caller != nil || res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Fatalf("got %d, executed %t, CORS %q; want 403 before execution, without CORS headers",
					res.StatusCode, caller != nil, res.Header.Get("Access-Control-Allow-Origin"))
			}
			if got := code(t, res); got != "CROSS_ORIGIN_REQUEST" {
				t.Errorf("got code %s, want CROSS_ORIGIN_REQUEST", got)
			}
			return
		}
		if caller == nil {
			t.Fatalf("got %d without execution, want it to go through", res.StatusCode)
		}
		if caller.CookieAllowed != tt.cookie || caller.BodyAllowed != tt.body {
			t.Errorf("got cookie %t body %t, want cookie %t body %t", caller.CookieAllowed, caller.BodyAllowed, tt.cookie, tt.body)
		}
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) { check(t, config(t), tt) })
	}
	t.Run("cross-site cookies chosen", func(t *testing.T) {
		cfg := config(t)
		cfg.CrossSiteCookies = true
		check(t, cfg, row{"", []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, false, true, false})
		check(t, cfg, row{"", []string{"Sec-Fetch-Site", "cross-site"}, false, false, false})
	})
}

func TestCORS(t *testing.T) {
	s := open(t, config(t), func(http.ResponseWriter, *http.Request) { t.Error("a preflight was executed") })
	for _, origin := range []string{page, webview} {
		res := do(s, "OPTIONS", "/graphql", "Origin", origin, "Access-Control-Request-Method", "POST")
		want := map[string]string{
			"Access-Control-Allow-Origin":      origin,
			"Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Headers":     "authorization, content-type",
			"Access-Control-Allow-Methods":     "POST",
			"Access-Control-Max-Age":           "600",
			"Access-Control-Expose-Headers":    "Retry-After",
			"Vary":                             "Origin",
			"Cache-Control":                    "no-store",
		}
		if res.StatusCode != 204 {
			t.Errorf("preflight of %s: got %d, want 204", origin, res.StatusCode)
		}
		for name, value := range want {
			if got := res.Header.Get(name); got != value {
				t.Errorf("preflight of %s: got %s %q, want %q", origin, name, got, value)
			}
		}
	}
	for _, headers := range [][]string{{"Origin", "https://evil.example.com"}, {"Origin", "null"}, {"Origin", page, "Origin", page}} {
		res := do(s, "OPTIONS", "/graphql", headers...)
		if res.StatusCode != 403 {
			t.Errorf("preflight of %v: got %d, want 403", headers, res.StatusCode)
		}
		for name := range res.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("preflight of %v: got %s, want no CORS header", headers, name)
			}
		}
	}
	if res := do(s, "OPTIONS", "/graphql"); res.StatusCode != 204 || res.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("OPTIONS without origin: got %d Allow %q, want 204 and the methods", res.StatusCode, res.Header.Get("Allow"))
	}
}

// TestOtherMethodsReachTheTransport: the handler answers 405 in its own way.
func TestOtherMethodsReachTheTransport(t *testing.T) {
	s := open(t, config(t), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) })
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
		if got := do(s, method, "/graphql").StatusCode; got != 405 {
			t.Errorf("%s: got %d, want the handler's 405", method, got)
		}
	}
}

func TestPanicTellsNothing(t *testing.T) {
	var log strings.Builder
	s := open(t, config(t, &log), func(http.ResponseWriter, *http.Request) { panic("hunter2 is the password") })
	res := do(s, "POST", "/graphql")
	body := text(t, res)
	if res.StatusCode != 500 || !strings.Contains(body, `"INTERNAL_SERVER_ERROR"`) || strings.Contains(body, "hunter2") {
		t.Errorf("got %d %s, want 500 with INTERNAL_SERVER_ERROR and no details", res.StatusCode, body)
	}
	if !strings.Contains(log.String(), "server_test.go") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("log: want the stack and not the value, got %s", log.String())
	}
}

func TestCallerCarriesCredentials(t *testing.T) {
	var got auth.Caller
	s := open(t, config(t), func(_ http.ResponseWriter, r *http.Request) { got = auth.CallerFrom(r.Context()) })
	do(s, "POST", "/graphql", "Authorization", "bearer abc.def",
		"Cookie", "__Host-pawl-refresh=one; __Host-pawl-device=three; __Host-pawl-refresh=two", "User-Agent", "phone\x01")
	if got.AccessToken.Reveal() != "abc.def" || got.AccessInvalid {
		t.Errorf("access token: got %q invalid %t", got.AccessToken.Reveal(), got.AccessInvalid)
	}
	if len(got.RefreshCookies) != 2 || got.RefreshCookies[1].Reveal() != "two" {
		t.Errorf("cookies: got %d of them, want both", len(got.RefreshCookies))
	}
	if len(got.DeviceCookies) != 1 || got.DeviceCookies[0].Reveal() != "three" {
		t.Errorf("device cookies: got %d of them, want the one", len(got.DeviceCookies))
	}
	if got.UserAgent != "phone" || got.Address != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("got %q from %s, want phone from 192.0.2.1", got.UserAgent, got.Address)
	}
}

func TestCheckOrigin(t *testing.T) {
	for _, tt := range []struct {
		origin        string
		page, webview bool
	}{
		{"https://app.example.com", true, true},
		{"http://localhost:3000", true, true},
		{"http://127.0.0.1:8080", true, true},
		{"http://[::1]:8080", true, true},
		{"capacitor://localhost", false, true},
		{"https://app.example.com/", false, false},
		{"https://app.example.com/x", false, false},
		{"https://app.example.com?x", false, false},
		{"https://app.example.com#x", false, false},
		{"https://app.example.com:443", false, false},
		{"http://app.example.com:80", false, false},
		{"https://app.example.com:0443", false, false},
		{"https://app.example.com:99999", false, false},
		{"https://app.example.com:", false, false},
		{"https://App.example.com", false, false},
		{"https://*.example.com", false, false},
		{"*", false, false},
		{"null", false, false},
		{"", false, false},
		{"app.example.com", false, false},
		{"https://", false, false},
		{"https://user@app.example.com", false, false},
		{"https://bücher.example", false, false},
		{"https://a b", false, false},
		{"http://[::0001]:80", false, false},
		{"http://[fe80::1%25eth0]", false, false},
	} {
		if err := server.CheckOrigin(tt.origin, false); (err == nil) != tt.page {
			t.Errorf("page %q: got %v, want accepted %t", tt.origin, err, tt.page)
		}
		if err := server.CheckOrigin(tt.origin, true); (err == nil) != tt.webview {
			t.Errorf("webview %q: got %v, want accepted %t", tt.origin, err, tt.webview)
		}
	}
}
