package main

import (
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

// errHasKeys: a folder with keys is never touched.
var errHasKeys = errors.New("the folder has keys already; nothing was changed")

// makeKeys makes the first keys of a folder and returns their file names. It is
// errHasKeys where there are some that a server can use, and another error where
// there are some that none can. When it fails it leaves no file behind.
func makeKeys(dir string, alg token.Algorithm, now time.Time) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder cannot be made: %w", bare(err))
	}
	if err := checkNoKeys(dir); err != nil {
		return nil, err
	}
	access, err := newAccess(alg, now)
	if err != nil {
		return nil, err
	}
	// The refresh key comes last: a program that dies in between leaves a folder
	// without the key whose loss would cost sessions.
	return placeAll(dir, []keyText{access, newRefresh(now)}, "")
}

// newAccess draws a signing key that is used from a moment on.
func newAccess(alg token.Algorithm, from time.Time) (keyText, error) {
	key, err := token.GenerateKey(alg)
	return keyText{accessKind.file(from), key.PEM()}, err
}

// newRefresh draws a refresh key that is used from a moment on.
func newRefresh(from time.Time) keyText {
	material := make([]byte, session.MinKeySize)
	_, _ = rand.Read(material) // never fails: crypto/rand ends the program instead
	return keyText{refreshKind.file(from), pem.EncodeToMemory(&pem.Block{Type: refreshBlock, Bytes: material})}
}

func checkNoKeys(dir string) error {
	names, _, err := keyNames(dir)
	if err != nil || len(names) == 0 {
		return err
	}
	files, err := loadKeys(dir, ofOperator(dir))
	if err == nil {
		_, err = files.at(time.Now())
	}
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return errHasKeys
}

// keyText is a key file to be.
type keyText struct {
	name string
	text []byte
}

// placeAll writes all files or none. They get their names when all of them are
// on disk, and the owner of the key file that is named like, if one is: the
// command may be run by another user than the server.
func placeAll(dir string, files []keyText, like string) (names []string, err error) {
	var mine []string
	defer func() {
		if err != nil {
			for _, path := range mine {
				_ = os.Remove(path)
			}
		}
	}()
	temps := make([]string, len(files))
	for i, f := range files {
		temps[i], err = writeTemp(dir, f.text)
		if temps[i] != "" {
			mine = append(mine, temps[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, bare(err))
		}
		if like == "" {
			continue
		}
		if err = giveTo(temps[i], filepath.Join(dir, like)); err != nil {
			return nil, fmt.Errorf("nothing was changed: a new key cannot be given to the owner of %s: %w; run this as the user that pawl runs as", like, bare(err))
		}
	}
	for i, f := range files {
		path := filepath.Join(dir, f.name)
		if err = place(temps[i], path); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, bare(err))
		}
		mine = append(mine, path)
		names = append(names, f.name)
	}
	syncFolder(dir)
	return names, nil
}

// syncFolder brings the names of a folder to disk; not every system can.
func syncFolder(dir string) {
	if folder, err := os.Open(dir); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// writeTemp writes a file of a passing name that only its owner can read.
func writeTemp(dir string, text []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	return f.Name(), errors.Join(err, f.Sync(), f.Close())
}

// place gives a finished file its name, which must be free: no key is ever
// written over.
func place(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil {
		return os.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(temp, path) // a file system without links
}
