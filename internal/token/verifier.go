package token

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/pawlauth/pawl/internal/secret"
)

// Verifier judges access tokens without asking anyone. It is safe for
// concurrent use.
//
// It remembers the tokens it found good, by their SHA-256, so that a repeated
// one costs a hash and a look-up. Only genuine tokens get in, the number is
// bounded, and a remembered token is refused at the same instant as an unknown
// one. New keys take a new verifier.
type Verifier struct {
	config Config
	keys   *Keyring
	parser *jwt.Parser
	cache  *lru.Cache[[sha256.Size]byte, *Claims] // nil for none
	now    func() time.Time
}

// NewVerifier accepts the tokens of all keys on the ring.
func NewVerifier(keys *Keyring, config Config, now func() time.Time) (*Verifier, error) {
	if err := config.checkNames(); err != nil {
		return nil, err
	}
	if config.Leeway < 0 || config.Leeway > MaxLeeway {
		return nil, fmt.Errorf("token: the leeway must be 0s to %s", MaxLeeway)
	}
	v := &Verifier{
		config: config,
		keys:   keys,
		// The claims are judged below, where a token that is only old can be
		// told from one that is also wrong.
		parser: jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		now:    now,
	}
	switch {
	case config.CacheSize < 0:
		return nil, errors.New("token: the cache size must not be negative")
	case config.CacheSize > 0:
		var err error
		if v.cache, err = lru.New[[sha256.Size]byte, *Claims](config.CacheSize); err != nil {
			return nil, fmt.Errorf("token: making the cache: %w", err)
		}
	}
	return v, nil
}

// Verify checks a token as RFC 9068, section 4, and RFC 8725 ask: the key that
// the header names fixes the algorithm; type, issuer, audience, user, session
// and expiry must be there and right, each claim must have its type, and no name
// may come twice; a token from the future is refused. It returns ErrInvalid or ErrExpired, wrapped.
func (v *Verifier) Verify(raw secret.Text) (*Claims, error) {
	text := raw.Reveal()
	if len(text) > maxSize {
		return nil, invalid("too long")
	}
	now := v.now()
	if v.cache == nil {
		return v.verify(text, now)
	}
	name := sha256.Sum256([]byte(text))
	if claims, ok := v.cache.Get(name); ok {
		if v.expired(claims, now) {
			v.cache.Remove(name)
			return nil, ErrExpired
		}
		return claims, nil
	}
	claims, err := v.verify(text, now)
	if err != nil {
		return nil, err
	}
	v.cache.Add(name, claims)
	return claims, nil
}

func (v *Verifier) expired(claims *Claims, now time.Time) bool {
	return !now.Before(claims.ExpiresAt.Add(v.config.Leeway))
}

func (v *Verifier) verify(text string, now time.Time) (*Claims, error) {
	// base64 decoders skip line breaks: each would be one more spelling of the
	// same token.
	header, _, _ := strings.Cut(text, ".")
	if strings.ContainsAny(text, "\r\n") || !uniqueHeader(header) {
		return nil, invalid("malformed")
	}
	var got received
	if _, err := v.parser.ParseWithClaims(text, &got, v.findKey); err != nil {
		// The library's own words may quote the token.
		return nil, invalid("malformed, or not signed by a known key")
	}
	claims, err := v.judge(&got, now)
	if err != nil {
		return nil, err
	}
	if v.expired(claims, now) {
		return nil, ErrExpired
	}
	return claims, nil
}

// findKey judges the header before anything is computed with the token.
func (v *Verifier) findKey(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	key, known := v.keys.verifying[id]
	if !known {
		return nil, ErrInvalid
	}
	// RFC 8725, section 3.1: the algorithm is a property of the key, never a
	// choice of the token.
	if t.Header["alg"] != key.method.Alg() {
		return nil, ErrInvalid
	}
	// RFC 8725, section 3.11: other JWTs of this issuer are no access tokens.
	if t.Header["typ"] != mediaType {
		return nil, ErrInvalid
	}
	// RFC 7515, section 4.1.11: no extension is understood here.
	if _, critical := t.Header["crit"]; critical {
		return nil, ErrInvalid
	}
	return key.public, nil
}

// judge checks everything but the age.
func (v *Verifier) judge(got *received, now time.Time) (*Claims, error) {
	latest := now.Add(v.config.Leeway)
	switch {
	case got.Issuer != v.config.Issuer:
		return nil, invalid("another issuer")
	case !slices.Contains(got.Audience, v.config.Audience):
		return nil, invalid("another audience")
	case got.ExpiresAt == nil:
		return nil, invalid("no expiry")
	case got.NotBefore != nil && got.NotBefore.After(latest):
		return nil, invalid("not valid yet")
	case got.IssuedAt != nil && got.IssuedAt.After(latest):
		return nil, invalid("issued in the future")
	}
	claims := &Claims{
		Role:      got.Role,
		ID:        got.ID,
		ExpiresAt: got.ExpiresAt.UTC(),
	}
	var ok bool
	if claims.UserID, ok = parseID(got.Subject); !ok {
		return nil, invalid("no user")
	}
	if claims.SessionID, ok = parseID(got.SessionID); !ok {
		return nil, invalid("no session")
	}
	if got.IssuedAt != nil {
		claims.IssuedAt = got.IssuedAt.UTC()
	}
	if got.AuthTime != nil {
		claims.AuthTime = got.AuthTime.UTC()
	}
	return claims, nil
}

// parseID reads a UUID in the one spelling that the issuer writes.
func parseID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && id != uuid.Nil && id.String() == text
}
