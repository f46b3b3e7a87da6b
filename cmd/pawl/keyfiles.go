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
	"strings"
	"time"

	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

const (
	refreshBlock = "PAWL REFRESH KEY"
	keyTime      = "20060102T150405Z"
	minDistinct  = 16 // different bytes in a random key of 32: fewer never happens
)

// keyFiles are the keys of a folder, oldest first by file name:
// access-TIME.pem (PKCS#8) and refresh-TIME.key.
type keyFiles struct {
	access  []accessKey
	refresh []refreshKey
}

type accessKey struct {
	file string
	key  token.Key
}

type refreshKey struct {
	file string
	key  session.Key
}

// exampleKeys are private keys that everybody knows, by thumbprint: those of
// RFC 8037 (A.1), RFC 7517 (A.2: RSA, P-256) and RFC 7515 (A.3).
var exampleKeys = [...]string{ //nolint:gochecknoglobals // a table, never written
	"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
	"cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
	"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
}

// loadKeys reads every key of a folder. It refuses files that others can read,
// short, weak, doubled and example keys, and names the file, never the folder.
func loadKeys(dir string) (keyFiles, error) {
	var keys keyFiles
	names, err := keyNames(dir)
	if err != nil {
		return keys, err
	}
	for _, name := range names {
		text, err := readPrivate(filepath.Join(dir, name))
		if err != nil {
			return keys, fmt.Errorf("%s: %w", name, err)
		}
		if strings.HasSuffix(name, ".pem") {
			key, err := readAccess(text)
			if err != nil {
				return keys, fmt.Errorf("%s: %w", name, err)
			}
			keys.access = append(keys.access, accessKey{name, key})
			continue
		}
		key, err := readRefresh(text)
		if err != nil {
			return keys, fmt.Errorf("%s: %w", name, err)
		}
		keys.refresh = append(keys.refresh, refreshKey{name, key})
	}
	return keys, keys.complete()
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

// rings are the keyrings of the folder: the newest key signs, the others are
// accepted.
func (k keyFiles) rings() (*token.Keyring, *session.Keyring, error) {
	var others []token.Key
	for _, a := range k.access[:len(k.access)-1] {
		others = append(others, a.key)
	}
	access, err := token.NewKeyring(k.access[len(k.access)-1].key, others...)
	if err != nil {
		return nil, nil, err
	}
	refresh := make([]session.Key, len(k.refresh))
	for i, r := range k.refresh {
		refresh[i] = r.key
	}
	ring, err := session.NewKeyring(refresh...)
	return access, ring, err
}

// devices is the keyring of device proofs and account names.
func (k keyFiles) devices(now func() time.Time) (*device.Keyring, error) {
	materials := make([][]byte, len(k.refresh))
	for i, r := range k.refresh {
		materials[i] = r.key.Material
	}
	return device.NewKeyring(now, materials...)
}

// keyNames lists the key files of a folder, sorted by name.
func keyNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the folder cannot be read: %w", bare(err))
	}
	var names []string
	for _, e := range entries {
		access, _ := filepath.Match("access-*.pem", e.Name())
		refresh, _ := filepath.Match("refresh-*.key", e.Name())
		if access || refresh {
			names = append(names, e.Name())
		}
	}
	return names, nil
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
