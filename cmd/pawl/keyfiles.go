package main

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

const (
	refreshBlock = "PAWL REFRESH KEY"
	keyTime      = "20060102T150405Z"
	minDistinct  = 16 // different bytes in a random key of 32: fewer never happens
)

// keyKind is what keys are for.
type keyKind string

const (
	accessKind  keyKind = "access"  // access-TIME.pem (PKCS#8): signs access tokens
	refreshKind keyKind = "refresh" // refresh-TIME.key: makes refresh tokens
)

// suffix is how files with keys of the kind end.
func (k keyKind) suffix() string {
	if k == accessKind {
		return ".pem"
	}
	return ".key"
}

// file is the name of a key that is used from a moment on.
func (k keyKind) file(from time.Time) string {
	return string(k) + "-" + from.UTC().Format(keyTime) + k.suffix()
}

// keyFile is a key of a folder.
type keyFile struct {
	kind    keyKind
	id      string
	file    string
	from    time.Time   // when it is used first, as the name says
	revoked time.Time   // zero: it is not
	access  token.Key   // of the access kind
	refresh session.Key // of the refresh kind
}

// keyFiles are the keys of a folder, oldest first.
type keyFiles struct {
	access, refresh []keyFile
	marks           []keyMark
}

// exampleKeys are private keys that everybody knows, by thumbprint: those of
// RFC 8037 (A.1), RFC 7517 (A.2: RSA, P-256) and RFC 7515 (A.3).
var exampleKeys = [...]string{ //nolint:gochecknoglobals // a table, never written
	"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
	"cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
	"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
}

// loadKeys reads every key and mark of a folder. It refuses folders that others
// can write in, files that they can read or that belong to somebody else, short,
// weak, doubled and example keys, and names the file, never the folder.
func loadKeys(dir string, t trust) (keyFiles, error) {
	var keys keyFiles
	names, marks, err := keyNames(dir)
	if err != nil {
		return keys, err
	}
	if err := t.all(dir, slices.Concat(names, marks)); err != nil {
		return keys, err
	}
	if keys.marks, err = readMarks(marks); err != nil {
		return keys, err
	}
	files := make(map[string]string, len(names)) // by id
	for _, name := range names {
		key, err := readKey(dir, name)
		if err != nil {
			return keys, fmt.Errorf("%s: %w", name, err)
		}
		if other, dup := files[key.id]; dup {
			return keys, fmt.Errorf("%s: is the key of %s twice; move one of them away", name, other)
		}
		files[key.id] = name
		key.revoked = revokedAt(keys.marks, key.kind, key.id)
		if key.kind == accessKind {
			keys.access = append(keys.access, key)
		} else {
			keys.refresh = append(keys.refresh, key)
		}
	}
	return keys, keys.complete()
}

// readKey reads one key.
func readKey(dir, name string) (keyFile, error) {
	key := keyFile{kind: refreshKind, file: name}
	if strings.HasPrefix(name, string(accessKind)) {
		key.kind = accessKind
	}
	stem := strings.TrimSuffix(strings.TrimPrefix(name, string(key.kind)+"-"), key.kind.suffix())
	var err error
	if key.from, err = time.Parse(keyTime, stem); err != nil {
		return key, errors.New("the name must say from when the key is used, as in " + key.kind.file(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)))
	}
	text, err := readPrivate(filepath.Join(dir, name))
	if err != nil {
		return key, err
	}
	if key.kind == accessKind {
		key.access, err = readAccess(text)
		key.id = key.access.ID()
		return key, err
	}
	if key.refresh, err = readRefresh(text); err != nil {
		return key, err
	}
	id, err := key.refresh.ID()
	key.id = id.String()
	return key, err
}

// restore is what to do about a key that is there and cannot be used.
const restore = "; restore it from a copy, or move it away"

// complete says which kind of key a folder lacks, and what to do.
func (k keyFiles) complete() error {
	const anew = "; restore it from a copy, or move all key files away to start anew"
	switch {
	case len(k.access) == 0 && len(k.refresh) == 0:
		return errors.New("the folder has no keys; make the first ones with: pawl keys init")
	case len(k.access) == 0:
		return errors.New("the folder has a refresh key and no signing key (access-TIME.pem)" + anew)
	case len(k.refresh) == 0:
		return errors.New("the folder has a signing key and no refresh key (refresh-TIME.key)" + anew)
	}
	return nil
}

// keyNames lists the files of a folder with keys, and those that mark keys which
// are over, each sorted by name.
func keyNames(dir string) (keys, marks []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("the folder cannot be read: %w", bare(err))
	}
	for _, e := range entries {
		name := e.Name()
		access, _ := filepath.Match("access-*.pem", name)
		refresh, _ := filepath.Match("refresh-*.key", name)
		switch {
		case access || refresh:
			keys = append(keys, name)
		case strings.HasPrefix(name, markRevoked) || strings.HasPrefix(name, markRetired):
			marks = append(marks, name)
		}
	}
	return keys, marks, nil
}

func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w"+restore, bare(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, errors.New("others can read this key; treat it as known to them, or chmod 600 it if they could not have")
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("cannot be read: %w; it must belong to the user that pawl runs as", bare(err))
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w"+restore, bare(err))
	case len(text) == 0:
		return nil, errors.New("is empty" + restore)
	}
	return text, nil
}

// bare is a file error without the path.
func bare(err error) error {
	if e := (*os.LinkError)(nil); errors.As(err, &e) {
		return e.Err
	}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func readAccess(text []byte) (token.Key, error) {
	key, err := token.LoadKey(text)
	if err != nil {
		return key, fmt.Errorf("%w"+restore, err)
	}
	for _, known := range exampleKeys {
		if key.ID() == known {
			return key, errors.New("is an example key that everybody knows")
		}
	}
	return key, nil
}

func readRefresh(text []byte) (session.Key, error) {
	var material []byte
	if block, _ := pem.Decode(text); block != nil && block.Type == refreshBlock {
		material = block.Bytes
	} else {
		decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
		if err != nil || block != nil {
			return session.Key{}, errors.New("is neither base64 nor a PEM block " + refreshBlock + restore)
		}
		material = decoded
	}
	if len(material) < session.MinKeySize {
		return session.Key{}, fmt.Errorf("has %d bytes, at least %d are needed", len(material), session.MinKeySize)
	}
	distinct, printable := map[byte]bool{}, 0
	for _, b := range material {
		distinct[b] = true
		if b >= ' ' && b <= '~' {
			printable++
		}
	}
	if len(distinct) < minDistinct || printable == len(material) {
		return session.Key{}, errors.New("is not made of random bytes: an example, or a typed text")
	}
	return session.Key{Material: material}, nil
}
