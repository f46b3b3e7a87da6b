package session

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
)

// Errors of [Keyring.Parse].
var (
	ErrMalformed  = errors.New("session: not a refresh token")
	ErrUnknownKey = errors.New("session: refresh token of an unknown key")
	ErrRetiredKey = errors.New("session: refresh token of a retired key")
)

const (
	tokenPrefix  = "pawl_rt1_"
	tokenVersion = 1
	// version, key id, delivery, user, session, secret, generation, MAC: 96
	// bytes, so that base64 has no spare bits and no second spelling.
	signedSize = 1 + 6 + 1 + 16 + 16 + secretSize + 8
	tokenSize  = signedSize + sha256.Size
	// TokenLength is the length of every refresh token in characters.
	TokenLength = len(tokenPrefix) + tokenSize/3*4
	// maxGeneration is the largest integer that every store counts exactly.
	maxGeneration = 1<<53 - 1
	// MinKeySize is the least size of a refresh key in bytes.
	MinKeySize = 32
)

// Token is what a refresh token says: generation so-and-so of a session.
type Token struct {
	KeyID      KeyID
	Delivery   Delivery
	UserID     uuid.UUID
	SessionID  uuid.UUID
	Secret     Secret
	Generation uint64
}

// Secret is the part of a session's refresh tokens that no store holds. The zero
// value is 16 zero bytes. Secrets are compared by their [Secret.Hash]; == does
// not compile.
//
// The bytes are behind a pointer to a string on purpose: where package fmt
// cannot call the methods below (an unexported field of a struct, a verb that
// does not fit) it walks the fields by reflection, and there it prints the
// address. It would follow a pointer to an array.
type Secret struct {
	_     [0]func() // == would compare addresses
	value *string
}

const secretSize = 16

// NewSecret draws a secret.
func NewSecret() Secret {
	var value [secretSize]byte
	_, _ = rand.Read(value[:]) // never fails: crypto/rand ends the program instead
	return secretOf(value[:])
}

func secretOf(bytes []byte) Secret {
	value := string(bytes)
	return Secret{value: &value}
}

// Reveal returns the bytes. Call it where a token is made, and nowhere else.
func (s Secret) Reveal() (bytes [secretSize]byte) {
	if s.value != nil {
		copy(bytes[:], *s.value)
	}
	return bytes
}

// Hash is the SHA-256 of the secret: what the stores compare with.
func (s Secret) Hash() [32]byte {
	value := s.Reveal()
	return sha256.Sum256(value[:])
}

const redacted = "[redacted]"

// String hides the secret.
func (Secret) String() string { return redacted }

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Next is the token of the given generation of the same session.
func (t Token) Next(generation uint64) Token {
	t.Generation = generation
	return t
}

// KeyID names a refresh key: the first bytes of a hash of the key.
type KeyID [6]byte

// String is the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParseKeyID reads what [KeyID.String] writes.
func ParseKeyID(text string) (KeyID, error) {
	var id KeyID
	raw, err := hex.DecodeString(text)
	if err != nil || copy(id[:], raw) != len(id) || len(raw) != len(id) || id.String() != text {
		return KeyID{}, errors.New("session: not the id of a refresh key: 12 digits, 0-9 and a-f")
	}
	return id, nil
}

// KeyState is where a refresh key stands in its life.
type KeyState uint8

// The states of a refresh key.
const (
	KeyActive    KeyState = iota // verifies; the last active key of a ring signs new sessions
	KeyPublished                 // verifies, and signs nothing yet: other nodes may use it already
	KeyRetired                   // refuses: its sessions are over
)

// Key is one refresh key: at least [MinKeySize] random bytes. It prints as a
// placeholder.
type Key struct {
	Material []byte
	State    KeyState
}

// ID is the key's name in tokens and in the ledger. It is an error where the
// key is too short.
func (k Key) ID() (KeyID, error) {
	if len(k.Material) < MinKeySize {
		return KeyID{}, fmt.Errorf("session: a refresh key of %d bytes, at least %d are needed", len(k.Material), MinKeySize)
	}
	id, _, err := derive(k)
	return id, err
}

// String hides the key.
func (Key) String() string { return redacted }

// Format hides the key from every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the key.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the key.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Keyring mints and parses refresh tokens. A token is a pure function of key,
// session and generation: minting it again, on any node, gives the same bytes.
// It is safe for concurrent use.
type Keyring struct {
	keys    map[KeyID]derived
	retired map[KeyID]bool // whose keys are not there any more
	newest  KeyID
}

// derived is a key on a ring. The bytes are inside of the functions: package fmt
// would find them in a field.
type derived struct {
	token, attempt func(data []byte) []byte // HMACs
	state          KeyState
}

// NewKeyring makes a ring of keys, oldest first; the last active one signs new
// sessions. It refuses short and repeated keys, and a ring without active key.
func NewKeyring(keys ...Key) (*Keyring, error) {
	ring := &Keyring{keys: make(map[KeyID]derived, len(keys))}
	active := false
	for i, key := range keys {
		if len(key.Material) < MinKeySize {
			return nil, fmt.Errorf("session: refresh key %d has %d bytes, at least %d are needed", i+1, len(key.Material), MinKeySize)
		}
		id, d, err := derive(key)
		if err != nil {
			return nil, err
		}
		if _, dup := ring.keys[id]; dup {
			return nil, fmt.Errorf("session: refresh key %s is there twice", id)
		}
		ring.keys[id] = d
		if key.State == KeyActive {
			ring.newest, active = id, true
		}
	}
	if !active {
		return nil, errors.New("session: no active refresh key")
	}
	return ring, nil
}

// WithRetired is the ring with the ids of keys that are over and need not be
// there any more. An id of a key that is on the ring changes nothing.
func (k *Keyring) WithRetired(ids ...KeyID) *Keyring {
	ring := &Keyring{keys: k.keys, newest: k.newest, retired: make(map[KeyID]bool, len(k.retired)+len(ids))}
	maps.Copy(ring.retired, k.retired)
	for _, id := range ids {
		ring.retired[id] = true
	}
	return ring
}

// derive separates the uses of a key (HKDF, RFC 5869).
func derive(key Key) (KeyID, derived, error) {
	expand := func(info string, size int) ([]byte, error) {
		return hkdf.Key(sha256.New, key.Material, nil, info, size)
	}
	var id KeyID
	name, err1 := expand("pawl refresh key id v1", len(id))
	token, err2 := expand("pawl refresh token v1", sha256.Size)
	attempt, err3 := expand("pawl attempt id v1", sha256.Size)
	if err := errors.Join(err1, err2, err3); err != nil {
		return id, derived{}, fmt.Errorf("session: deriving keys: %w", err)
	}
	copy(id[:], name)
	return id, derived{token: mac(token), attempt: mac(attempt), state: key.State}, nil
}

// Newest is the key for new sessions.
func (k *Keyring) Newest() KeyID { return k.newest }

// Mint writes the refresh token that t stands for. The key must be on the ring.
func (k *Keyring) Mint(t Token) (secret.Text, error) {
	key, ok := k.keys[t.KeyID]
	if !ok {
		return secret.Text{}, ErrUnknownKey
	}
	raw := make([]byte, 0, tokenSize)
	raw = append(raw, tokenVersion)
	raw = append(raw, t.KeyID[:]...)
	raw = append(raw, byte(t.Delivery))
	raw = append(raw, t.UserID[:]...)
	raw = append(raw, t.SessionID[:]...)
	value := t.Secret.Reveal()
	raw = append(raw, value[:]...)
	raw = binary.BigEndian.AppendUint64(raw, t.Generation)
	raw = append(raw, key.token(raw)...)
	return secret.New(tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)), nil
}

// Parse reads a refresh token and proves that this ring minted it, without
// asking anyone. Anything but the one spelling that Mint writes is
// ErrMalformed. A token of a key that is not on the ring is ErrUnknownKey: it
// may come from a node that loaded its keys earlier, so nothing is known about
// it. One of a retired key is ErrRetiredKey, proven to be genuine where the ring
// has the key.
func (k *Keyring) Parse(text secret.Text) (Token, error) {
	var t Token
	encoded, ok := strings.CutPrefix(text.Reveal(), tokenPrefix)
	if !ok || text.Len() != TokenLength {
		return t, ErrMalformed
	}
	var raw [tokenSize]byte
	// The decoder skips line breaks; the length check catches them.
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(encoded)); err != nil || n != tokenSize {
		return t, ErrMalformed
	}
	rest := raw[1:]
	rest = rest[copy(t.KeyID[:], rest):]
	t.Delivery, rest = Delivery(rest[0]), rest[1:]
	rest = rest[copy(t.UserID[:], rest):]
	rest = rest[copy(t.SessionID[:], rest):]
	value, rest := rest[:secretSize], rest[secretSize:]
	t.Generation = binary.BigEndian.Uint64(rest)
	if raw[0] != tokenVersion || t.Delivery != DeliveryCookie && t.Delivery != DeliveryBody ||
		t.Generation == 0 || t.Generation > maxGeneration {
		return Token{}, ErrMalformed
	}
	key, known := k.keys[t.KeyID]
	switch {
	case !known && k.retired[t.KeyID]:
		return Token{}, ErrRetiredKey
	case !known:
		return Token{}, ErrUnknownKey
	}
	if !hmac.Equal(key.token(raw[:signedSize]), raw[signedSize:]) {
		return Token{}, ErrMalformed
	}
	if key.state == KeyRetired {
		return Token{}, ErrRetiredKey
	}
	t.Secret = secretOf(value)
	return t, nil
}

// ClientAttempt marks an attempt id that the client chose, as the stores keep
// it: an HMAC under a key of the session's refresh key, which must be on the ring.
func (k *Keyring) ClientAttempt(t Token, id secret.Text) Attempt {
	data := append(t.SessionID[:], id.Reveal()...)
	return Attempt("c" + base64.RawURLEncoding.EncodeToString(k.keys[t.KeyID].attempt(data)))
}

// ServerAttempt draws the mark of one request without a client's attempt id.
func ServerAttempt() Attempt {
	drawn := NewSecret().Reveal()
	return Attempt("s" + base64.RawURLEncoding.EncodeToString(drawn[:]))
}

// mac is HMAC-SHA-256 under a key.
func mac(key []byte) func(data []byte) []byte {
	return func(data []byte) []byte {
		m := hmac.New(sha256.New, key)
		m.Write(data)
		return m.Sum(nil)
	}
}
