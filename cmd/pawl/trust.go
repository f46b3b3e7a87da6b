package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many links may lead to one file, one after the other.
const maxLinks = 16

// trust is whose files may decide about sessions: those of these users. Whoever
// else can change a key, or put one beside it, signs in as anybody. It is what
// ssh demands of its keys.
type trust struct{ users []int }

// ofServer is whom a server trusts: root, and the user that it runs as.
func ofServer() trust { return trust{[]int{0, os.Geteuid()}} }

// ofOperator is whom a command trusts that an operator gives: as root also the
// user whose folder it is, because the server may run as that one.
func ofOperator(dir string) trust {
	t := ofServer()
	if info, err := os.Stat(dir); err == nil && os.Geteuid() == 0 {
		t.users = append(t.users, fileOwner(info))
	}
	return t
}

func (t trust) owns(info fs.FileInfo) bool { return slices.Contains(t.users, fileOwner(info)) }

// all judges a folder and files of it.
func (t trust) all(dir string, names []string) error {
	given := dir
	dir, info, err := realFolder(dir)
	if err != nil {
		return err
	}
	if err := t.folder(info); err != nil {
		return err
	}
	if openAbove(given) || openAbove(dir) {
		return errors.New("others can write in a folder above it, and so put another folder in its place; chmod o-w that one")
	}
	for _, name := range names {
		if err := t.file(dir, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// openAbove reports whether everybody can write in a folder above a path, and so
// put something else in its place.
func openAbove(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	for above := filepath.Dir(path); ; path, above = above, filepath.Dir(above) {
		if above == path {
			return false
		}
		info, err := os.Stat(above)
		if err != nil || anybodyWrites(info) {
			return true
		}
	}
}

// realFolder is the folder that a path leads to.
func realFolder(dir string) (string, fs.FileInfo, error) {
	path, err := filepath.EvalSymlinks(dir)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("the folder cannot be read: %w", bare(err))
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("the folder cannot be read: %w", bare(err))
	}
	return path, info, nil
}

// file judges a file that keys come from, each link that leads to it, and the
// folders that they lead through. dir itself is judged apart.
func (t trust) file(dir, name string) error {
	at, rest := dir, []string{name}
	for links := 0; len(rest) > 0; {
		path := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			return fmt.Errorf("cannot be read: %w"+restore, bare(err))
		case info.IsDir():
			if err := t.folder(info); err != nil {
				return fmt.Errorf("leads elsewhere: %w", err)
			}
		case !t.owns(info):
			return fmt.Errorf("belongs to user %d, and not to root or the user that pawl runs as; treat it as known to that user, or chown it", fileOwner(info))
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return errors.New("is a link that leads nowhere" + restore)
			}
			target, err := os.Readlink(path)
			if err != nil {
				return fmt.Errorf("cannot be read: %w"+restore, bare(err))
			}
			if filepath.IsAbs(target) {
				at = filepath.VolumeName(target) + string(filepath.Separator)
			}
			rest = append(strings.FieldsFunc(target[len(filepath.VolumeName(target)):], isSeparator), rest...)
			continue
		}
		at = path
	}
	return nil
}

func isSeparator(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }

// folder judges a folder with keys. Where it has the sticky bit everybody may
// write, but nobody can touch what is another's, and each file is judged: so
// orchestrators mount secrets.
func (t trust) folder(info fs.FileInfo) error {
	switch {
	case !t.owns(info):
		return fmt.Errorf("the folder belongs to user %d, and not to root or the user that pawl runs as", fileOwner(info))
	case othersWrite(info) && info.Mode()&fs.ModeSticky == 0:
		return errors.New("others can write in the folder, and so put keys there; chmod go-w it, and make new keys if somebody could have")
	}
	return nil
}

// replaceable reports whether others than its owner can write a file, or put
// another one in its place. Who the owner is does not matter: certificates are
// often renewed by a user of their own.
func replaceable(file string) bool {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false // it cannot be read either
	}
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	folder, err := os.Stat(filepath.Dir(path))
	return othersWrite(info) || err == nil && othersWrite(folder) && folder.Mode()&fs.ModeSticky == 0 || openAbove(file) || openAbove(path)
}
