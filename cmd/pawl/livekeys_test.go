package main_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/secret"
	sessions "github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

// longest is the configuration under which access tokens live longest.
func longest() token.Config {
	return token.Config{Issuer: "i", Audience: "a", TTL: token.MaxTTL, Leeway: token.MaxLeeway, CacheSize: 16}
}

// server is a running server's view of a folder, by a clock of its own.
type liveServer struct {
	*pawl.LiveKeys
	clock time.Duration // how far ahead
	at    time.Time
}

func newLiveServer(t *testing.T, dir string, at time.Time, clock time.Duration) *liveServer {
	t.Helper()
	s := &liveServer{clock: clock, at: at}
	s.LiveKeys = pawl.NewLiveKeys(dir, longest(), func() time.Time { return s.at.Add(s.clock) })
	s.looks(t)
	return s
}

func (s *liveServer) looks(t *testing.T) []string {
	t.Helper()
	changes, err := s.Load()
	if err != nil {
		t.Fatalf("at %s: %v", s.at, err)
	}
	return changes
}

// mint makes a first refresh token as a login does.
func (s *liveServer) mint(t *testing.T) secret.Text {
	t.Helper()
	ring := s.Keys().Refresh
	text, err := ring.Mint(sessions.Token{
		KeyID: ring.Newest(), Delivery: sessions.DeliveryBody, UserID: uuid.New(), SessionID: uuid.New(),
		Secret: sessions.NewSecret(), Generation: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s *liveServer) issue(t *testing.T) secret.Text {
	t.Helper()
	issued, err := s.Keys().Issuer.Issue(uuid.New(), uuid.New(), "USER", s.at, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return issued.Token
}

func (s *liveServer) accepts(t *testing.T, what string, access, refresh secret.Text) {
	t.Helper()
	if _, err := s.Keys().Verifier.Verify(access); err != nil {
		t.Fatalf("at %s, %s: access token: got %v, want it accepted", s.at, what, err)
	}
	if _, err := s.Keys().Refresh.Parse(refresh); err != nil {
		t.Fatalf("at %s, %s: refresh token: got %v, want it accepted", s.at, what, err)
	}
}

// TestRotationIsNotNoticed: three servers whose clocks and looks differ go through
// whole rotations, and each accepts at any time what the others make, for as long
// as it lives. The published key set has a key for five minutes before its first
// token.
func TestRotationIsNotNoticed(t *testing.T) {
	t.Parallel()
	dir, _, _ := keysOf(t)
	servers := []*liveServer{newLiveServer(t, dir, born, 0), newLiveServer(t, dir, born, 20*time.Second), newLiveServer(t, dir, born, -20*time.Second)}
	type made struct {
		at              time.Time
		access, refresh secret.Text
	}
	var old []made
	seen := map[*liveServer]map[string]time.Time{} // since when a server publishes a key
	for _, s := range servers {
		seen[s] = map[string]time.Time{keyIDs(t, s)[0]: born.Add(-time.Hour)}
	}
	events := map[string]int{}
	account := servers[0].Keys().Devices.Account("a@example.com")
	proof := servers[0].Keys().Devices.Mint("a@example.com", device.Proof{UserID: uuid.New(), DeviceID: uuid.New()})
	for step := range 830 { // more than two hours, by ten seconds
		now := born.Add(time.Duration(step) * 10 * time.Second)
		if step == 10 || step == 400 {
			rotate(t, dir, "access", 320*time.Second, now)
			rotate(t, dir, "refresh", 320*time.Second, now)
		}
		for i, s := range servers {
			if s.at = now; step%2 == i%2 { // they look at different times
				for _, change := range s.looks(t) {
					events[change]++
				}
				for _, id := range keyIDs(t, s) {
					if seen[s][id].IsZero() {
						seen[s][id] = now
					}
				}
			}
		}
		if step%4 != 0 {
			continue
		}
		for _, s := range servers {
			m := made{now, s.issue(t), s.mint(t)}
			for _, other := range servers {
				if since := seen[other][keyOf(t, m.access)]; since.IsZero() || now.Sub(since) < 280*time.Second {
					t.Fatalf("at %s: got a token of a key that a server publishes since %s, want five minutes (less what clocks differ)", now, since)
				}
				other.accepts(t, "made this moment", m.access, m.refresh)
				if got := other.Keys().Devices.Account("a@example.com"); got != account {
					t.Fatalf("at %s: got the name %s for an account, want %s as before", now, got, account)
				}
			}
			if step%20 == 0 {
				old = append(old, m)
			}
		}
		if step%40 != 0 {
			continue
		}
		old = slices.DeleteFunc(old, func(m made) bool { return now.Sub(m.at) > time.Hour })
		for _, m := range old {
			for _, s := range servers {
				s.accepts(t, "made at "+m.at.String(), m.access, m.refresh)
			}
		}
	}
	for _, s := range servers {
		if _, ok := s.Keys().Devices.Parse(proof, "a@example.com"); !ok {
			t.Error("a device that was known before the rotations is not any more")
		}
	}
	for event, want := range map[string]int{
		"key.published access": 6, "key.activated access": 6, "key.retired access": 6,
		"key.published refresh": 6, "key.activated refresh": 6, "key.retired refresh": 0,
	} {
		if events[event] != want {
			t.Errorf("%s: got %d, want %d of three servers", event, events[event], want)
		}
	}
}

// keyIDs are the ids of a server's key set.
func keyIDs(t *testing.T, s *liveServer) []string {
	t.Helper()
	var set struct {
		Keys []struct{ Kid string }
	}
	if err := json.Unmarshal([]byte(s.JWKS()), &set); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(set.Keys))
	for i, k := range set.Keys {
		ids[i] = k.Kid
	}
	return ids
}

// keyOf is the id of the key of an access token.
func keyOf(t *testing.T, access secret.Text) string {
	t.Helper()
	head, _, _ := strings.Cut(access.Reveal(), ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	var header struct{ Kid string }
	if err == nil {
		err = json.Unmarshal(raw, &header)
	}
	if err != nil || header.Kid == "" {
		t.Fatalf("got the header %s (%v), want one with kid", raw, err)
	}
	return header.Kid
}

// TestRevokedKeysAreRefused: at its next look a server refuses all tokens of a
// revoked key, says which it is, and makes tokens of another.
func TestRevokedKeysAreRefused(t *testing.T) {
	dir, access, refresh := keysOf(t)
	s := newLiveServer(t, dir, born.Add(time.Hour), 0)
	oldAccess, oldRefresh := s.issue(t), s.mint(t)
	proof := s.Keys().Devices.Mint("a@example.com", device.Proof{UserID: uuid.New(), DeviceID: uuid.New()})
	account := s.Keys().Devices.Account("a@example.com")
	s.accepts(t, "before", oldAccess, oldRefresh)
	revoke(t, dir, access, s.at)
	revoke(t, dir, refresh, s.at)
	if got, want := s.looks(t), []string{"key.activated access", "key.activated refresh", "key.revoked access", "key.revoked refresh"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := s.Keys().Verifier.Verify(oldAccess); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("access token: got %v, want ErrInvalid", err)
	}
	wantRetired := func(when string) {
		t.Helper()
		if _, err := s.Keys().Refresh.Parse(oldRefresh); !errors.Is(err, sessions.ErrRetiredKey) {
			t.Errorf("refresh token %s: got %v, want ErrRetiredKey", when, err)
		}
	}
	wantRetired("at once")
	if _, ok := s.Keys().Devices.Parse(proof, "a@example.com"); ok || s.Keys().Devices.Account("a@example.com") == account {
		t.Error("got a proof of the revoked key accepted, or accounts named by it, want neither")
	}
	if len(keyIDs(t, s)) != 1 || keyIDs(t, s)[0] == keyOf(t, oldAccess) {
		t.Errorf("got the key set %s, want it without the revoked key", s.JWKS())
	}
	s.accepts(t, "after", s.issue(t), s.mint(t))
	if got := s.looks(t); len(got) != 0 {
		t.Errorf("got %v again, want each change once", got)
	}
	// Two years later the key is removed, and the mark says what it was.
	s.at = s.at.Add(2 * 365 * 24 * time.Hour)
	rotate(t, dir, "refresh", time.Hour, s.at)
	if _, err := os.Stat(filepath.Join(dir, refresh)); !os.IsNotExist(err) {
		t.Errorf("got %v of the revoked key's file, want it removed", err)
	}
	s.looks(t)
	wantRetired("when the key is removed")
	s = newLiveServer(t, dir, s.at, 0)
	wantRetired("after a restart")
}
