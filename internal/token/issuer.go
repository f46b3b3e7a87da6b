package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
)

// Issuer signs access tokens. It is safe for concurrent use.
type Issuer struct {
	config Config
	key    Key
	header string // encoded, with its dot
	now    func() time.Time
}

// NewIssuer signs with the signing key of keys. It proves the key by signing
// and verifying once, so that issuing cannot fail later.
func NewIssuer(keys *Keyring, config Config, now func() time.Time) (*Issuer, error) {
	if err := config.checkNames(); err != nil {
		return nil, err
	}
	if config.TTL < time.Second || config.TTL > MaxTTL || config.TTL%time.Second != 0 {
		return nil, fmt.Errorf("token: the lifetime must be whole seconds from 1s to %s", MaxTTL)
	}
	header, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		Type      string    `json:"typ"`
		KeyID     string    `json:"kid"`
	}{keys.signing.Algorithm(), mediaType, keys.signing.ID()})
	if err != nil {
		return nil, fmt.Errorf("token: writing the header: %w", err)
	}
	i := &Issuer{
		config: config,
		key:    keys.signing,
		header: base64.RawURLEncoding.EncodeToString(header) + ".",
		now:    now,
	}
	return i, i.prove(keys)
}

func (i *Issuer) prove(keys *Keyring) error {
	config := i.config
	config.Leeway, config.CacheSize = 0, 0
	// The clock may pass a whole second between signing and verifying.
	at := i.now()
	trial := *i
	trial.now = func() time.Time { return at }
	verifier, err := NewVerifier(keys, config, trial.now)
	if err != nil {
		return err
	}
	issued, err := trial.Issue(uuid.New(), uuid.New(), "", at, time.Time{})
	if err != nil {
		return err
	}
	if _, err := verifier.Verify(issued.Token); err != nil {
		return fmt.Errorf("token: key %s cannot verify what it signs, or issuer and audience are too long: %w", i.key.ID(), err)
	}
	return nil
}

// Issue signs a token for a session. The token expires [Config].TTL after the
// second in which it is issued, or with the session where that comes first; a
// sessionEnd that is past by this clock does not count, nor does a zero one. A
// zero authTime is left out.
func (i *Issuer) Issue(userID, sessionID uuid.UUID, role string, authTime, sessionEnd time.Time) (AccessToken, error) {
	if userID == uuid.Nil || sessionID == uuid.Nil {
		return AccessToken{}, errors.New("token: a token needs a user and a session")
	}
	issuedAt := i.now().UTC().Truncate(time.Second)
	expiresAt := issuedAt.Add(i.config.TTL)
	if end := sessionEnd.UTC().Truncate(time.Second); end.After(issuedAt) && end.Before(expiresAt) {
		expiresAt = end
	}
	claims := wireClaims{
		Issuer:    i.config.Issuer,
		Audience:  i.config.Audience,
		Subject:   userID.String(),
		ClientID:  clientID,
		SessionID: sessionID.String(),
		ID:        rand.Text(),
		IssuedAt:  issuedAt.Unix(),
		ExpiresAt: expiresAt.Unix(),
		Role:      role,
	}
	if !authTime.IsZero() {
		claims.AuthTime = authTime.Unix()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return AccessToken{}, fmt.Errorf("token: writing the claims: %w", err)
	}
	signed := i.header + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := i.key.method.Sign(signed, i.key.signer())
	if err != nil {
		return AccessToken{}, fmt.Errorf("token: signing with key %s: %w", i.key.ID(), err)
	}
	return AccessToken{
		Token:     secret.New(signed + "." + base64.RawURLEncoding.EncodeToString(signature)),
		Type:      "Bearer",
		ExpiresAt: expiresAt,
		ExpiresIn: int(expiresAt.Sub(issuedAt) / time.Second),
	}, nil
}
