// Package device owns the proof that a user signed in on a device before, and
// the names under which attempts at accounts are counted. A proof opens nothing:
// it only puts its holder's login attempts into a lane of their own. The package
// refuses to know what counts, and what a login is.
package device

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
)

const (
	// Lifetime is how long a proof is good for: what browsers keep a cookie at
	// most (RFC 6265bis, section 5.5).
	Lifetime = 400 * 24 * time.Hour

	prefix = "pawl_dt1_"
	// version 1 did not name the account: its proofs are none any more.
	version = 2
	// version, key id, user, device, credential version, seconds since 1970, MAC:
	// 87 bytes, so that base64 has no spare bits and no second spelling.
	signedSize = 1 + 6 + 16 + 16 + 8 + 8
	size       = signedSize + sha256.Size
	// Length is the length of every proof in characters.
	Length = len(prefix) + size/3*4

	minMaterial = 32
)

// Proof says that a user signed in to an account on a device. It does not show the
// account: the MAC covers its name, so that a proof of one account is none for
// another.
type Proof struct {
	UserID            uuid.UUID
	DeviceID          uuid.UUID
	CredentialVersion int64 // of the user at that login: a password change makes the proof void
	IssuedAt          time.Time
}

// Keyring mints and reads proofs, and names accounts. It is safe for concurrent use.
type Keyring struct {
	keys            map[keyID]derived
	signing, naming keyID
	now             func() time.Time
}

type keyID [6]byte

type derived struct{ proof, account []byte }

// NewKeyring derives the keys of proofs from refresh keys (HKDF, RFC 5869),
// oldest first: at least 32 bytes each. The one at the index signing signs; the
// oldest names accounts, so that a new key renames none.
func NewKeyring(now func() time.Time, signing int, materials ...[]byte) (*Keyring, error) {
	if signing < 0 || signing >= len(materials) {
		return nil, errors.New("device: no key that signs")
	}
	ring := &Keyring{keys: make(map[keyID]derived, len(materials)), now: now}
	for i, material := range materials {
		if len(material) < minMaterial {
			return nil, fmt.Errorf("device: key %d has %d bytes, at least %d are needed", i+1, len(material), minMaterial)
		}
		var id keyID
		name, err1 := hkdf.Key(sha256.New, material, nil, "pawl device key id v1", len(id))
		proof, err2 := hkdf.Key(sha256.New, material, nil, "pawl device proof v1", sha256.Size)
		account, err3 := hkdf.Key(sha256.New, material, nil, "pawl account name v1", sha256.Size)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("device: deriving keys: %w", err)
		}
		copy(id[:], name)
		ring.keys[id] = derived{proof, account}
		if i == 0 {
			ring.naming = id
		}
		if i == signing {
			ring.signing = id
		}
	}
	return ring, nil
}

// Mint writes a proof for an account, named by its normalised email. It is issued
// now.
func (k *Keyring) Mint(normalizedEmail string, p Proof) secret.Text {
	raw := make([]byte, 0, size)
	raw = append(raw, version)
	raw = append(raw, k.signing[:]...)
	raw = append(raw, p.UserID[:]...)
	raw = append(raw, p.DeviceID[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.CredentialVersion))
	raw = binary.BigEndian.AppendUint64(raw, uint64(k.now().Unix()))
	raw = append(raw, k.keys[k.signing].sign(raw, normalizedEmail)...)
	return secret.New(prefix + base64.RawURLEncoding.EncodeToString(raw))
}

// Parse reads a proof for an account; false for whatever this ring did not mint
// for it, and for what is older than [Lifetime]. Whether the account is still that
// user's, and they have the credential version, is the caller's to ask.
func (k *Keyring) Parse(text secret.Text, normalizedEmail string) (Proof, bool) {
	encoded, ok := strings.CutPrefix(text.Reveal(), prefix)
	if !ok || text.Len() != Length {
		return Proof{}, false
	}
	var raw [size]byte
	// The decoder skips line breaks; the length check catches them.
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(encoded)); err != nil || n != size || raw[0] != version {
		return Proof{}, false
	}
	var (
		id keyID
		p  Proof
	)
	rest := raw[1:]
	rest = rest[copy(id[:], rest):]
	rest = rest[copy(p.UserID[:], rest):]
	rest = rest[copy(p.DeviceID[:], rest):]
	p.CredentialVersion = int64(binary.BigEndian.Uint64(rest))
	p.IssuedAt = time.Unix(int64(binary.BigEndian.Uint64(rest[8:])), 0).UTC()
	key, known := k.keys[id]
	if !known || !hmac.Equal(key.sign(raw[:signedSize], normalizedEmail), raw[signedSize:]) {
		return Proof{}, false
	}
	return p, k.now().Before(p.IssuedAt.Add(Lifetime))
}

// Account is the name under which attempts at an account are counted, whether
// the account exists or not: an HMAC of its normalised email in hexadecimal, so
// that no store ever holds what somebody typed. It changes with the oldest key.
func (k *Keyring) Account(normalizedEmail string) string {
	return hex.EncodeToString(k.keys[k.naming].name(normalizedEmail))
}

// name is the account's name under this key.
func (d derived) name(normalizedEmail string) []byte { return mac(d.account, []byte(normalizedEmail)) }

// sign is the MAC of a proof: over its text, which has one length, and the
// account's name under the same key, so that a proof is good for as long as its
// key, whichever key names accounts.
func (d derived) sign(signed []byte, normalizedEmail string) []byte {
	return mac(d.proof, append(signed[:signedSize:signedSize], d.name(normalizedEmail)...))
}

func mac(key, data []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}
