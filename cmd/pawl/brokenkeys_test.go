package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// TestBrokenFolderKeepsServing: what cannot be used changes nothing, but time goes
// on for the keys that are known.
func TestBrokenFolderKeepsServing(t *testing.T) {
	dir, access, refresh := keysOf(t)
	rotate(t, dir, "access", 10*time.Minute, born)
	s := newLiveServer(t, dir, born.Add(time.Minute), 0)
	oldAccess, oldRefresh := s.issue(t), s.mint(t)
	for name, harm := range map[string]func() error{
		"a key is gone":   func() error { return os.Rename(filepath.Join(dir, refresh), filepath.Join(dir, "x")) },
		"others can read": func() error { return os.Chmod(filepath.Join(dir, access), 0o644) },
		"half a key":      func() error { return os.Truncate(filepath.Join(dir, access), 50) },
		"no such name":    func() error { return os.WriteFile(filepath.Join(dir, "refresh-1.key"), nil, 0o600) },
		"all revoked": func() error {
			id, err := pawl.KeyID(dir, refresh)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "revoked-refresh-"+id+"-20300501T120000Z"), nil, 0o600)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			back := t.TempDir()
			copyKeys(t, dir, back)
			if err := harm(); err != nil {
				t.Fatal(err)
			}
			if changes, err := s.Load(); err == nil || len(changes) > 0 || strings.Contains(err.Error(), dir) {
				t.Errorf("got %v and %v, want an error without the folder's name and no change", changes, err)
			}
			s.accepts(t, name, oldAccess, oldRefresh)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			copyKeys(t, back, dir)
			if changes := s.looks(t); len(changes) > 0 {
				t.Errorf("got %v when all is as before, want nothing", changes)
			}
		})
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.at = born.Add(11 * time.Minute)
	if changes, err := s.Load(); err == nil || !slices.Equal(changes, []string{"key.activated access"}) {
		t.Errorf("without a folder: got %v and %v, want the published key in use and an error", changes, err)
	}
	s.accepts(t, "without a folder", oldAccess, oldRefresh)
	s.accepts(t, "without a folder", s.issue(t), s.mint(t))
}

// copyKeys copies a folder of keys.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, name := range fileNames(t, to) {
		if err := os.Chmod(filepath.Join(to, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMountedFolder: keys behind links that are swapped all at once, read-only,
// as orchestrators mount secrets.
func TestMountedFolder(t *testing.T) {
	dir, access, refresh := keysOf(t)
	mounted := t.TempDir()
	link := func(version string, names ...string) {
		t.Helper()
		if err := os.Symlink(version, filepath.Join(mounted, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mounted, "..new"), filepath.Join(mounted, "..data")); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			_ = os.Symlink(filepath.Join("..data", name), filepath.Join(mounted, name))
		}
	}
	link(dir, access, refresh)
	s := newLiveServer(t, mounted, born.Add(time.Minute), 0)
	next := t.TempDir()
	copyKeys(t, dir, next)
	for _, name := range []string{access, refresh} {
		if err := os.Chmod(filepath.Join(next, name), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	made := rotate(t, next, "access", 10*time.Minute, born.Add(time.Minute))
	link(next, made)
	if got := s.looks(t); !slices.Equal(got, []string{"key.published access"}) {
		t.Errorf("got %v, want the new key published", got)
	}
	s.accepts(t, "after the swap", s.issue(t), s.mint(t))
}

// TestRevocationsHold: a server revokes a key whatever else is wrong with the
// folder, and does not take that back when the mark is gone.
func TestRevocationsHold(t *testing.T) {
	dir, access, refresh := keysOf(t)
	rotate(t, dir, "refresh", 10*time.Minute, born)
	s := newLiveServer(t, dir, born.Add(time.Minute), 0)
	old := s.mint(t)
	s.at = born.Add(time.Hour)
	s.looks(t)
	revoke(t, dir, refresh, s.at)
	refused := func(when string) {
		t.Helper()
		if _, err := s.Keys().Refresh.Parse(old); err == nil {
			t.Errorf("%s: a token of the revoked key is accepted", when)
		}
	}

	if err := os.Chmod(filepath.Join(dir, access), 0o640); err != nil {
		t.Fatal(err)
	}
	if changes, err := s.Load(); err == nil || !slices.Equal(changes, []string{"key.revoked refresh"}) {
		t.Errorf("beside a key that others can read: got %v and %v, want the revocation and an error", changes, err)
	}
	refused("beside a key that others can read")
	if changes, err := s.Load(); err == nil || len(changes) > 0 {
		t.Errorf("once more: got %v and %v, want an error alone", changes, err)
	}

	if err := os.Chmod(filepath.Join(dir, access), 0o600); err != nil {
		t.Fatal(err)
	}
	s.looks(t)
	marks, _ := filepath.Glob(filepath.Join(dir, "revoked-*"))
	if len(marks) != 1 || os.Remove(marks[0]) != nil {
		t.Fatalf("got marks %v, want one", marks)
	}
	if changes := s.looks(t); len(changes) > 0 {
		t.Errorf("without the mark: got %v, want nothing", changes)
	}
	refused("without the mark")
}

// TestNewKeysBelongToTheServer: root may rotate the keys of another user.
func TestNewKeysBelongToTheServer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir, access, _ := keysOf(t)
	const nobody = 65534
	for _, name := range []string{"", access} {
		if err := os.Chown(filepath.Join(dir, name), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	made := rotate(t, dir, "access", 10*time.Minute, born)
	replaced := revoke(t, dir, access, born.Add(time.Minute))
	for _, name := range []string{made, replaced} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != nobody || stat.Gid != nobody || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got owner %d:%d and mode %s, want those of the key before", name, stat.Uid, stat.Gid, info.Mode())
		}
	}
}
