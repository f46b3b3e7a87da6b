package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/graph/generated"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/refreshcookie"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// logBuffer keeps everything that is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// rig is a handler and what it logged.
type rig struct {
	handler http.Handler
	log     *logBuffer
	caller  auth.Caller
	ctx     context.Context // of requests, when not nil
}

// within sends a document in a context.
func (r *rig) within(t testing.TB, ctx context.Context, query string) *answer {
	t.Helper()
	inner := *r
	inner.ctx = ctx
	return inner.query(t, query, nil)
}

func config(t testing.TB, log *logBuffer) graph.Config {
	t.Helper()
	return graph.Config{
		Auth:          &auth.Service{},
		Cookie:        refreshcookie.New(refreshcookie.Config{Secure: true}),
		DeviceCookie:  refreshcookie.NewDevice(refreshcookie.Config{Secure: true}),
		Introspection: true,
		Log:           logtest.New(t, slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:           time.Now,
	}
}

// newRig is a handler whose verbs have no stores: for what is decided before.
func newRig(t testing.TB, change ...func(*graph.Config)) *rig {
	t.Helper()
	log := &logBuffer{}
	cfg := config(t, log)
	for _, f := range change {
		f(&cfg)
	}
	handler, err := graph.NewHandler(cfg)
	if err != nil {
		t.Fatalf("NewHandler: %v", err)
	}
	return &rig{handler: handler, log: log}
}

// newStubRig is a handler whose root fields are answered by s.
func newStubRig(t testing.TB, s *stub, change ...func(*graph.Config)) *rig {
	t.Helper()
	log := &logBuffer{}
	cfg := config(t, log)
	for _, f := range change {
		f(&cfg)
	}
	open := func(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) }
	handler, err := graph.NewHandlerFor(cfg, generated.Config{
		Resolvers: s,
		Directives: generated.DirectiveRoot{
			Public: open,
			Auth: func(ctx context.Context, obj any, next graphql.Resolver, _ user.Role) (any, error) {
				return open(ctx, obj, next)
			},
		},
	})
	if err != nil {
		t.Fatalf("NewHandlerFor: %v", err)
	}
	return &rig{handler: handler, log: log}
}

// answer is a response, read as far as tests ask.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	raw    string
	Data   json.RawMessage `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Locations  []any          `json:"locations"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
}

func (a *answer) hasData() bool { return strings.Contains(a.raw, `"data":`) }

func (a *answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

// at is the value behind a dotted path in the data.
func (a *answer) at(path string) any {
	a.t.Helper()
	var value any
	if err := json.Unmarshal(a.Data, &value); err != nil {
		a.t.Fatalf("data of %s: %v", a.raw, err)
	}
	for step := range strings.SplitSeq(path, ".") {
		fields, ok := value.(map[string]any)
		if !ok {
			a.t.Fatalf("no %q in %s", path, a.raw)
		}
		value = fields[step]
	}
	return value
}

func (a *answer) text(path string) string {
	a.t.Helper()
	s, ok := a.at(path).(string)
	if !ok {
		a.t.Fatalf("no text at %q in %s", path, a.raw)
	}
	return s
}

// send sends a body as it is; header lines are "Name: value".
func (r *rig) send(t testing.TB, method, body string, headers ...string) *answer {
	t.Helper()
	request := httptest.NewRequest(method, "/graphql", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	seen := map[string]bool{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if !seen[name] {
			request.Header.Del(name)
		}
		seen[name] = true
		if value != "-" {
			request.Header.Add(name, value)
		}
	}
	if request.Header.Get("Transfer-Encoding") == "chunked" {
		request.ContentLength = -1
	}
	if r.ctx != nil {
		request = request.WithContext(r.ctx)
	}
	recorder := httptest.NewRecorder()
	r.handler.ServeHTTP(recorder, request.WithContext(auth.WithCaller(request.Context(), r.caller)))
	out := &answer{t: t, status: recorder.Code, header: recorder.Result().Header, raw: recorder.Body.String()}
	if recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), out); err != nil {
			t.Fatalf("answer to %.200s is not JSON: %v\n%s", body, err, out.raw)
		}
	}
	return out
}

// query sends a document with variables (nil for none).
func (r *rig) query(t testing.TB, query string, variables map[string]any, headers ...string) *answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return r.send(t, http.MethodPost, string(body), headers...)
}

const acceptGraphQL = "Accept: application/graphql-response+json"

// stub answers every root field with err, or with its field.
type stub struct {
	err     error
	panic   any
	mu      sync.Mutex
	calls   int
	login   auth.LoginResult
	refresh *auth.RefreshTokenPayload
	during  func(ctx context.Context) error
}

func (s *stub) Query() generated.QueryResolver       { return s }
func (s *stub) Mutation() generated.MutationResolver { return s }

func (s *stub) answer(ctx context.Context) error {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	if s.panic != nil {
		panic(s.panic)
	}
	if s.during != nil {
		return s.during(ctx)
	}
	return s.err
}

func (s *stub) Me(ctx context.Context) (*user.User, error) {
	return &user.User{
		ID: uuid.NameSpaceDNS, Email: "a", Role: user.RoleUser, CreatedAt: time.Unix(1, 0),
	}, s.answer(ctx)
}

func (s *stub) MySessions(ctx context.Context) ([]session.Session, error) {
	return nil, s.answer(ctx)
}

func (s *stub) Sessions(ctx context.Context, userID string) ([]session.Session, error) {
	return []session.Session{}, s.answer(ctx)
}

func (s *stub) Login(ctx context.Context, input auth.LoginInput) (auth.LoginResult, error) {
	return s.login, s.answer(ctx)
}

func (s *stub) RefreshToken(ctx context.Context, input *auth.RefreshTokenInput) (*auth.RefreshTokenPayload, error) {
	return s.refresh, s.answer(ctx)
}

func (s *stub) Logout(ctx context.Context, input *auth.LogoutInput) (*auth.LogoutPayload, error) {
	return &auth.LogoutPayload{}, s.answer(ctx)
}

func (s *stub) RevokeSession(ctx context.Context, input auth.RevokeSessionInput) (*auth.RevokeSessionPayload, error) {
	return &auth.RevokeSessionPayload{}, s.answer(ctx)
}

func (s *stub) RevokeAllSessions(ctx context.Context, input *auth.RevokeAllSessionsInput) (*auth.RevokeAllSessionsPayload, error) {
	return &auth.RevokeAllSessionsPayload{SessionIDs: []uuid.UUID{}}, s.answer(ctx)
}

func (s *stub) ChangePassword(ctx context.Context, input auth.ChangePasswordInput) (auth.ChangePasswordResult, error) {
	return nil, s.answer(ctx)
}

func (s *stub) RevokeUserSessions(ctx context.Context, input auth.RevokeUserSessionsInput) (*auth.RevokeAllSessionsPayload, error) {
	return &auth.RevokeAllSessionsPayload{SessionIDs: []uuid.UUID{}}, s.answer(ctx)
}
