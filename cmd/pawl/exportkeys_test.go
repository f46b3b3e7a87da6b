package main

import (
	"slices"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/token"
)

// KeyStates are the keys of a folder at a moment, by file: the state, and until
// when where that is known.
func KeyStates(dir string, at time.Time) (map[string]string, error) {
	set, err := keysAt(dir, at)
	states := map[string]string{}
	for _, k := range slices.Concat(set.access, set.refresh) {
		states[k.file] = string(k.state)
		if !k.until.IsZero() {
			states[k.file] += " " + moment(k.until)
		}
	}
	return states, err
}

// MakeKeys makes the first keys of a folder.
func MakeKeys(dir string, now time.Time) ([]string, error) { return makeKeys(dir, token.EdDSA, now) }

// RotateKeys does one step and returns the file of the new key.
func RotateKeys(dir, kind string, lead time.Duration, now time.Time) (made string, removed []string, err error) {
	r, err := rotateKeys(dir, keyKind(kind), "", lead, now)
	return r.made.file, r.removed, err
}

// KeyID is the id of the key in a file.
func KeyID(dir, file string) (string, error) {
	k, err := readKey(dir, file)
	return k.id, err
}

// RevokeKey revokes a key and returns the file of the one that took its place.
func RevokeKey(dir, id string, now time.Time) (made string, err error) {
	r, err := revokeKey(dir, id, now)
	return r.made, err
}

// LiveKeys are the keys of a running server.
type LiveKeys struct{ live liveKeys }

// NewLiveKeys follow a folder by a clock.
func NewLiveKeys(dir string, config token.Config, now func() time.Time) *LiveKeys {
	return &LiveKeys{liveKeys{dir: dir, config: config, now: now}}
}

// Load looks at the folder and says what has changed, as "key.published access".
func (l *LiveKeys) Load() ([]string, error) {
	changes, err := l.live.load()
	var words []string
	for _, c := range changes {
		words = append(words, string(c.name)+" "+string(c.kind))
	}
	return words, err
}

// Keys are what a service works with, and JWKS what it publishes.
func (l *LiveKeys) Keys() *auth.Keys { return l.live.keys.Load() }

// JWKS is the key set that is published.
func (l *LiveKeys) JWKS() string { return string(l.live.signing.Load().JWKS()) }
