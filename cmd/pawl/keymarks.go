package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names of marks: an empty file whose name says that the tokens of a key are over
// since a moment, whether the key is still there or not. Marks stay: a key that
// is restored from a copy is revoked as before, and a refresh token of a key that
// was removed is told from one that this server has yet to learn of.
const (
	markRevoked = "revoked-" // revoked-KIND-ID-TIME: withdrawn
	markRetired = "retired-" // retired-KIND-ID-TIME: removed, its last token had expired
)

// keyMark is what a mark says.
type keyMark struct {
	file    string
	kind    keyKind
	id      string
	at      time.Time
	revoked bool
}

// markName is the name of a mark.
func markName(prefix string, kind keyKind, id string, at time.Time) string {
	return prefix + string(kind) + "-" + id + "-" + at.UTC().Format(keyTime)
}

// readMarks reads the names of marks.
func readMarks(names []string) ([]keyMark, error) {
	marks := make([]keyMark, len(names))
	for i, name := range names {
		mark, err := readMark(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		marks[i] = mark
	}
	return marks, nil
}

func readMark(name string) (keyMark, error) {
	m := keyMark{file: name, kind: accessKind, revoked: strings.HasPrefix(name, markRevoked)}
	rest := name[len(markRevoked):] // both are as long
	id, ok := strings.CutPrefix(rest, string(accessKind)+"-")
	if !ok {
		id, ok = strings.CutPrefix(rest, string(refreshKind)+"-")
		m.kind = refreshKind
	}
	cut := len(id) - len(keyTime) - 1
	if !ok || cut < 1 || id[cut] != '-' {
		return m, errNoMark
	}
	var err error
	if m.at, err = time.Parse(keyTime, id[cut+1:]); err != nil {
		return m, errNoMark
	}
	m.id = id[:cut]
	return m, nil
}

// marksOf are the marks of a folder, as far as they can be read and are trusted.
func marksOf(dir string, t trust) []keyMark {
	_, names, _ := keyNames(dir)
	dir, _, err := realFolder(dir)
	if err != nil {
		return nil
	}
	var marks []keyMark
	for _, name := range names {
		if m, err := readMark(name); err == nil && t.file(dir, name) == nil {
			marks = append(marks, m)
		}
	}
	return marks
}

// revokedBy is the same keys with what more marks revoke.
func (k keyFiles) revokedBy(more []keyMark) keyFiles {
	k.marks = slices.Clone(k.marks)
	for _, m := range more {
		if m.revoked && revokedAt(k.marks, m.kind, m.id).IsZero() {
			k.marks = append(k.marks, m)
		}
	}
	k.access, k.refresh = slices.Clone(k.access), slices.Clone(k.refresh)
	for _, keys := range [][]keyFile{k.access, k.refresh} {
		for i := range keys {
			keys[i].revoked = revokedAt(k.marks, keys[i].kind, keys[i].id)
		}
	}
	return k
}

var errNoMark = errors.New("marks no key: the name must be KIND-ID-TIME after the first word; move it away")

// revokedAt is when a key was revoked, the zero time where it was not.
func revokedAt(marks []keyMark, kind keyKind, id string) (at time.Time) {
	for _, m := range marks {
		if m.revoked && m.kind == kind && m.id == id && (at.IsZero() || m.at.Before(at)) {
			at = m.at
		}
	}
	return at
}
