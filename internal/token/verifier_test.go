package token_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/token"
)

// expect verifies twice, so that a cache could betray itself.
func expect(t *testing.T, p party, name string, raw secret.Text, want error) {
	t.Helper()
	for range 2 {
		claims, err := p.verifier.Verify(raw)
		if !errors.Is(err, want) || (err == nil) != (claims != nil) {
			t.Errorf("%s: got %v, %v, want %v", name, claims, err, want)
			return
		}
		if err == nil {
			continue
		}
		for part := range strings.SplitSeq(raw.Reveal(), ".") {
			if len(part) > 3 && strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error %q repeats the token", name, err)
			}
		}
	}
}

func TestVerifyJudgesClaims(t *testing.T) {
	key := generate(t, token.EdDSA)
	p := newParty(t, key, config)
	unix := func(d time.Duration) int64 { return start.Truncate(time.Second).Add(d).Unix() }
	for _, c := range []struct {
		name  string
		claim string
		value any // nil removes the claim
		want  error
	}{
		{"as it should be", "jti", "y", nil},
		{"no iss", "iss", nil, token.ErrInvalid},
		{"another iss", "iss", config.Issuer + "/", token.ErrInvalid},
		{"no aud", "aud", nil, token.ErrInvalid},
		{"empty aud", "aud", "", token.ErrInvalid},
		{"another aud", "aud", "https://other.example.com", token.ErrInvalid},
		{"ours among several aud", "aud", []string{"https://other.example.com", config.Audience}, nil},
		{"only others aud", "aud", []string{"a", "b"}, token.ErrInvalid},
		{"no aud in the list", "aud", []string{}, token.ErrInvalid},
		{"aud with a number", "aud", []any{config.Audience, 1}, token.ErrInvalid},
		{"no sub", "sub", nil, token.ErrInvalid},
		{"sub is no uuid", "sub", "admin", token.ErrInvalid},
		{"sub is nil", "sub", uuid.Nil.String(), token.ErrInvalid},
		{"sub in braces", "sub", "{" + user.String() + "}", token.ErrInvalid},
		{"sub is a number", "sub", 1, token.ErrInvalid},
		{"no sid", "sid", nil, token.ErrInvalid},
		{"sid is no uuid", "sid", "x", token.ErrInvalid},
		{"sid is nil", "sid", uuid.Nil.String(), token.ErrInvalid},
		{"sid in capitals", "sid", "ABCDEF00-1111-4111-8111-111111111111", token.ErrInvalid},
		{"no exp", "exp", nil, token.ErrInvalid},
		{"exp is text", "exp", "tomorrow", token.ErrInvalid},
		{"exp is null", "exp", json.RawMessage("null"), token.ErrInvalid},
		{"expired within the leeway", "exp", unix(-14 * time.Second), nil},
		{"expired at the leeway", "exp", unix(-15 * time.Second), token.ErrExpired},
		{"expired long ago", "exp", int64(0), token.ErrExpired},
		{"no iat", "iat", nil, nil},
		{"iat within the leeway", "iat", unix(15 * time.Second), nil},
		{"iat beyond the leeway", "iat", unix(17 * time.Second), token.ErrInvalid},
		{"nbf passed", "nbf", unix(-time.Second), nil},
		{"nbf within the leeway", "nbf", unix(15 * time.Second), nil},
		{"nbf beyond the leeway", "nbf", unix(17 * time.Second), token.ErrInvalid},
		{"nbf is text", "nbf", "tomorrow", token.ErrInvalid},
		{"role is a number", "role", 1, token.ErrInvalid},
	} {
		claims := goodClaims()
		claims[c.claim] = c.value
		if c.value == nil {
			delete(claims, c.claim)
		}
		expect(t, p, c.name, sign(t, jwt.SigningMethodEdDSA, private(t, key), goodHeader(key), claims), c.want)
	}
}

func TestExpiredIsSaidOnlyOfGoodTokens(t *testing.T) {
	key := generate(t, token.EdDSA)
	p := newParty(t, key, config)
	for _, wrong := range []string{"iss", "aud", "sub", "sid"} {
		claims := goodClaims()
		claims["exp"], claims[wrong] = 1, "x"
		expect(t, p, "expired, with a wrong "+wrong, sign(t, jwt.SigningMethodEdDSA, private(t, key), goodHeader(key), claims), token.ErrInvalid)
	}
}

func TestVerifyJudgesTheHeader(t *testing.T) {
	key := generate(t, token.EdDSA)
	p := newParty(t, key, config)
	for _, c := range []struct {
		name   string
		member string
		value  any
		want   error
	}{
		{"as it should be", "x", "y", nil},
		{"no typ", "typ", nil, token.ErrInvalid},
		{"typ JWT", "typ", "JWT", token.ErrInvalid},
		{"typ in capitals", "typ", "AT+JWT", token.ErrInvalid},
		{"typ is a list", "typ", []string{"at+jwt"}, token.ErrInvalid},
		{"no kid", "kid", nil, token.ErrInvalid},
		{"unknown kid", "kid", "x", token.ErrInvalid},
		{"kid is a number", "kid", 1, token.ErrInvalid},
		{"unknown crit", "crit", []string{"exp"}, token.ErrInvalid},
		{"empty crit", "crit", []string{}, token.ErrInvalid},
		{"b64 crit", "crit", []string{"b64"}, token.ErrInvalid},
		{"alg of another key", "alg", "ES256", token.ErrInvalid},
		{"alg none", "alg", "none", token.ErrInvalid},
		{"no alg", "alg", nil, token.ErrInvalid},
		{"alg is a list", "alg", []string{"EdDSA"}, token.ErrInvalid},
		{"a key of its own", "jwk", map[string]string{"kty": "OKP"}, nil}, // ignored: the ring alone knows keys
	} {
		header := goodHeader(key)
		header[c.member] = c.value
		if c.value == nil {
			delete(header, c.member)
		}
		expect(t, p, c.name, sign(t, jwt.SigningMethodEdDSA, private(t, key), header, goodClaims()), c.want)
	}
}

// A token that is signed with what everybody knows, or with nothing, is refused
// for every kind of key, with the honest and with the confused header.
func TestAlgorithmConfusion(t *testing.T) {
	for _, alg := range algorithms {
		key := generate(t, alg)
		p := newParty(t, key, config)
		public := private(t, key).(crypto.Signer).Public()
		pkix := marshalPublic(t, public)
		block, _ := pem.Decode(pkix)
		for name, forgery := range map[string]struct {
			method jwt.SigningMethod
			key    any
		}{
			"none":                      {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType},
			"HS256 with the public PEM": {jwt.SigningMethodHS256, pkix},
			"HS256 with the public DER": {jwt.SigningMethodHS256, block.Bytes},
			"HS256 with the JWKS":       {jwt.SigningMethodHS256, p.ring.JWKS()},
			"HS256 with the id":         {jwt.SigningMethodHS256, []byte(key.ID())},
			"HS256 with nothing":        {jwt.SigningMethodHS256, []byte{}},
			"HS512 with the public PEM": {jwt.SigningMethodHS512, pkix},
		} {
			for _, claimed := range []string{forgery.method.Alg(), string(alg), "None", "NONE", ""} {
				header := goodHeader(key)
				header["alg"] = claimed
				expect(t, p, string(alg)+": "+name+" as "+claimed, sign(t, forgery.method, forgery.key, header, goodClaims()), token.ErrInvalid)
			}
		}
	}
}

// An RSA key signs RS256 and nothing else that RSA could.
func TestOneAlgorithmPerKey(t *testing.T) {
	key := generate(t, token.RS256)
	p := newParty(t, key, config)
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodPS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512} {
		for _, claimed := range []string{method.Alg(), "RS256"} {
			header := goodHeader(key)
			header["alg"] = claimed
			expect(t, p, method.Alg()+" as "+claimed, sign(t, method, private(t, key), header, goodClaims()), token.ErrInvalid)
		}
	}
}

func TestForeignAndMixedKeys(t *testing.T) {
	ours, theirs, retired := generate(t, token.EdDSA), generate(t, token.EdDSA), generate(t, token.ES256)
	p := newParty(t, ours, config, retired)
	header := goodHeader(ours)
	expect(t, p, "our kid, their signature", sign(t, jwt.SigningMethodEdDSA, private(t, theirs), header, goodClaims()), token.ErrInvalid)
	expect(t, p, "their kid, their signature", sign(t, jwt.SigningMethodEdDSA, private(t, theirs), goodHeader(theirs), goodClaims()), token.ErrInvalid)
	expect(t, p, "a verifying key", sign(t, jwt.SigningMethodES256, private(t, retired), goodHeader(retired), goodClaims()), nil)
	header = goodHeader(retired)
	header["alg"] = "EdDSA"
	expect(t, p, "the kid of one key, the algorithm of another", sign(t, jwt.SigningMethodEdDSA, private(t, ours), header, goodClaims()), token.ErrInvalid)
}

func TestVerifyRefusesGarbage(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	good := p.issue(t).Token.Reveal()
	parts := strings.Split(good, ".")
	flipped := []byte(good)
	flipped[len(parts[0])+10] ^= 1
	null := base64.RawURLEncoding.EncodeToString([]byte("null"))
	for name, raw := range map[string]string{
		"empty":                     "",
		"dots":                      "..",
		"two parts":                 parts[0] + "." + parts[1],
		"no signature":              parts[0] + "." + parts[1] + ".",
		"four parts":                good + ".x",
		"a bit flipped":             string(flipped),
		"padding":                   good + "==",
		"a space in front":          " " + good,
		"a line break at the end":   good + "\n",
		"a line break inside":       good[:len(good)-5] + "\r\n" + good[len(good)-5:],
		"standard base64":           strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+",
		"null header":               null + "." + parts[1] + "." + parts[2],
		"null claims":               parts[0] + "." + null + "." + parts[2],
		"NUL":                       "\x00",
		"spare bits in the base64":  spareBits(t, good),
		"over 4 KiB, then nonsense": strings.Repeat("a", 4097),
		"over 4 KiB of dots":        strings.Repeat(".", 1<<20),
	} {
		expect(t, p, name, secret.New(raw), token.ErrInvalid)
	}
	expect(t, p, "the zero text", secret.Text{}, token.ErrInvalid)
}

// spareBits respells the last character of a signature of 64 bytes: 86
// characters hold four bits more.
func spareBits(t *testing.T, good string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	respelled := good[:len(good)-1] + string(alphabet[last|1])
	if respelled == good {
		t.Fatalf("the last character %q has no spare bits", good[len(good)-1])
	}
	return respelled
}

// The limit counts bytes of the whole token; a genuine one of the largest size passes.
func TestSizeLimit(t *testing.T) {
	key := generate(t, token.EdDSA)
	p := newParty(t, key, config)
	sized := func(size int) secret.Text {
		claims, pad := goodClaims(), size*3/4-500
		for ; ; pad++ {
			claims["pad"] = strings.Repeat("x", pad)
			raw := sign(t, jwt.SigningMethodEdDSA, private(t, key), goodHeader(key), claims)
			if raw.Len() >= size {
				return raw
			}
		}
	}
	expect(t, p, "4096 bytes", sized(4095), nil)
	expect(t, p, "more", sized(4097), token.ErrInvalid)
}

func TestCacheNeverOutlivesExpiry(t *testing.T) {
	for _, size := range []int{0, 1, 100} {
		changed := config
		changed.CacheSize = size
		p := newParty(t, generate(t, token.EdDSA), changed)
		issued := p.issue(t)
		for _, step := range []struct {
			at   time.Time
			want error
		}{
			{start, nil},
			{issued.ExpiresAt, nil},
			{issued.ExpiresAt.Add(config.Leeway - 1), nil},
			{issued.ExpiresAt.Add(config.Leeway), token.ErrExpired},
			{issued.ExpiresAt.Add(24 * time.Hour), token.ErrExpired},
		} {
			p.clock.set(step.at)
			if _, err := p.verifier.Verify(issued.Token); !errors.Is(err, step.want) || step.want == nil && err != nil {
				t.Errorf("cache of %d, %s after expiry: got %v, want %v", size, step.at.Sub(issued.ExpiresAt), err, step.want)
			}
		}
	}
}

func TestCacheIsUsedBoundedAndBlind(t *testing.T) {
	changed := config
	changed.CacheSize = 10
	p := newParty(t, generate(t, token.EdDSA), changed)
	issued := p.issue(t)
	first, err := p.verifier.Verify(issued.Token)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := p.verifier.Verify(secret.New(strings.Clone(issued.Token.Reveal()))); again != first {
		t.Error("the second look at a token was not answered from the cache")
	}
	for range 50 {
		if _, err := p.verifier.Verify(p.issue(t).Token); err != nil {
			t.Fatal(err)
		}
	}
	if got := token.CacheLen(p.verifier); got != 10 {
		t.Errorf("cache: got %d tokens, want 10", got)
	}
	for range 50 {
		_, _ = p.verifier.Verify(secret.New(issued.Token.Reveal() + "x"))
		_, _ = p.verifier.Verify(secret.New(uuid.NewString()))
	}
	if newest, _ := p.verifier.Verify(p.issue(t).Token); newest == nil || token.CacheLen(p.verifier) != 10 {
		t.Errorf("cache: got %d tokens after garbage, want 10", token.CacheLen(p.verifier))
	}
}

func TestGarbageNeverEntersTheCache(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	good := p.issue(t).Token.Reveal()
	for _, raw := range []string{"", "x", good + "\n", good + "=", spareBits(t, good), strings.Repeat("a", 5000)} {
		_, _ = p.verifier.Verify(secret.New(raw))
	}
	if got := token.CacheLen(p.verifier); got != 0 {
		t.Errorf("cache: got %d entries, want none", got)
	}
}

func TestExpiredTokensLeaveTheCache(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	issued := p.issue(t)
	if _, err := p.verifier.Verify(issued.Token); err != nil {
		t.Fatal(err)
	}
	p.clock.set(issued.ExpiresAt.Add(time.Hour))
	_, _ = p.verifier.Verify(issued.Token)
	if got := token.CacheLen(p.verifier); got != 0 {
		t.Errorf("cache: got %d entries, want none", got)
	}
}

func TestVerifyConcurrently(t *testing.T) {
	changed := config
	changed.CacheSize = 4
	p := newParty(t, generate(t, token.EdDSA), changed)
	var tokens []secret.Text
	for range 8 {
		tokens = append(tokens, p.issue(t).Token)
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 200 {
				claims, err := p.verifier.Verify(tokens[(i+j)%len(tokens)])
				if err != nil || claims.UserID != user {
					t.Errorf("Verify: got %v, %v, want the user", claims, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func marshalPublic(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
