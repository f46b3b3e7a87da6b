package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

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
	alg, err := parseAlg(c.Alg)
	if err != nil {
		return err
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

// parseAlg reads --alg.
func parseAlg(text string) (token.Algorithm, error) {
	var r reader
	alg := oneOf(&r, "--alg", text, choices[token.Algorithm]{
		{"EdDSA", token.EdDSA}, {"ES256", token.ES256}, {"RS256", token.RS256}})
	if r.err != nil {
		return alg, usageError{r.err}
	}
	return alg, nil
}

type keysListCmd struct {
	keysFlag `embed:""`
	jsonFlag `embed:""`
}

// keyRow is one line of the list. Times are RFC 3339, empty where there is none.
type keyRow struct {
	Kind  string `json:"kind"` // access or refresh
	ID    string `json:"id"`
	Alg   string `json:"alg"`
	State string `json:"state"` // published, in use, verify-only, gone or revoked
	From  string `json:"from"`  // when it is used first
	Until string `json:"until"` // when it ends, or has ended
	File  string `json:"file"`  // of the key, or of its mark where the key was removed
}

// Run lists the keys of each kind, the newest last.
func (c *keysListCmd) Run(io streams) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	set, err := keysAt(dir, time.Now())
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	rows := keyRows(set)
	return c.print(io, rows, func(w *tabwriter.Writer) {
		_, _ = fmt.Fprintln(w, "KIND\tID\tALG\tSTATE\tFROM\tUNTIL\tFILE")
		for _, r := range rows {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Kind, r.ID, cmp.Or(r.Alg, "-"), r.State, cmp.Or(r.From, "-"), cmp.Or(r.Until, "-"), r.File)
		}
	})
}

// keyRows are the keys of both kinds, each after those that left a mark alone.
func keyRows(set keySet) []keyRow {
	var rows []keyRow
	for _, kind := range []keyKind{accessKind, refreshKind} {
		there := set.of(kind)
		for _, m := range set.marks {
			if m.kind != kind || slices.ContainsFunc(there, func(k standing) bool { return k.id == m.id }) {
				continue
			}
			state := keyGone
			if m.revoked {
				state = keyRevoked
			}
			rows = append(rows, keyRow{Kind: string(kind), ID: m.id, State: string(state), Until: moment(m.at), File: m.file})
		}
		for _, k := range there {
			alg := "HS256"
			if kind == accessKind {
				alg = string(k.access.Algorithm())
			}
			end := k.until
			if k.state == keyRevoked {
				end = k.revoked
			}
			rows = append(rows, keyRow{string(kind), k.id, alg, string(k.state), moment(k.from), moment(end), k.file})
		}
	}
	return rows
}

// moment is a time as text, empty for none.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
