package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

func TestErrorCodes(t *testing.T) {
	for _, c := range []struct {
		err          error
		code, reason string
		retryAfter   any
	}{
		{auth.ErrTokenMissing, "UNAUTHENTICATED", "TOKEN_MISSING", nil},
		{auth.ErrTokenExpired, "UNAUTHENTICATED", "TOKEN_EXPIRED", nil},
		{auth.ErrTokenInvalid, "UNAUTHENTICATED", "TOKEN_INVALID", nil},
		{auth.ErrSessionRevoked, "UNAUTHENTICATED", "SESSION_REVOKED", nil},
		{user.ErrNotFound, "UNAUTHENTICATED", "SESSION_REVOKED", nil},
		{auth.ErrForbidden, "FORBIDDEN", "", nil},
		{auth.ErrRefreshMissing, "REFRESH_TOKEN_INVALID", "MISSING", nil},
		{auth.ErrRefreshMalformed, "REFRESH_TOKEN_INVALID", "MALFORMED", nil},
		{auth.ErrRefreshExpired, "REFRESH_TOKEN_INVALID", "EXPIRED", nil},
		{auth.ErrRefreshRevoked, "REFRESH_TOKEN_INVALID", "REVOKED", nil},
		{auth.ErrRefreshUnknown, "REFRESH_TOKEN_INVALID", "UNKNOWN", nil},
		{auth.ErrRefreshBinding, "REFRESH_TOKEN_INVALID", "BINDING", nil},
		{auth.ErrRefreshReused, "REFRESH_TOKEN_REUSED", "", nil},
		{auth.ErrSessionChanged, "SESSION_CHANGED", "", nil},
		{auth.ErrCrossOrigin, "CROSS_ORIGIN_REQUEST", "", nil},
		{auth.ErrAmbiguous, "BAD_REQUEST", "", nil},
		{auth.ErrUnavailable, "UNAVAILABLE", "", 1.0},
		{context.DeadlineExceeded, "UNAVAILABLE", "", 1.0},
		{context.Canceled, "UNAVAILABLE", "", 1.0},
		{&auth.InputError{Field: "attemptId", Message: "send one"}, "BAD_USER_INPUT", "", nil},
		{errors.New("pq: the disk d7 is full"), "INTERNAL_SERVER_ERROR", "", nil},
	} {
		r := newStubRig(t, &stub{err: fmt.Errorf("wrapped: %w", c.err)})
		got := r.query(t, "mutation{alias:refreshToken{rotated}}", nil, acceptGraphQL)
		if got.status != http.StatusOK || got.code() != c.code || string(got.Data) != `{"alias":null}` {
			t.Errorf("%v: got %d %s, want 200 %s and null", c.err, got.status, got.raw, c.code)
			continue
		}
		e := got.Errors[0]
		reason, _ := e.Extensions["reason"].(string)
		if reason != c.reason || e.Extensions["retryAfter"] != c.retryAfter {
			t.Errorf("%v: got reason %q, retryAfter %v, want %q, %v", c.err, reason, e.Extensions["retryAfter"], c.reason, c.retryAfter)
		}
		if len(e.Path) != 1 || e.Path[0] != "alias" || len(e.Locations) != 1 || e.Message == "" {
			t.Errorf("%v: got path %v, locations %v, message %q", c.err, e.Path, e.Locations, e.Message)
		}
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("%v: got a cookie, want none with an error", c.err)
		}
		internal := c.code == "INTERNAL_SERVER_ERROR"
		if logged := strings.Contains(r.log.String(), "disk d7"); logged != internal || strings.Contains(got.raw, "disk d7") {
			t.Errorf("%v: logged %v, want %v; answer %s", c.err, logged, internal, got.raw)
		}
		if log := r.log.String(); internal && (!strings.Contains(log, `"field":"Mutation.refreshToken"`) || strings.Contains(log, "alias")) {
			t.Errorf("%v: the log does not name the field in the words of the schema: %s", c.err, log)
		}
	}
}

// Everything that package auth calls an error has a code.
func TestEveryFailureHasAMessage(t *testing.T) {
	for _, f := range graph.Failures {
		if message := fmt.Sprint(f); len(message) < 20 {
			t.Errorf("%v: no message", f)
		}
	}
}

// No error touches the cookies, whatever it says of the session.
func TestErrorsLeaveTheCookiesAlone(t *testing.T) {
	caller := auth.Caller{RefreshCookies: []secret.Text{secret.New("a"), secret.New("b")}, CookieAllowed: true}
	limited := &auth.RateLimitedError{Wait: time.Second}
	all := append(graph.FailureErrors(), limited, &auth.InputError{Field: "attemptId"}, errors.New("the disk is full"))
	for _, failure := range all {
		ctx, flush := graph.WithDelivery(auth.WithCaller(t.Context(), caller))
		wrapped := fmt.Errorf("wrapped: %w", failure)
		cfg := config(t, &logBuffer{})
		for _, err := range []error{
			graph.HandOutFailure(ctx, cfg, &auth.RefreshTokenPayload{}, wrapped),
			graph.HandOutFailure(ctx, cfg, &auth.LoginPayload{}, wrapped),
			graph.HandOutFailure(ctx, cfg, &auth.LogoutPayload{}, wrapped),
			graph.HandOutFailure(ctx, cfg, &auth.RevokeSessionPayload{ClearCookie: true}, wrapped),
			graph.HandOutFailure(ctx, cfg, &auth.RevokeAllSessionsPayload{ClearCookie: true}, wrapped),
			graph.HandOutFailure(ctx, cfg, &auth.ChangePasswordPayload{}, wrapped),
		} {
			if !errors.Is(err, failure) {
				t.Errorf("%v: got error %v, want the same", failure, err)
			}
		}
		header := http.Header{}
		flush(header)
		if got := header.Values("Set-Cookie"); len(got) > 0 {
			t.Errorf("%v: got cookies %q, want none", failure, got)
		}
	}
}

// What an operator wants to hear of is told, each time.
func TestRefusalsAreHeard(t *testing.T) {
	var heard []string
	listen := func(c *graph.Config) {
		c.Refused = func(_ context.Context, code string) { heard = append(heard, code) }
	}
	r := newStubRig(t, &stub{err: fmt.Errorf("wrapped: %w", auth.ErrCrossOrigin)}, listen)
	for query, want := range map[string]string{
		"{" + strings.Repeat("__typename ", 501) + "}":      "[OPERATION_TOO_COMPLEX]",
		"mutation{a:logout{sessionId} b:logout{sessionId}}": "[OPERATION_TOO_COMPLEX]",
		"mutation{logout{sessionId}}":                       "[CROSS_ORIGIN_REQUEST]",
		"{nothing}":                                         "[]",
		"{__typename}":                                      "[]",
	} {
		heard = nil
		if r.query(t, query, nil); fmt.Sprint(heard) != want {
			t.Errorf("%.60s: heard %v, want %s", query, heard, want)
		}
	}
}

func TestErrorsAreFresh(t *testing.T) {
	s := &stub{err: auth.ErrTokenMissing}
	r := newStubRig(t, s)
	first := r.query(t, "{a:me{id}}", nil)
	second := r.query(t, "{bbbb:me{id} c:mySessions{id}}", nil)
	if fmt.Sprint(first.Errors[0].Path) != "[a]" || len(second.Errors) != 2 ||
		fmt.Sprint(second.Errors[0].Path) == fmt.Sprint(second.Errors[1].Path) {
		t.Errorf("errors share their path: %s, %s", first.raw, second.raw)
	}
}

func TestOneFailureLeavesSiblingsAlone(t *testing.T) {
	s := &stub{}
	s.during = func(context.Context) error {
		if s.calls == 1 {
			return auth.ErrUnavailable
		}
		return nil
	}
	got := newStubRig(t, s).query(t, `{sessions(userId:"a"){id} __typename}`, nil)
	if got.code() != "UNAVAILABLE" || got.text("__typename") != "Query" {
		t.Errorf("got %s", got.raw)
	}
}

func TestPanics(t *testing.T) {
	for _, value := range []any{"hunter2", errors.New("hunter2"), []string{"hunter2"}} {
		r := newStubRig(t, &stub{panic: value})
		got := r.query(t, "mutation{logout{sessionId}}", nil, acceptGraphQL)
		if got.status != http.StatusOK || got.code() != "INTERNAL_SERVER_ERROR" || len(got.Errors) != 1 {
			t.Errorf("panic(%T): got %d %s, want INTERNAL_SERVER_ERROR", value, got.status, got.raw)
		}
		log := r.log.String()
		if strings.Contains(got.raw+log, "hunter2") || !strings.Contains(log, "graphql.panic") || !strings.Contains(log, "Mutation.logout") {
			t.Errorf("panic(%T): got answer %s, log %.300s", value, got.raw, log)
		}
		if strings.Count(log, "\n") != 1 {
			t.Errorf("panic(%T): logged %d lines, want 1", value, strings.Count(log, "\n"))
		}
	}
	var none map[string]int
	r := newStubRig(t, &stub{during: func(context.Context) error { none["a"] = 1; return nil }})
	if r.query(t, "mutation{logout{sessionId}}", nil); !strings.Contains(r.log.String(), "nil map") {
		t.Errorf("a panic of the runtime is not explained: %.300s", r.log)
	}
}

// Outside of a field, too.
func TestPanicInTheTransport(t *testing.T) {
	r := newRig(t)
	request, err := http.NewRequest(http.MethodPost, "/graphql", panicReader{})
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	w := &recorder{header: http.Header{}}
	r.handler.ServeHTTP(w, request)
	if w.status != http.StatusOK || !strings.Contains(w.body, "INTERNAL_SERVER_ERROR") || strings.Contains(w.body+r.log.String(), "hunter2") {
		t.Errorf("got %d %s, log %.200s", w.status, w.body, r.log)
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("hunter2") }

type recorder struct {
	header http.Header
	status int
	body   string
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { r.body += string(p); return len(p), nil }

// An enum is checked by the library without regard to case; its domain type is
// strict.
func TestArgumentThatCannotBeRead(t *testing.T) {
	s := &stub{}
	got := newStubRig(t, s).query(t, `mutation($i:LoginInput!){login(input:$i){__typename}}`,
		map[string]any{"i": map[string]any{"email": "a", "password": "b", "refreshTokenDelivery": "body"}})
	if got.status != http.StatusOK || got.code() != "BAD_USER_INPUT" || got.Errors[0].Extensions["field"] != "refreshTokenDelivery" ||
		fmt.Sprint(got.Errors[0].Path) != "[login]" || s.calls != 0 {
		t.Errorf("got %d %s after %d calls, want BAD_USER_INPUT of refreshTokenDelivery", got.status, got.raw, s.calls)
	}
}
