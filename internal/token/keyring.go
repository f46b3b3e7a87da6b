package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Keyring is the keys of a moment: one that signs, and others whose tokens are
// still, or already, accepted. It does not change and is safe for concurrent use.
type Keyring struct {
	signing   Key
	verifying map[string]Key // by id, the signing key among them
	jwks      []byte
}

// NewKeyring makes a ring. It refuses a key that is there twice.
func NewKeyring(signing Key, verifying ...Key) (*Keyring, error) {
	ring := &Keyring{signing: signing, verifying: make(map[string]Key, 1+len(verifying))}
	type published struct {
		jwk
		Use       string    `json:"use"`
		Algorithm Algorithm `json:"alg"`
		ID        string    `json:"kid"`
	}
	var set struct {
		Keys []published `json:"keys"`
	}
	for _, key := range append([]Key{signing}, verifying...) {
		if key.isZero() {
			return nil, errors.New("token: an empty key on the ring")
		}
		if _, dup := ring.verifying[key.ID()]; dup {
			return nil, fmt.Errorf("token: key %s is there twice", key.ID())
		}
		ring.verifying[key.ID()] = key
		set.Keys = append(set.Keys, published{key.jwk, "sig", key.Algorithm(), key.ID()})
	}
	var err error
	if ring.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("token: writing the key set: %w", err)
	}
	return ring, nil
}

// JWKS is the public half of every key as a JSON Web Key Set (RFC 7517, section
// 5), the signing key first.
func (r *Keyring) JWKS() []byte { return bytes.Clone(r.jwks) }
