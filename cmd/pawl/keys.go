package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

type keysFlag struct {
	KeysDir string `env:"PAWL_KEYS_DIR" placeholder:"DIR" help:"The folder of the keys."`
}

func (f keysFlag) dir() (string, error) {
	if f.KeysDir == "" {
		return "", &settingError{"PAWL_KEYS_DIR", "must be set"}
	}
	return f.KeysDir, nil
}

type keysInitCmd struct {
	keysFlag  `embed:""`
	Alg       string `env:"PAWL_ALG" default:"EdDSA" placeholder:"EdDSA" help:"How access tokens are signed: EdDSA (Ed25519), ES256 or RS256. Default: EdDSA."`
	IfMissing bool   `env:"PAWL_IF_MISSING" help:"Succeed when the folder has keys already; for provisioning."`
}

// Run makes the first keys.
func (c *keysInitCmd) Run(io streams) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	var r reader
	alg := oneOf(&r, "--alg", c.Alg, choices[token.Algorithm]{
		{"EdDSA", token.EdDSA}, {"ES256", token.ES256}, {"RS256", token.RS256}})
	if r.err != nil {
		return usageError{r.err}
	}
	names, err := makeKeys(dir, alg, time.Now())
	if errors.Is(err, errHasKeys) && c.IfMissing {
		_, _ = fmt.Fprintln(io.out, err)
		return nil
	}
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	for _, name := range names {
		_, _ = fmt.Fprintln(io.out, "made", filepath.Join(dir, name))
	}
	_, _ = fmt.Fprintln(io.out, "Keep a copy where only you can read it: without the refresh key every session is lost.")
	return nil
}

type keysListCmd struct {
	keysFlag `embed:""`
	jsonFlag `embed:""`
}

// keyRow is one line of the list.
type keyRow struct {
	Kind    string `json:"kind"` // access or refresh
	ID      string `json:"id"`
	Alg     string `json:"alg"`
	State   string `json:"state"`   // "in use" or "verify-only"
	Created string `json:"created"` // RFC 3339; empty when the file name does not say
	File    string `json:"file"`
}

// Run lists the keys, newest last.
func (c *keysListCmd) Run(io streams) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	files, err := loadKeys(dir)
	if err == nil {
		_, _, err = files.rings()
	}
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	var rows []keyRow
	for i, k := range files.access {
		rows = append(rows, keyRow{"access", k.key.ID(), string(k.key.Algorithm()), keyState(i, len(files.access)), keyCreated(k.file), k.file})
	}
	for i, k := range files.refresh {
		alone, err := session.NewKeyring(k.key)
		if err != nil {
			return err
		}
		rows = append(rows, keyRow{"refresh", alone.Newest().String(), "HS256", keyState(i, len(files.refresh)), keyCreated(k.file), k.file})
	}
	return c.print(io, rows, func(w *tabwriter.Writer) {
		_, _ = fmt.Fprintln(w, "KIND\tID\tALG\tSTATE\tCREATED\tFILE")
		for _, r := range rows {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Kind, r.ID, r.Alg, r.State, r.Created, r.File)
		}
	})
}

// keyState: the newest of a kind is in use, the others only verify.
func keyState(i, n int) string {
	if i == n-1 {
		return "in use"
	}
	return "verify-only"
}

// keyCreated is the moment in a key's file name.
func keyCreated(file string) string {
	_, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(file, ".pem"), ".key"), "-")
	at, err := time.Parse(keyTime, rest)
	if err != nil {
		return ""
	}
	return at.Format(time.RFC3339)
}
