package token_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/token"
)

var algorithms = []token.Algorithm{token.EdDSA, token.ES256, token.RS256}

var config = token.Config{
	Issuer:    "https://auth.example.com",
	Audience:  "https://api.example.com",
	TTL:       15 * time.Minute,
	Leeway:    15 * time.Second,
	CacheSize: 100,
}

var (
	start   = time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC)
	user    = uuid.MustParse("11111111-1111-4111-8111-111111111111")
	session = uuid.MustParse("22222222-2222-4222-8222-222222222222")
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) set(at time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.at = at }

// party is an issuer and a verifier around one key.
type party struct {
	key      token.Key
	ring     *token.Keyring
	issuer   *token.Issuer
	verifier *token.Verifier
	clock    *clock
}

func newParty(t testing.TB, key token.Key, config token.Config, verifying ...token.Key) party {
	t.Helper()
	p := party{key: key, clock: &clock{at: start}}
	var err error
	if p.ring, err = token.NewKeyring(key, verifying...); err != nil {
		t.Fatalf("NewKeyring: %v", err)
	}
	if p.issuer, err = token.NewIssuer(p.ring, config, p.clock.now); err != nil {
		t.Fatalf("NewIssuer: %v", err)
	}
	if p.verifier, err = token.NewVerifier(p.ring, config, p.clock.now); err != nil {
		t.Fatalf("NewVerifier: %v", err)
	}
	return p
}

// rsaKey is slow to draw, so all tests share one.
var rsaKey = sync.OnceValues(func() (token.Key, error) { return token.GenerateKey(token.RS256) })

func generate(t testing.TB, alg token.Algorithm) token.Key {
	t.Helper()
	draw := func() (token.Key, error) { return token.GenerateKey(alg) }
	if alg == token.RS256 {
		draw = rsaKey
	}
	key, err := draw()
	if err != nil {
		t.Fatalf("GenerateKey(%s): %v", alg, err)
	}
	return key
}

func (p party) issue(t testing.TB) token.AccessToken {
	t.Helper()
	issued, err := p.issuer.Issue(user, session, "ADMIN", start.Add(-time.Hour), start.Add(time.Hour))
	if err != nil {
		t.Fatalf("Issue: %v", err)
	}
	return issued
}

// private is the key as the standard library knows it, for tests that forge.
func private(t testing.TB, key token.Key) any {
	t.Helper()
	block, _ := pem.Decode(key.PEM())
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatalf("reading the key back: %v", err)
	}
	return parsed
}

// sign writes a token with any header and claims.
func sign(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) secret.Text {
	t.Helper()
	made := &jwt.Token{Header: header, Claims: jwt.MapClaims(claims), Method: method}
	text, err := made.SignedString(key)
	if err != nil {
		t.Fatalf("signing a test token: %v", err)
	}
	return secret.New(text)
}

func goodHeader(key token.Key) map[string]any {
	return map[string]any{"alg": string(key.Algorithm()), "typ": "at+jwt", "kid": key.ID()}
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": config.Issuer, "aud": config.Audience, "sub": user.String(), "sid": session.String(),
		"client_id": "pawl", "jti": "x", "role": "USER",
		"iat": start.Unix(), "exp": start.Add(time.Minute).Unix(), "auth_time": start.Unix(),
	}
}

func TestIssueAndVerify(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			p := newParty(t, generate(t, alg), config)
			issued := p.issue(t)
			second := start.Truncate(time.Second)
			if want := second.Add(config.TTL); !issued.ExpiresAt.Equal(want) || issued.ExpiresIn != 900 || issued.Type != "Bearer" {
				t.Errorf("issued: got %v %d %q, want %v 900 Bearer", issued.ExpiresAt, issued.ExpiresIn, issued.Type, want)
			}
			for range 2 { // the second answer comes from the cache
				claims, err := p.verifier.Verify(issued.Token)
				if err != nil {
					t.Fatalf("Verify: %v", err)
				}
				want := token.Claims{
					UserID: user, SessionID: session, Role: "ADMIN", ID: claims.ID,
					IssuedAt: second, ExpiresAt: second.Add(config.TTL), AuthTime: second.Add(-time.Hour),
				}
				if *claims != want {
					t.Errorf("claims: got %+v, want %+v", *claims, want)
				}
			}
		})
	}
}

// A resource server with nothing but a standard JWT library and the JWKS can
// verify, and finds the claims and header of RFC 9068 and no others.
func TestTokenOnTheWire(t *testing.T) {
	for _, alg := range algorithms {
		p := newParty(t, generate(t, alg), config)
		var claims jwt.MapClaims
		parsed, err := jwt.ParseWithClaims(p.issue(t).Token.Reveal(), &claims,
			func(t *jwt.Token) (any, error) { return publicFromJWKS(p.ring.JWKS(), t.Header["kid"]) },
			jwt.WithTimeFunc(p.clock.now), jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{string(alg)}),
			jwt.WithIssuer(config.Issuer), jwt.WithAudience(config.Audience), jwt.WithIssuedAt(), jwt.WithStrictDecoding())
		if err != nil {
			t.Fatalf("%s: verifying with the JWKS: %v", alg, err)
		}
		if want := goodHeader(p.key); !sameKeys(parsed.Header, want) || parsed.Header["typ"] != "at+jwt" || parsed.Header["alg"] != string(alg) {
			t.Errorf("%s: header: got %v, want %v", alg, parsed.Header, want)
		}
		if want := goodClaims(); !sameKeys(claims, want) {
			t.Errorf("%s: claims: got %v, want exactly the names of %v", alg, claims, want)
		}
		if claims["client_id"] != "pawl" || len(claims["jti"].(string)) < 26 {
			t.Errorf("%s: got client_id %v, jti %v, want pawl and 26 random characters", alg, claims["client_id"], claims["jti"])
		}
	}
}

func sameKeys(a, b map[string]any) bool {
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return len(a) == len(b)
}

func TestTokensDiffer(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	if a, b := p.issue(t), p.issue(t); a.Token.Equal(b.Token) {
		t.Error("two tokens of one second are the same, want different jti")
	}
}

func TestAuthTimeLeftOut(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	issued, err := p.issuer.Issue(user, session, "USER", time.Time{}, time.Time{})
	if err != nil {
		t.Fatalf("Issue: %v", err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(issued.Token.Reveal(), ".")[1])
	claims, err := p.verifier.Verify(issued.Token)
	if err != nil || strings.Contains(string(payload), "auth_time") || !claims.AuthTime.IsZero() {
		t.Errorf("got claims %s, AuthTime %v, %v, want no auth_time", payload, claims.AuthTime, err)
	}
}

// No token outlives its session, as far as this clock can tell.
func TestTokenEndsWithItsSession(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	second := start.Truncate(time.Second)
	for name, c := range map[string]struct{ end, want time.Time }{
		"none":        {time.Time{}, second.Add(config.TTL)},
		"later":       {start.Add(config.TTL + time.Minute), second.Add(config.TTL)},
		"sooner":      {second.Add(time.Minute + 700*time.Millisecond), second.Add(time.Minute)},
		"in a moment": {second.Add(1100 * time.Millisecond), second.Add(time.Second)},
		"past":        {start.Add(-time.Hour), second.Add(config.TTL)},
	} {
		issued, err := p.issuer.Issue(user, session, "USER", start, c.end)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		claims, err := p.verifier.Verify(issued.Token)
		if err != nil || !claims.ExpiresAt.Equal(c.want) || !issued.ExpiresAt.Equal(c.want) {
			t.Errorf("%s: got %s in the token and %s beside it (%v), want %s", name, claims.ExpiresAt, issued.ExpiresAt, err, c.want)
		}
		if want := int(c.want.Sub(second) / time.Second); issued.ExpiresIn != want {
			t.Errorf("%s: got %d seconds, want %d", name, issued.ExpiresIn, want)
		}
	}
}

func TestIssueRefusesNobody(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	for _, ids := range [][2]uuid.UUID{{uuid.Nil, session}, {user, uuid.Nil}} {
		if got, err := p.issuer.Issue(ids[0], ids[1], "USER", start, time.Time{}); err == nil || !got.Token.IsEmpty() {
			t.Errorf("Issue(%v): got a token, want an error", ids)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	ring := newParty(t, generate(t, token.EdDSA), config).ring
	at := func() time.Time { return start }
	for name, change := range map[string]func(*token.Config){
		"no issuer":         func(c *token.Config) { c.Issuer = "" },
		"no audience":       func(c *token.Config) { c.Audience = "" },
		"no lifetime":       func(c *token.Config) { c.TTL = 0 },
		"below a second":    func(c *token.Config) { c.TTL = 999 * time.Millisecond },
		"no whole seconds":  func(c *token.Config) { c.TTL = 90*time.Second + 1 },
		"over an hour":      func(c *token.Config) { c.TTL = time.Hour + time.Second },
		"tokens over 4 KiB": func(c *token.Config) { c.Audience = strings.Repeat("a", 4096) },
	} {
		changed := config
		change(&changed)
		if _, err := token.NewIssuer(ring, changed, at); err == nil {
			t.Errorf("NewIssuer with %s: got no error, want one", name)
		}
	}
	for name, change := range map[string]func(*token.Config){
		"no issuer":           func(c *token.Config) { c.Issuer = "" },
		"no audience":         func(c *token.Config) { c.Audience = "" },
		"negative leeway":     func(c *token.Config) { c.Leeway = -1 },
		"leeway over 1m":      func(c *token.Config) { c.Leeway = time.Minute + 1 },
		"negative cache size": func(c *token.Config) { c.CacheSize = -1 },
	} {
		changed := config
		change(&changed)
		if _, err := token.NewVerifier(ring, changed, at); err == nil {
			t.Errorf("NewVerifier with %s: got no error, want one", name)
		}
	}
}

// The issuer's own trial must not depend on how much of a second has passed.
func TestNewIssuerWithAMovingClock(t *testing.T) {
	ring := newParty(t, generate(t, token.EdDSA), config).ring
	at, short := start, config
	short.TTL = time.Second
	moving := func() time.Time { at = at.Add(2 * time.Second); return at }
	if _, err := token.NewIssuer(ring, short, moving); err != nil {
		t.Errorf("NewIssuer: got %v, want a proven key", err)
	}
}

func TestThumbprintIsOfThePublicKeyAlone(t *testing.T) {
	for _, alg := range algorithms {
		key := generate(t, alg)
		ring, err := token.NewKeyring(key)
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
			t.Fatal(err)
		}
		required := map[string][]string{"OKP": {"crv", "kty", "x"}, "EC": {"crv", "kty", "x", "y"}, "RSA": {"e", "kty", "n"}}
		var members []string
		for _, name := range required[set.Keys[0]["kty"]] {
			members = append(members, `"`+name+`":"`+set.Keys[0][name]+`"`)
		}
		sum := sha256.Sum256([]byte("{" + strings.Join(members, ",") + "}"))
		if want := base64.RawURLEncoding.EncodeToString(sum[:]); key.ID() != want || set.Keys[0]["kid"] != want {
			t.Errorf("%s: got id %s, kid %s, want %s", alg, key.ID(), set.Keys[0]["kid"], want)
		}
	}
}
