package chaos_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	origin     = "https://app.example.org"
	cookieName = "__Host-pawl-refresh"
	password   = "four words under fire"
	// clientTimeout is how long a client waits for an answer.
	clientTimeout = 2 * time.Second
)

// verdict is what an answer means to a client.
type verdict int

const (
	lost        verdict = iota // no answer came
	unavailable                // nothing may be concluded
	granted
	terminal // sign in again
	refused  // the request itself is wrong
)

// answer is what came back for one request.
type answer struct {
	verdict
	code, reason string
	set          string // value of the refresh cookie that was set
	Data         struct {
		Login, RefreshToken *struct {
			Rotated      bool
			RefreshToken string
			AccessToken  struct{ Token string }
			Session      struct{ ID string }
		}
		Logout, RevokeSession *struct{ SessionID string }
		RevokeAllSessions     *struct{ SessionIDs []string }
		Me                    *struct{ ID string }
	}
	Errors []struct {
		Message    string
		Extensions struct{ Code, Reason string }
	}
	problem string // of an answer that no client should ever see
}

// token is the refresh token that the answer hands over; empty when it repeats
// the presented one without saying so.
func (a answer) token() string {
	switch {
	case a.set != "":
		return a.set
	case a.Data.RefreshToken != nil:
		return a.Data.RefreshToken.RefreshToken
	case a.Data.Login != nil:
		return a.Data.Login.RefreshToken
	}
	return ""
}

func (a answer) String() string {
	switch a.verdict {
	case granted:
		if g := a.Data.RefreshToken; g != nil {
			return fmt.Sprintf("tokens, rotated %t, generation %d", g.Rotated, generation(a.token()))
		}
		return "data"
	case lost:
		return "no answer: " + a.problem
	}
	return strings.TrimSpace(a.code + " " + a.reason + " " + a.problem)
}

func newHTTPClient() *http.Client {
	return &http.Client{Timeout: clientTimeout, Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		MaxIdleConnsPerHost: 512, MaxIdleConns: 1024, IdleConnTimeout: 30 * time.Second,
	}}
}

// post sends one GraphQL request to a server.
func (r *rig) post(node int, query string, input any, headers ...string) (a answer) {
	r.count.requests.Add(1)
	body, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"in": input}})
	if err != nil {
		return answer{problem: err.Error()}
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.nodes[node].url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answer{problem: err.Error()}
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := r.http.Do(request)
	if err != nil {
		return answer{problem: fmt.Sprintf("%T", err)}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{problem: fmt.Sprintf("%T", err)}
	}
	if response.StatusCode == http.StatusServiceUnavailable { // starting or stopping
		return answer{verdict: unavailable, code: "503"}
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return answer{verdict: refused, problem: fmt.Sprintf("status %d: %s", response.StatusCode, text)}
	}
	for _, cookie := range response.Cookies() {
		if cookie.Name == cookieName {
			a.set = cookie.Value
		}
	}
	a.judge(text)
	return a
}

func (a *answer) judge(text []byte) {
	if len(a.Errors) == 0 {
		a.verdict = granted
		return
	}
	a.code, a.reason = a.Errors[0].Extensions.Code, a.Errors[0].Extensions.Reason
	switch a.code {
	case "UNAVAILABLE", "RATE_LIMITED":
		a.verdict = unavailable
	case "REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_REUSED", "UNAUTHENTICATED":
		a.verdict = terminal
	default:
		a.verdict, a.problem = refused, string(text)
	}
}

// tokenBytes are what a refresh token says: see internal/session.
func tokenBytes(token string) []byte {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "pawl_rt1_"))
	if err != nil || len(raw) != 96 {
		return make([]byte, 96)
	}
	return raw
}

// generation of a refresh token.
func generation(token string) uint64 { return binary.BigEndian.Uint64(tokenBytes(token)[56:64]) }

// owner are the user and the session of a refresh token.
func owner(token string) (userID, sessionID string) {
	raw := tokenBytes(token)
	return uuid.UUID(raw[8:24]).String(), uuid.UUID(raw[24:40]).String()
}

// bearer are the user and the session of an access token.
func bearer(token string) (userID, sessionID string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Sub, Sid string }
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return "", ""
	}
	return claims.Sub, claims.Sid
}
