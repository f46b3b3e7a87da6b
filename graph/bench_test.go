package graph_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
)

// sink is a response that is thrown away.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func benchmark(b *testing.B, handler http.Handler, caller auth.Caller, body string) {
	ctx := auth.WithCaller(b.Context(), caller)
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		w := &sink{header: http.Header{}}
		handler.ServeHTTP(w, request)
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}

// The least a request costs: body, cached document, answer.
func BenchmarkTypename(b *testing.B) {
	benchmark(b, newRig(b).handler, auth.Caller{}, typename)
}

// A verified access token and no store.
func BenchmarkMe(b *testing.B) {
	w := newWorld(b)
	c := w.client(app)
	c.login("ada@example.com")
	caller := c.caller
	caller.AccessToken = secret.New(c.access)
	benchmark(b, w.handler, caller, `{"query":"{me{id role}}"}`)
}

// A refresh within the grace, with the memory store: all but the turn.
func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b)
	c := w.client(app)
	c.login("ada@example.com")
	body := `{"query":"mutation($i:RefreshTokenInput){refreshToken(input:$i){rotated refreshToken accessToken{token expiresIn} session{id}}}",` +
		`"variables":{"i":{"refreshToken":"` + c.refresh + `"}}}`
	benchmark(b, w.handler, c.caller, body)
}
