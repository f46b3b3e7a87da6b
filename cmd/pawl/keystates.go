package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

// keyState is where a key stands in its life. Every server and command tells it
// from the names in the folder and the time alone.
type keyState string

const (
	keyPublished keyState = "published"   // verifies, and is not used yet
	keyInUse     keyState = "in use"      // makes new tokens
	keyVerifies  keyState = "verify-only" // verifies what it made
	keyGone      keyState = "gone"        // its last token has expired
	keyRevoked   keyState = "revoked"     // withdrawn before that
)

// life is how long a key verifies after another took its place: until the last of
// its tokens has expired, whatever the settings are. Of an access key, with room
// for clocks that differ and for servers that notice later. Of a refresh key, the
// proofs of known devices live longest.
func (k keyKind) life() time.Duration {
	if k == accessKind {
		return token.MaxTTL + token.MaxLeeway + time.Minute
	}
	return device.Lifetime
}

// standing is a key's state.
type standing struct {
	keyFile
	state keyState
	until time.Time // of a key that verifies only, or is gone: when it ends
}

// keySet is what a folder comes to at one moment.
type keySet struct {
	access, refresh []standing // oldest first
	marks           []keyMark
}

// at judges every key at a moment.
func (k keyFiles) at(now time.Time) (keySet, error) {
	set := keySet{marks: k.marks}
	var err error
	if set.access, err = standings(k.access, now); err != nil {
		return set, err
	}
	set.refresh, err = standings(k.refresh, now)
	return set, err
}

// cameIntoUse tells whether a key was used before a moment.
func (k keyFile) cameIntoUse(now time.Time) bool {
	return !k.from.After(now) && (k.revoked.IsZero() || k.revoked.After(k.from))
}

// standings judges the keys of one kind, oldest first. In use is the newest whose
// time has come. Use never goes back to an older key: where the key in use was
// revoked the next one takes its place, even when its time has not quite come by
// this clock.
func standings(keys []keyFile, now time.Time) ([]standing, error) {
	used := 0
	for i, k := range keys {
		if k.cameIntoUse(now) {
			used = i
		}
	}
	for used < len(keys) && !keys[used].revoked.IsZero() {
		used++
	}
	if used == len(keys) {
		return nil, fmt.Errorf("no %s key is left that is not revoked; restore the newest one from a copy", keys[0].kind)
	}
	all := make([]standing, len(keys))
	next := used // the first key after i that came into use
	for i, k := range slices.Backward(keys) {
		all[i] = standing{keyFile: k}
		switch s := &all[i]; {
		case !k.revoked.IsZero():
			s.state = keyRevoked
		case i > used:
			s.state = keyPublished
		case i == used:
			s.state = keyInUse
		default:
			s.until, s.state = keys[next].from.Add(k.kind.life()), keyVerifies
			if !now.Before(s.until) {
				s.state = keyGone
			}
		}
		if i < used && k.cameIntoUse(now) {
			next = i
		}
	}
	return all, nil
}

// of are the keys of a kind.
func (s keySet) of(kind keyKind) []standing {
	if kind == accessKind {
		return s.access
	}
	return s.refresh
}

// inUse is the key of a kind that makes new tokens.
func (s keySet) inUse(kind keyKind) standing {
	all := s.of(kind)
	return all[slices.IndexFunc(all, func(k standing) bool { return k.state == keyInUse })]
}

// signing is the ring of access keys: those that verify, the one in use first.
func (s keySet) signing() (*token.Keyring, error) {
	var others []token.Key
	for _, k := range s.accepted(accessKind) {
		if k.state != keyInUse {
			others = append(others, k.access)
		}
	}
	return token.NewKeyring(s.inUse(accessKind).access, others...)
}

// refreshing is the ring of refresh keys. It knows those that are over too.
func (s keySet) refreshing() (*session.Keyring, error) {
	keys := make([]session.Key, len(s.refresh))
	for i, k := range s.refresh {
		keys[i] = k.refresh
		switch k.state {
		case keyPublished:
			keys[i].State = session.KeyPublished
		case keyRevoked, keyGone:
			keys[i].State = session.KeyRetired
		}
	}
	ring, err := session.NewKeyring(keys...)
	if err != nil {
		return nil, err
	}
	return ring.WithRetired(s.over(func(keyMark) bool { return true })...), nil
}

// withdrawn are the ids of refresh keys that were revoked at a moment or later.
func (s keySet) withdrawn(since time.Time) []session.KeyID {
	return s.over(func(m keyMark) bool { return m.revoked && !m.at.Before(since) })
}

// over are the ids of refresh keys with a mark that is wanted.
func (s keySet) over(wanted func(keyMark) bool) []session.KeyID {
	var ids []session.KeyID
	for _, m := range s.marks {
		if id, err := session.ParseKeyID(m.id); err == nil && m.kind == refreshKind && wanted(m) {
			ids = append(ids, id)
		}
	}
	return ids
}

// accepted are the keys of a kind that are neither revoked nor gone.
func (s keySet) accepted(kind keyKind) []standing {
	return slices.DeleteFunc(slices.Clone(s.of(kind)), func(k standing) bool { return k.state == keyRevoked || k.state == keyGone })
}

// naming is the refresh key that names accounts: the oldest that is accepted, so
// that failed logins count on while keys rotate.
func (s keySet) naming() standing { return s.accepted(refreshKind)[0] }

// devices is the keyring of device proofs and account names.
func (s keySet) devices(now func() time.Time) (*device.Keyring, error) {
	var materials [][]byte
	signing := -1
	for i, k := range s.accepted(refreshKind) {
		if k.state == keyInUse {
			signing = i
		}
		materials = append(materials, k.refresh.Material)
	}
	return device.NewKeyring(now, signing, materials...)
}

// keys is what the service works with, and the ring that is published.
func (s keySet) keys(config token.Config, now func() time.Time) (*auth.Keys, *token.Keyring, error) {
	signing, err := s.signing()
	if err != nil {
		return nil, nil, err
	}
	k := &auth.Keys{}
	if k.Refresh, err = s.refreshing(); err != nil {
		return nil, nil, err
	}
	if k.Devices, err = s.devices(now); err != nil {
		return nil, nil, err
	}
	if k.Issuer, err = token.NewIssuer(signing, config, now); err != nil {
		return nil, nil, err
	}
	k.Verifier, err = token.NewVerifier(signing, config, now)
	return k, signing, err
}

// print is the set as a text in which every change of a state shows.
func (s keySet) print() string {
	var b strings.Builder
	for _, k := range slices.Concat(s.access, s.refresh) {
		fmt.Fprintln(&b, k.kind, k.id, k.state)
	}
	for _, m := range s.marks {
		fmt.Fprintln(&b, m.file)
	}
	return b.String()
}
