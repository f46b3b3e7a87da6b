package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// born is when the first keys of the tests were made.
var born = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// keysOf makes the first keys of a folder.
func keysOf(t *testing.T) (dir, access, refresh string) {
	t.Helper()
	dir = t.TempDir()
	names, err := pawl.MakeKeys(dir, born)
	if err != nil || len(names) != 2 {
		t.Fatalf("got %v (%v), want two keys", names, err)
	}
	return dir, names[0], names[1]
}

// rotate does one step.
func rotate(t *testing.T, dir, kind string, lead time.Duration, now time.Time) (made string) {
	t.Helper()
	made, _, err := pawl.RotateKeys(dir, kind, lead, now)
	if err != nil {
		t.Fatalf("rotating the %s key: %v", kind, err)
	}
	return made
}

func revoke(t *testing.T, dir, file string, now time.Time) (made string) {
	t.Helper()
	id, err := pawl.KeyID(dir, file)
	if err == nil {
		made, err = pawl.RevokeKey(dir, id, now)
	}
	if err != nil {
		t.Fatalf("revoking %s: %v", file, err)
	}
	return made
}

func wantStates(t *testing.T, dir string, at time.Time, want map[string]string) {
	t.Helper()
	got, err := pawl.KeyStates(dir, at)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("at %s: got %v (%v), want %v", at.Format(time.RFC3339), got, err, want)
	}
}

// TestKeyLife: published, in use, verify-only, gone, by the time alone.
func TestKeyLife(t *testing.T) {
	for kind, life := range map[string]time.Duration{"access": 62 * time.Minute, "refresh": 400 * 24 * time.Hour} {
		t.Run(kind, func(t *testing.T) {
			dir, first, other := keysOf(t)
			if kind == "refresh" {
				first, other = other, first
			}
			now := born.Add(time.Hour)
			second := rotate(t, dir, kind, 310*time.Second, now)
			used := now.Add(311 * time.Second)
			if want := kind + "-" + used.Format("20060102T150405Z"); !strings.HasPrefix(second, want) {
				t.Fatalf("got %s, want %s: the lead, and a second more", second, want)
			}
			wantStates(t, dir, now, map[string]string{first: "in use", second: "published", other: "in use"})
			wantStates(t, dir, used.Add(-time.Nanosecond), map[string]string{first: "in use", second: "published", other: "in use"})
			until := " " + used.Add(life).Format(time.RFC3339)
			wantStates(t, dir, used, map[string]string{first: "verify-only" + until, second: "in use", other: "in use"})
			wantStates(t, dir, used.Add(life-time.Nanosecond), map[string]string{first: "verify-only" + until, second: "in use", other: "in use"})
			wantStates(t, dir, used.Add(life), map[string]string{first: "gone" + until, second: "in use", other: "in use"})

			if _, _, err := pawl.RotateKeys(dir, kind, 310*time.Second, used.Add(-time.Second)); err == nil || !strings.Contains(err.Error(), "too early") {
				t.Errorf("a step before %s: got %v, want that it is too early", used, err)
			}
			third := rotate(t, dir, kind, 310*time.Second, used.Add(life-time.Nanosecond))
			if got := fileNames(t, dir); len(got) != 4 {
				t.Errorf("got %v, want no key removed that verifies", got)
			}
			_, removed, err := pawl.RotateKeys(dir, kind, 310*time.Second, used.Add(life+time.Hour))
			if err != nil || len(removed) != 1 || removed[0] != first {
				t.Errorf("got %v removed (%v), want %s", removed, err, first)
			}
			marks, _ := filepath.Glob(filepath.Join(dir, "retired-*"))
			if want := map[string]int{"access": 0, "refresh": 1}[kind]; len(marks) != want {
				t.Errorf("got marks %v, want %d", marks, want)
			}
			if got, _ := pawl.KeyStates(dir, used.Add(life+time.Hour)); got[third] != "in use" || len(got) != 4 {
				t.Errorf("got %v, want four keys and %s in use", got, third)
			}
		})
	}
}

// TestRevokedKeys: the next key takes the place of a revoked one, and no older
// one ever does; a key that was revoked before its time changes nothing.
func TestRevokedKeys(t *testing.T) {
	dir, first, other := keysOf(t)
	second := rotate(t, dir, "access", 15*time.Minute, born.Add(time.Hour))
	used := born.Add(75*time.Minute + time.Second)
	now := used.Add(10 * time.Minute)
	until := " " + used.Add(62*time.Minute).Format(time.RFC3339)
	third := revoke(t, dir, second, now)
	for _, clock := range []time.Duration{0, -30 * time.Second, 30 * time.Second} { // clocks that differ
		wantStates(t, dir, now.Add(clock), map[string]string{first: "verify-only" + until, second: "revoked", third: "in use", other: "in use"})
	}
	fourth := rotate(t, dir, "access", 15*time.Minute, now)
	if made := revoke(t, dir, fourth, now.Add(time.Minute)); made != "" {
		t.Errorf("got %s made, want nothing: the revoked key was not in use", made)
	}
	wantStates(t, dir, now.Add(300*time.Hour), map[string]string{first: "gone" + until, second: "revoked", third: "in use", fourth: "revoked", other: "in use"})
	fifth := rotate(t, dir, "access", 15*time.Minute, now.Add(time.Hour))
	later := now.Add(75*time.Minute + time.Second)
	if got, _ := pawl.KeyStates(dir, later); got[third] != "verify-only "+later.Add(62*time.Minute).Format(time.RFC3339) || got[fifth] != "in use" {
		t.Errorf("got %v, want %s to verify from the use of %s on, not from that of the revoked one", got, third, fifth)
	}
	// Revoked in the moment in which its time came: the one before is not used again.
	dir, first, _ = keysOf(t)
	second = rotate(t, dir, "access", 15*time.Minute, born)
	used = born.Add(15*time.Minute + time.Second)
	third = revoke(t, dir, second, used)
	for _, at := range []time.Time{used, used.Add(time.Second)} {
		if got, err := pawl.KeyStates(dir, at); err != nil || !strings.HasPrefix(got[first], "verify-only") || got[second] != "revoked" || got[third] != "in use" {
			t.Errorf("at %s: got %v (%v), want %s to verify and %s in use", at, got, err, first, third)
		}
	}
	// Revoked in the moment in which it was made, and one more in that moment.
	dir, _, refresh := keysOf(t)
	second = revoke(t, dir, refresh, born)
	third = revoke(t, dir, second, born)
	if got, err := pawl.KeyStates(dir, born); err != nil || got[refresh] != "revoked" || got[second] != "revoked" || got[third] != "in use" {
		t.Errorf("got %v (%v), want the third key in use", got, err)
	}
}

// TestRestoredKeyStaysRevoked: a mark outlives its key.
func TestRestoredKeyStaysRevoked(t *testing.T) {
	dir, _, refresh := keysOf(t)
	copied, err := os.ReadFile(filepath.Join(dir, refresh))
	if err != nil {
		t.Fatal(err)
	}
	made := revoke(t, dir, refresh, born.Add(time.Hour))
	at := born.Add(401 * 24 * time.Hour)
	if _, removed, err := pawl.RotateKeys(dir, "refresh", time.Hour, at); err != nil || len(removed) != 1 || removed[0] != refresh {
		t.Fatalf("got %v removed (%v), want %s", removed, err, refresh)
	}
	if err := os.WriteFile(filepath.Join(dir, refresh), copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := pawl.KeyStates(dir, at); err != nil || got[refresh] != "revoked" || got[made] != "in use" {
		t.Errorf("got %v (%v), want %s revoked and %s in use", got, err, refresh, made)
	}
}
