package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pawlauth/pawl/internal/token"
)

// minLead is the least time between the publication of a key and its first use:
// services that verify may keep a key set for five minutes, and a running server
// looks at the folder every keysLook.
const minLead = 5*time.Minute + keysLook

// rotation is what became of one step.
type rotation struct {
	made, before standing
	removed      []string // files
}

// tooEarly: a published key waits for its time.
type tooEarly struct{ waiting standing }

func (e *tooEarly) Error() string {
	return fmt.Sprintf("it is too early, and nothing was changed: %s key %s is published and will be used from %s; the next step may come then",
		e.waiting.kind, e.waiting.id, e.waiting.from.Format(time.RFC3339))
}

// rotateKeys publishes the next key of a kind, of the algorithm of the one in use
// unless alg says otherwise, and removes those that are over. It is *tooEarly,
// and changes nothing, while a published key is not in use yet.
func rotateKeys(dir string, kind keyKind, alg token.Algorithm, lead time.Duration, now time.Time) (rotation, error) {
	var r rotation
	set, err := keysAt(dir, now)
	if err != nil {
		return r, err
	}
	for _, k := range set.of(kind) {
		if k.state == keyPublished {
			return r, &tooEarly{k}
		}
	}
	r.before = set.inUse(kind)
	from := now.UTC().Truncate(time.Second).Add(time.Second + lead)
	file, err := addKey(dir, kind, alg, r.before, from)
	if err != nil {
		return r, err
	}
	r.removed, err = removeGone(dir, set.of(kind), now)
	if err != nil {
		return r, fmt.Errorf("%s is published, but a key that is over stays: %w", file, err)
	}
	// As every server will read it.
	if set, err = keysAt(dir, now); err != nil {
		return r, err
	}
	all := set.of(kind)
	r.made = all[slices.IndexFunc(all, func(k standing) bool { return k.file == file })]
	return r, nil
}

// keysAt are the keys of a folder at a moment, for a command of an operator's.
func keysAt(dir string, now time.Time) (keySet, error) {
	files, err := loadKeys(dir, ofOperator(dir))
	if err != nil {
		return keySet{}, err
	}
	return files.at(now)
}

// addKey makes one more key, to be used from a moment on, and returns its file.
func addKey(dir string, kind keyKind, alg token.Algorithm, before standing, from time.Time) (string, error) {
	text := newRefresh(from)
	if kind == accessKind {
		if alg == "" {
			alg = before.access.Algorithm()
		}
		var err error
		if text, err = newAccess(alg, from); err != nil {
			return "", err
		}
	}
	_, err := placeAll(dir, []keyText{text}, before.file)
	return text.name, err
}

// removeGone removes the files of keys whose last token has expired, and those of
// revoked ones that nothing is counted from any more. A refresh key leaves a mark.
func removeGone(dir string, keys []standing, now time.Time) ([]string, error) {
	var removed []string
	for _, k := range keys {
		over := k.state == keyGone || k.state == keyRevoked && now.After(k.revoked.Add(k.kind.life()))
		if !over {
			continue
		}
		if k.state == keyGone && k.kind == refreshKind {
			if err := placeMark(dir, markName(markRetired, k.kind, k.id, k.until)); err != nil {
				return removed, err
			}
		}
		if err := os.Remove(filepath.Join(dir, k.file)); err != nil {
			return removed, fmt.Errorf("%s: cannot be removed: %w", k.file, bare(err))
		}
		removed = append(removed, k.file)
	}
	syncFolder(dir)
	return removed, nil
}

// withdrawal is what became of a key that was revoked.
type withdrawal struct {
	kind  keyKind
	again bool   // it was revoked before
	names bool   // accounts were named by it
	made  string // the file of the key that took its place; empty where it was not in use
}

var errNoKey = errors.New("no key of the folder has this id; pawl keys list shows them")

// revokeKey marks a key as revoked. Where it is in use another one is made first,
// to be used at once.
func revokeKey(dir, id string, now time.Time) (withdrawal, error) {
	var r withdrawal
	set, err := keysAt(dir, now)
	if err != nil {
		return r, err
	}
	for _, m := range set.marks {
		if m.revoked && m.id == id {
			return withdrawal{kind: m.kind, again: true}, nil
		}
	}
	all := slices.Concat(set.access, set.refresh)
	i := slices.IndexFunc(all, func(k standing) bool { return k.id == id })
	if i < 0 {
		return r, errNoKey
	}
	k := all[i]
	at := now.UTC().Truncate(time.Second)
	if k.state != keyPublished && !at.After(k.from) {
		at = k.from.Add(time.Second) // it was used, if only for a moment
	}
	r.kind, r.names = k.kind, k.kind == refreshKind && set.naming().id == id
	if k.state == keyInUse {
		from := at
		taken := func(f keyFile) bool { return f.from.Equal(from) }
		for slices.ContainsFunc(set.of(k.kind), func(s standing) bool { return taken(s.keyFile) }) {
			from = from.Add(time.Second)
		}
		if r.made, err = addKey(dir, k.kind, "", k, from); err != nil {
			return r, err
		}
	}
	if err := placeMark(dir, markName(markRevoked, k.kind, id, at)); err != nil {
		if r.made != "" {
			err = fmt.Errorf("%s takes the key's place, but the key is not revoked yet; do it again: %w", r.made, err)
		}
		return r, err
	}
	syncFolder(dir)
	return r, nil
}

// placeMark makes a mark, which may be there already.
func placeMark(dir, name string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: cannot be made: %w", name, bare(err))
	}
	return f.Close()
}
