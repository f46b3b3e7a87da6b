// Package password owns what happens to passwords: hashing them, checking them
// against stored hashes of any age, and saying what is wrong with a new one. It
// bounds how many are hashed at once. It knows nothing about users: what is
// stored where, and what an answer leads to, is decided elsewhere.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"

	"github.com/pawlauth/pawl/internal/secret"
)

// Errors of a [Hasher] and of its turns. Besides them only the error of the
// context comes back.
var (
	// ErrOverloaded: the queue is full, or the wait was too long. Nothing was
	// looked at; try again later.
	ErrOverloaded = errors.New("password: too many passwords are being checked; try again later")
	// ErrUnusable: no one could ever log in with such a password.
	ErrUnusable = fmt.Errorf("password: it must have 1 to %d bytes of UTF-8 without NUL", MaxBytes)
)

// Hasher hashes and verifies passwords, so many at once and no more. It is safe
// for concurrent use.
type Hasher struct {
	params Params
	decoy  argon2Hash
	queue  *queue
}

// New makes a hasher that writes Argon2id hashes with params and computes at
// most concurrency of them at once, each of which takes Params.MemoryKiB of
// memory. Four times as many may wait, for two seconds at most, and no more than
// four of them for one network. New takes as long as one hash.
func New(params Params, concurrency int) (*Hasher, error) {
	if !params.readable() {
		return nil, errors.New("password: the cost must lie within memory 8 KiB per lane to 256 MiB, time 1 to 10, parallelism 1 to 4")
	}
	if concurrency < 1 {
		return nil, errors.New("password: the concurrency must be at least 1")
	}
	return &Hasher{
		params: params,
		decoy:  newArgon2Hash(params, rand.Text()),
		queue:  newQueue(concurrency),
	}, nil
}

// Enter takes a place among those that have a password hashed or wait for that,
// at once or never: the error is ErrOverloaded. Enter before anything that is only
// done to check a password, so that whoever is sent away costs nothing. The network
// is any text that stands for where the request came from; an empty one is not
// limited by network.
func (h *Hasher) Enter(network string) (*Turn, error) {
	t, err := h.queue.enter(network)
	if err != nil {
		return nil, err
	}
	return &Turn{hasher: h, turn: t}, nil
}

// Turn is a place in the queue. Its first Verify or Hash waits for a slot, which
// the turn keeps until it leaves, as each turn must. It belongs to one goroutine.
type Turn struct {
	hasher *Hasher
	turn   *turn
}

// Leave gives back the place and the slot; to do so twice does no harm.
func (t *Turn) Leave() { t.hasher.queue.leave(t.turn) }

// Hash is the hash of a new password as a PHC string. The password is brought
// into Unicode form NFKC first, so that it can be typed on any keyboard. Beyond
// the errors above it returns the context's.
func (t *Turn) Hash(ctx context.Context, password secret.Text) (secret.Text, error) {
	text := password.Reveal()
	if text == "" || !acceptable(text) || !utf8.ValidString(text) {
		return secret.Text{}, ErrUnusable
	}
	if err := t.hasher.queue.start(ctx, t.turn); err != nil {
		return secret.Text{}, err
	}
	return secret.New(newArgon2Hash(t.hasher.params, norm.NFKC.String(text)).encode()), nil
}

// Hash is [Turn.Hash] in a turn of its own.
func (h *Hasher) Hash(ctx context.Context, network string, password secret.Text) (secret.Text, error) {
	turn, err := h.Enter(network)
	if err != nil {
		return secret.Text{}, err
	}
	defer turn.Leave()
	return turn.Hash(ctx, password)
}

// Result is the answer of [Turn.Verify].
type Result struct {
	// OK: the password is the one that was hashed.
	OK bool
	// Upgrade: the stored hash should be replaced by a new [Turn.Hash] of this
	// password. Never without OK.
	Upgrade bool
}

// Verify checks a password against a stored hash, Argon2id as a PHC string or
// bcrypt. Where there is no stored hash, or none that can be read within bounds,
// and for a password that no hash can be of, it does the same work against a
// decoy and says no: the time tells nobody which of them it was. A password that
// is not in NFKC is tried in NFKC and as sent, always both, since imported hashes
// may be of either. What takes longer or shorter is a readable hash of another
// cost than today's: whoever must not tell that has to add a pause. An error,
// ErrOverloaded or the context's, means that nothing was looked at.
func (t *Turn) Verify(ctx context.Context, stored, password secret.Text) (Result, error) {
	h := t.hasher
	if err := h.queue.start(ctx, t.turn); err != nil {
		return Result{}, err
	}
	hash, known := h.read(stored)
	text := password.Reveal()
	if !acceptable(text) {
		hash, known, text = h.decoy, false, ""
	}
	normal := norm.NFKC.String(text)
	inNormalForm := hash.matches(normal)
	asSent := normal != text && hash.matches(text)
	if !known || !inNormalForm && !asSent {
		return Result{}, nil
	}
	return Result{OK: true, Upgrade: !inNormalForm || !hash.isToday(h.params)}, nil
}

// CheckHash says whether [Turn.Verify] can read a stored hash; use it before
// importing one. The error says what is accepted and never repeats the hash.
func CheckHash(stored secret.Text) error {
	if _, ok := readHash(stored.Reveal()); !ok {
		return errors.New("password: not a usable hash; use argon2id in PHC form (at most 256 MiB, t=10, p=4) or bcrypt (at most cost 14)")
	}
	return nil
}

// acceptable reports whether a hash of text can exist.
func acceptable(text string) bool {
	return len(text) <= MaxBytes && strings.IndexByte(text, 0) < 0
}

// storedHash is a hash of a password by one scheme.
type storedHash interface {
	matches(password string) bool
	isToday(Params) bool // what Hash would write
}

// read is the stored hash, or the decoy when there is none that can be read.
func (h *Hasher) read(stored secret.Text) (hash storedHash, known bool) {
	if hash, ok := readHash(stored.Reveal()); ok {
		return hash, true
	}
	return h.decoy, false
}

func readHash(text string) (storedHash, bool) {
	if strings.HasPrefix(text, "$2") {
		hash := bcryptHash(text)
		return hash, hash.readable()
	}
	return decodeArgon2(text)
}

// bcryptHash is a hash from an import. bcrypt looks at the first 72 bytes of a
// password only; the upgrade ends that.
type bcryptHash string

const (
	bcryptLength  = 60
	maxBcryptCost = 14
)

// readable accepts the prefixes 2a, 2b and 2y, which differ in bugs that other
// programs once had, costs 4 to 14, and the alphabet of bcrypt.
func (b bcryptHash) readable() bool {
	if len(b) != bcryptLength || b[0:2] != "$2" || strings.IndexByte("aby", b[2]) < 0 || b[3] != '$' || b[6] != '$' {
		return false
	}
	for _, c := range []byte(b[7:]) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '/' {
			return false
		}
	}
	if b[4] < '0' || b[4] > '9' || b[5] < '0' || b[5] > '9' {
		return false
	}
	cost := int(b[4]-'0')*10 + int(b[5]-'0')
	return cost >= bcrypt.MinCost && cost <= maxBcryptCost
}

func (b bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(b), []byte(password)) == nil
}

func (bcryptHash) isToday(Params) bool { return false }

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
