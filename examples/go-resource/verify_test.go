package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// resource serves the example with the keys of a Pawl.
func resource(t *testing.T, pawlURL string, unknownEvery time.Duration) *httptest.Server {
	t.Helper()
	log := slog.New(slog.NewTextHandler(kept(t), &slog.HandlerOptions{Level: slog.LevelDebug}))
	v, err := newVerifier(t.Context(), pawlURL+"/.well-known/jwks.json", "pawl-dev", "pawl-dev", unknownEvery, log)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(newHandler(v))
	t.Cleanup(s.Close)
	return s
}

// get asks for a path with these Authorization headers.
func get(t *testing.T, url string, authorization ...string) *http.Response {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	request.Header["Authorization"] = authorization
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer
}

func wantAccepted(t *testing.T, url, token string) {
	t.Helper()
	if got := get(t, url+"/orders", "Bearer "+token).StatusCode; got != http.StatusOK {
		t.Errorf("status %d, want 200", got)
	}
}

// wantRefused checks the status and the challenge of RFC 6750, section 3.
func wantRefused(t *testing.T, answer *http.Response, challenge string) {
	t.Helper()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", answer.StatusCode)
	}
	if got := answer.Header.Get("WWW-Authenticate"); got != challenge {
		t.Errorf("WWW-Authenticate: %s\nwant: %s", got, challenge)
	}
}

const (
	missing = `Bearer realm="orders"`
	invalid = `Bearer realm="orders", error="invalid_token"`
	expired = `Bearer realm="orders", error="invalid_token", error_description="expired"`
)

// forge signs a copy of a good token, changed by edit, with a method and key.
func forge(t *testing.T, good string, method jwt.SigningMethod, key any, edit func(header map[string]any, c jwt.MapClaims)) string {
	t.Helper()
	c := jwt.MapClaims{}
	read, _, err := jwt.NewParser().ParseUnverified(good, c)
	if err != nil {
		t.Fatal(err)
	}
	made := jwt.NewWithClaims(method, c)
	maps.Copy(made.Header, read.Header)
	made.Header["alg"] = method.Alg()
	if edit != nil {
		edit(made.Header, c)
	}
	signed, err := made.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// publicForms are the ways in which somebody may write a public key down and use
// it as the secret of HS256.
func publicForms(t *testing.T, key crypto.PublicKey) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"DER": der,
	}
	if raw, ok := key.(ed25519.PublicKey); ok {
		forms["bytes"] = raw
		forms["JWK's x"] = []byte(base64.RawURLEncoding.EncodeToString(raw))
	}
	return forms
}

func TestRealTokenIsAccepted(t *testing.T) {
	p := startPawl(t)
	s := resource(t, p.url(), time.Minute)
	user, _ := p.login("demo@example.com")
	admin, _ := p.login("admin@example.com")
	wantAccepted(t, s.URL, user)
	wantAccepted(t, s.URL, admin)
	if got := get(t, s.URL+"/orders", "bearer "+user).StatusCode; got != http.StatusOK {
		t.Errorf("scheme in lower case: status %d, want 200", got)
	}
	if got := get(t, s.URL+"/reports", "Bearer "+admin).StatusCode; got != http.StatusOK {
		t.Errorf("reports for an admin: status %d, want 200", got)
	}
	refused := get(t, s.URL+"/reports", "Bearer "+user)
	if refused.StatusCode != http.StatusForbidden || !strings.Contains(refused.Header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("reports for a user: status %d, want 403 and insufficient_scope", refused.StatusCode)
	}
}

func TestBadTokensAreRefused(t *testing.T) {
	p := startPawl(t)
	s := resource(t, p.url(), time.Minute)
	good, refresh := p.login("demo@example.com")
	key, eddsa := p.signingKey(), jwt.SigningMethodEdDSA
	_, foreign, _ := ed25519.GenerateKey(nil)

	// The one that is changed in nothing shows that the others fail for their change.
	wantAccepted(t, s.URL, forge(t, good, eddsa, key, nil))
	wantAccepted(t, s.URL, forge(t, good, eddsa, key, func(_ map[string]any, c jwt.MapClaims) {
		c["exp"] = time.Now().Add(-5 * time.Second).Unix() // within the clock difference
	}))

	with := func(edit func(header map[string]any, c jwt.MapClaims)) string {
		return forge(t, good, eddsa, key, edit)
	}
	claim := func(name string, value any) string {
		return with(func(_ map[string]any, c jwt.MapClaims) { c[name] = value })
	}
	header := func(name string, value any) string {
		return with(func(h map[string]any, _ jwt.MapClaims) { h[name] = value })
	}
	for name, token := range map[string]string{
		"other audience":        claim("aud", "https://else.example.com"),
		"no audience":           claim("aud", nil),
		"other issuer":          claim("iss", "https://else.example.com"),
		"no issuer":             claim("iss", nil),
		"no expiry":             claim("exp", nil),
		"issued in the future":  claim("iat", time.Now().Add(time.Hour).Unix()),
		"no user":               claim("sub", nil),
		"no session":            claim("sid", nil),
		"expiry is text":        claim("exp", fmt.Sprint(time.Now().Add(time.Minute).Unix())),
		"expiry is null":        claim("exp", json.RawMessage("null")),
		"expiry beyond numbers": claim("exp", json.RawMessage("1e300")),
		"another spelling":      with(func(_ map[string]any, c jwt.MapClaims) { c["EXP"] = c["exp"]; delete(c, "exp") }),
		"not before, as text":   claim("nbf", "1"),
		"issued, as text":       claim("iat", "1"),
		"user is a number":      claim("sub", 1),
		"session is a list":     claim("sid", []string{"x"}),
		"role is null":          claim("role", json.RawMessage("null")),
		"audience and a number": claim("aud", []any{"pawl-dev", 1}),
		"a claim comes twice":   twice(t, good, key),
		"type JWT":              header("typ", "JWT"),
		"no type":               header("typ", nil),
		"no key named":          header("kid", nil),
		"unknown key named":     header("kid", "nobody"),
		"unknown extension":     header("crit", []string{"x"}),
		"alg none":              forge(t, good, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"foreign key":           forge(t, good, eddsa, foreign, nil),
		"foreign key, attached": forge(t, good, eddsa, foreign, attach(foreign)),
		"changed afterwards":    good[:len(good)-4] + "AAAA",
		"refresh token":         refresh,
		"empty":                 "",
		"too long":              with(func(_ map[string]any, c jwt.MapClaims) { c["x"] = strings.Repeat("x", 4096) }),
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, get(t, s.URL+"/orders", "Bearer "+token), invalid) })
	}
	for form, secret := range publicForms(t, key.Public()) {
		t.Run("HS256 with the public key as "+form, func(t *testing.T) {
			token := forge(t, good, jwt.SigningMethodHS256, secret, nil)
			wantRefused(t, get(t, s.URL+"/orders", "Bearer "+token), invalid)
		})
	}
	t.Run("expired", func(t *testing.T) {
		token := claim("exp", time.Now().Add(-time.Hour).Unix())
		wantRefused(t, get(t, s.URL+"/orders", "Bearer "+token), expired)
	})
	for name, headers := range map[string][]string{
		"nothing":       nil,
		"Basic":         {"Basic " + good},
		"DPoP":          {"DPoP " + good},
		"no scheme":     {good},
		"two of them":   {"Bearer " + good, "Bearer " + good},
		"another first": {"Basic eDp5", "Bearer " + good},
	} {
		t.Run("scheme: "+name, func(t *testing.T) { wantRefused(t, get(t, s.URL+"/orders", headers...), missing) })
	}
	t.Run("token in the address", func(t *testing.T) {
		wantRefused(t, get(t, s.URL+"/orders?access_token="+good), missing)
	})
}

// twice is a good token whose expiry comes twice.
func twice(t *testing.T, good string, key crypto.PrivateKey) string {
	t.Helper()
	parts := strings.Split(good, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims = append(bytes.TrimSuffix(claims, []byte("}")), fmt.Sprintf(`,"exp":%d}`, time.Now().Add(time.Minute).Unix())...)
	text := parts[0] + "." + base64.RawURLEncoding.EncodeToString(claims)
	signature, err := jwt.SigningMethodEdDSA.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// attach puts the signer's own public key into the header, and names no other.
func attach(key ed25519.PrivateKey) func(map[string]any, jwt.MapClaims) {
	return func(h map[string]any, _ jwt.MapClaims) {
		x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
		h["jwk"] = json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}`)
		h["jku"] = "http://localhost:9/jwks.json"
	}
}
