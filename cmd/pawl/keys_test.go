package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// fileNames are the names in a folder.
func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestKeysInitWithoutRoom: a file system that takes half of a key keeps nothing
// of it.
func TestKeysInitWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "ulimit -f 1 && exec pawl keys init --alg RS256 --keys-dir .") // 1 KiB at most
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "pawl: PAWL_KEYS_DIR: access-") || !strings.Contains(string(out), "file too large") {
		t.Errorf("got %v and %q, want the name of the file and what is wrong", err, out)
	}
	if left := fileNames(t, dir); len(left) > 0 {
		t.Errorf("got %v left in the folder, want nothing", left)
	}
}

// TestKeysArePlacedTogether: when the last file cannot be placed, none is, and
// a file that was there stays as it was.
func TestKeysArePlacedTogether(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "second"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := pawl.PlaceKeys(dir, "first", "second")
	text, readErr := os.ReadFile(filepath.Join(dir, "second"))
	if err == nil || readErr != nil || string(text) != "other" {
		t.Errorf("got %v with the old file %q (%v), want an error and the old file", err, text, readErr)
	}
	if got := fileNames(t, dir); !slices.Equal(got, []string{"second"}) {
		t.Errorf("got %v in the folder, want the old file alone", got)
	}
}

// TestHalfMadeKeys: what no server can use is never taken for keys, by no
// command, and is never touched.
func TestHalfMadeKeys(t *testing.T) {
	for _, tt := range []struct{ name, harm, want string }{
		{"no refresh key", "rm refresh-*", "the folder has a signing key and no refresh key (refresh-TIME.key); restore it"},
		{"no signing key", "rm access-*", "the folder has a refresh key and no signing key (access-TIME.pem); restore it"},
		{"empty refresh key", ": >$(ls refresh-*)", "Z.key: is empty; restore it"},
		{"empty signing key", ": >$(ls access-*)", "Z.pem: is empty; restore it"},
		{"half a signing key", "f=$(ls access-*); head -c 60 $f >x; cat x >$f; rm x", "Z.pem: token: no PEM block in the key file; restore it"},
		{"half a refresh key", "f=$(ls refresh-*); head -c 50 $f >x; cat x >$f; rm x", "is neither base64 nor a PEM block PAWL REFRESH KEY; restore it"},
		{"a folder", "rm refresh-*; mkdir -m 700 refresh-20260101T000000Z.key", "refresh-20260101T000000Z.key: cannot be read: is a directory"},
		{"the same key twice", "cp -p access-* access-20260101T000000Z.pem", "twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, _ := environment(t)
			harm := exec.Command("sh", "-ec", tt.harm)
			harm.Dir = filepath.Join(dir, "keys")
			if out, err := harm.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", tt.harm, err, out)
			}
			before := fileNames(t, harm.Dir)
			for _, args := range [][]string{{"init"}, {"init", "--if-missing"}, {"list"}} {
				code, log := start(t, dir, list(nil), append([]string{"keys"}, append(args, "--keys-dir=keys")...)...).end()
				if code != 1 || !strings.HasPrefix(log, "pawl: PAWL_KEYS_DIR: ") || !strings.Contains(log, tt.want) || strings.Contains(log, "keys init") {
					t.Errorf("keys %v: got exit %d and %q, want 1 and %q", args, code, log, tt.want)
				}
			}
			if after := fileNames(t, harm.Dir); !slices.Equal(before, after) {
				t.Errorf("got %v in the folder, want %v as before", after, before)
			}
		})
	}
}

// TestFirstStartsAtOnce: of many first starts on one folder one runs, and all
// others say why they do not.
func TestFirstStartsAtOnce(t *testing.T) {
	for range 5 { // each is one chance to collide
		firstStarts(t)
	}
}

func firstStarts(t *testing.T) {
	t.Helper()
	const starts = 6
	dir := t.TempDir()
	type end struct {
		code int
		log  string
	}
	ends := make(chan end, starts)
	var all []*process
	for range starts {
		p := start(t, dir, list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
		all = append(all, p)
		go func() {
			code, log := p.end()
			ends <- end{code, log}
		}()
	}
	for range starts - 1 {
		if e := <-ends; e.code != 1 || e.log != "pawl: PAWL_DATA_DIR: another pawl runs on this folder; stop it, or choose another folder\n" {
			t.Errorf("got exit %d and %q, want 1 and: another pawl runs on this folder", e.code, e.log)
		}
	}
	for _, p := range all {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // the others have ended
	}
	if e := <-ends; e.code != 0 {
		t.Errorf("the one that ran: got exit %d and %q, want 0", e.code, e.log)
	}
	if names := fileNames(t, filepath.Join(dir, ".pawl", "keys")); len(names) != 2 {
		t.Errorf("got keys %v, want one of each kind", names)
	}
}
