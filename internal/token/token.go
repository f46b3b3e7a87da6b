// Package token owns access tokens: JWTs in the profile of RFC 9068, the keys
// that sign them, and the JWKS with which any service verifies them. It knows
// nothing about sessions beyond their ids: whether a session still lives is
// asked elsewhere, and so is what a role allows.
package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
)

// Errors of [Verifier.Verify]. What they wrap says which rule was broken and
// never repeats any part of the token.
var (
	// ErrInvalid: not a token that this server's keys signed for this audience.
	ErrInvalid = errors.New("token: not a valid access token")
	// ErrExpired: nothing is wrong with the token but its age.
	ErrExpired = errors.New("token: the access token has expired")
)

const (
	mediaType = "at+jwt" // RFC 9068, section 2.1
	clientID  = "pawl"
	// maxSize is the longest token that is looked at, in bytes.
	maxSize = 4096
	// MaxTTL bounds the life of a token. Together with MaxLeeway it bounds how
	// long after its issue a token can be accepted; the memory of revoked
	// sessions is made to outlast both.
	MaxTTL = time.Hour
	// MaxLeeway bounds the clock difference that is allowed to a token.
	MaxLeeway = time.Minute
)

// AccessToken is a token on its way to a client.
type AccessToken struct {
	Token     secret.Text
	Type      string    // "Bearer" (RFC 6750)
	ExpiresAt time.Time // whole seconds, UTC
	ExpiresIn int       // lifetime in seconds, as issued
}

// Claims is what a verified token says. One value is shared by everyone who
// verifies the same token: do not change it. Times are whole seconds in UTC;
// AuthTime is when the user proved a password, zero where the token does not say.
type Claims struct {
	UserID, SessionID             uuid.UUID
	Role                          string
	ID                            string // jti
	IssuedAt, ExpiresAt, AuthTime time.Time
}

// Config is what issuer and verifier must agree on, and what each needs besides.
type Config struct {
	Issuer, Audience string

	// TTL is the lifetime of an issued token: whole seconds, 1s to [MaxTTL].
	TTL time.Duration

	// Leeway is the clock difference that the verifier allows, 0 to [MaxLeeway].
	Leeway time.Duration
	// CacheSize is how many verified tokens the verifier remembers; 0 for none.
	CacheSize int
}

func (c Config) checkNames() error {
	if c.Issuer == "" || c.Audience == "" {
		return errors.New("token: issuer and audience are both needed")
	}
	return nil
}

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalid, reason) }

// wireClaims are the claims as RFC 9068, section 2.2, spells them.
type wireClaims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	ClientID  string `json:"client_id"`
	SessionID string `json:"sid"`
	ID        string `json:"jti"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	AuthTime  int64  `json:"auth_time,omitempty"`
	Role      string `json:"role"`
}
