//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const nobodyID = 65534

// foreign gives a file to another user, which only root can.
func foreign(t *testing.T, path string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := os.Lchown(path, nobodyID, nobodyID); err != nil {
		t.Fatal(err)
	}
}

// TestUntrustedKeys: keys that others can replace, or that belong to somebody
// else, start no server, change nothing in one that runs, and doctor says so.
func TestUntrustedKeys(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		harm       func(t *testing.T, dir, access string)
	}{
		{"everybody writes in the folder", "others can write in the folder", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777) }},
		{"a group writes in the folder", "others can write in the folder", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o770) }},
		{"a folder of another user's", "the folder belongs to user 65534", func(t *testing.T, dir, _ string) { foreign(t, dir) }},
		{"a key of another user's", "belongs to user 65534", func(t *testing.T, dir, access string) { foreign(t, filepath.Join(dir, access)) }},
		{"a mark of another user's", "belongs to user 65534", func(t *testing.T, dir, _ string) {
			mark := filepath.Join(dir, "retired-refresh-0123456789ab-20300501T120000Z")
			if err := os.WriteFile(mark, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			foreign(t, mark)
		}},
		{"a link of another user's", "belongs to user 65534", func(t *testing.T, dir, access string) {
			foreign(t, linked(t, dir, access, t.TempDir()))
		}},
		{"a link to a key of another user's", "belongs to user 65534", func(t *testing.T, dir, access string) {
			to := t.TempDir()
			linked(t, dir, access, to)
			foreign(t, filepath.Join(to, access))
		}},
		{"a link into a folder of another user's", "the folder belongs to user 65534", func(t *testing.T, dir, access string) {
			to := t.TempDir()
			linked(t, dir, access, to)
			foreign(t, to)
		}},
		{"a link into a folder in which others write", "others can write in the folder", func(t *testing.T, dir, access string) {
			to := t.TempDir()
			linked(t, dir, access, to)
			chmod(t, to, 0o777)
		}},
		{"everybody writes above the folder", "others can write in a folder above", func(t *testing.T, dir, _ string) { chmod(t, filepath.Dir(dir), 0o777) }},
		{"links without end", "leads nowhere", func(t *testing.T, dir, access string) {
			linked(t, dir, access, t.TempDir())
			path := filepath.Join(dir, access)
			if os.Remove(path) != nil || os.Symlink(access, path) != nil {
				t.Fatal("no link")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, access, _ := keysOf(t)
			s := newLiveServer(t, dir, born.Add(time.Minute), 0)
			old := s.issue(t)
			tt.harm(t, dir, access)
			if changes, err := s.Load(); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), dir) || len(changes) > 0 {
				t.Errorf("a server that runs: got %v and %v, want %q and no change", changes, err, tt.want)
			}
			s.accepts(t, "a token of before", old, s.mint(t))
			where, env := environment(t)
			env["PAWL_KEYS_DIR"] = dir
			refused(t, where, env, "PAWL_KEYS_DIR", tt.want, dir)
			doctor(t, where, env).says("PAWL_KEYS_DIR", "problem "+tt.want)
		})
	}
}

// TestForeignMarksRevokeNothing: whoever may put files into a sticky folder does
// not end sessions with them.
func TestForeignMarksRevokeNothing(t *testing.T) {
	dir, _, refresh := keysOf(t)
	rotate(t, dir, "refresh", 10*time.Minute, born)
	s := newLiveServer(t, dir, born.Add(time.Hour), 0)
	tokens := s.mint(t)
	chmod(t, dir, 0o777|os.ModeSticky)
	s.looks(t) // as orchestrators mount folders
	revoke(t, dir, refresh, s.at)
	marks, _ := filepath.Glob(filepath.Join(dir, "revoked-*"))
	if len(marks) != 1 {
		t.Fatalf("got marks %v, want one", marks)
	}
	foreign(t, marks[0])
	if changes, err := s.Load(); err == nil || len(changes) > 0 {
		t.Errorf("got %v and %v, want an error and no change", changes, err)
	}
	s.accepts(t, "beside the mark", s.issue(t), tokens)
}

// TestReplaceableCertificate: whoever can replace it answers in the server's place.
func TestReplaceableCertificate(t *testing.T) {
	for name, harm := range map[string]func(dir string){
		"the key":         func(dir string) { chmod(t, filepath.Join(dir, "tls.key"), 0o620) },
		"the certificate": func(dir string) { chmod(t, filepath.Join(dir, "tls.crt"), 0o646) },
		"the folder":      func(dir string) { chmod(t, dir, 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, env := environment(t)
			files := t.TempDir()
			env["PAWL_TLS_CERT"], env["PAWL_TLS_KEY"] = filepath.Join(files, "tls.crt"), filepath.Join(files, "tls.key")
			writeCertificate(t, env["PAWL_TLS_CERT"], env["PAWL_TLS_KEY"], "first")
			harm(files)
			refused(t, dir, env, "PAWL_TLS_CERT", "others can write", files)
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// linked moves a file into another folder, and is the link that leads there.
func linked(t *testing.T, dir, name, to string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(to, name), text, 0o600)
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = os.Symlink(filepath.Join(to, name), path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
