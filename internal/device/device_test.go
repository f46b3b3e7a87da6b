package device_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/secret"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first = bytes.Repeat([]byte{1}, 32)
	other = bytes.Repeat([]byte{2}, 32)
)

func ring(t *testing.T, at time.Time, materials ...[]byte) *device.Keyring {
	t.Helper()
	k, err := device.NewKeyring(func() time.Time { return at }, len(materials)-1, materials...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func proof() device.Proof {
	return device.Proof{UserID: uuid.New(), DeviceID: uuid.New(), CredentialVersion: 7, IssuedAt: start}
}

func TestProofs(t *testing.T) {
	want := proof()
	minted := ring(t, start, first).Mint(want)
	if minted.Len() != device.Length {
		t.Errorf("length: got %d, want %d", minted.Len(), device.Length)
	}
	for name, c := range map[string]struct {
		by *device.Keyring
		ok bool
	}{
		"the same ring":               {ring(t, start, first), true},
		"a ring with a newer key":     {ring(t, start, first, other), true},
		"another ring":                {ring(t, start, other), false},
		"just before it expires":      {ring(t, start.Add(device.Lifetime-time.Second), first), true},
		"when it expires":             {ring(t, start.Add(device.Lifetime), first), false},
		"a clock that was set back":   {ring(t, start.Add(-time.Hour), first), true},
		"a ring in which it is newer": {ring(t, start, other, first), true},
	} {
		got, ok := c.by.Parse(minted)
		if ok != c.ok || ok && got != want {
			t.Errorf("%s: got %+v, %t, want %t and %+v", name, got, ok, c.ok, want)
		}
	}
}

// A key that is not used yet verifies, and signs nothing.
func TestPublishedKey(t *testing.T) {
	published, err := device.NewKeyring(func() time.Time { return start }, 0, first, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ring(t, start, first).Parse(published.Mint(proof())); !ok {
		t.Error("got a proof of the published key, want one of the key in use")
	}
	if _, ok := published.Parse(ring(t, start, first, other).Mint(proof())); !ok {
		t.Error("got a proof refused that another server made with the published key")
	}
}

// Every change of a proof makes it no proof: each bit, and each other spelling.
func TestForgedProofs(t *testing.T) {
	k := ring(t, start, first)
	good := k.Mint(proof()).Reveal()
	body := strings.TrimPrefix(good, "pawl_dt1_")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"nothing": "", "a prefix": "pawl_dt1_", "padded": good + "=", "a line break": good[:40] + "\n" + good[40:],
		"without its prefix": body, "cut": good[:len(good)-4], "longer": good + "AAAA", "a refresh token": "pawl_rt1_" + body,
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		bad[fmt.Sprintf("byte %d", i)] = "pawl_dt1_" + base64.RawURLEncoding.EncodeToString(changed)
	}
	for what, text := range bad {
		if got, ok := k.Parse(secret.New(text)); ok {
			t.Errorf("%s: got %+v, want no proof", what, got)
		}
	}
	if _, ok := k.Parse(secret.New(good)); !ok {
		t.Error("the good one: got no proof")
	}
}

func TestAccounts(t *testing.T) {
	k := ring(t, start, first)
	a := k.Account("a@example.com")
	if len(a) != 64 || strings.Contains(a, "example") || a != strings.ToLower(a) {
		t.Errorf("got %q, want 64 hexadecimal digits", a)
	}
	if a == k.Account("b@example.com") || a == ring(t, start, other).Account("a@example.com") {
		t.Error("two accounts, or two keys, have one name")
	}
	if a != ring(t, start.Add(time.Hour), first).Account("a@example.com") {
		t.Error("another server names the account differently")
	}
	if a != ring(t, start, first, other).Account("a@example.com") {
		t.Error("a newer key renames the account")
	}
}

func TestKeyringRefuses(t *testing.T) {
	for _, signing := range []int{-1, 1} {
		if _, err := device.NewKeyring(time.Now, signing, first); err == nil {
			t.Errorf("key %d of one: got a ring, want an error", signing)
		}
	}
	for what, materials := range map[string][][]byte{"no key": nil, "a short key": {first, first[:31]}} {
		if _, err := device.NewKeyring(time.Now, 0, materials...); err == nil {
			t.Errorf("%s: got a ring, want an error", what)
		}
	}
}

func FuzzParse(f *testing.F) {
	k, err := device.NewKeyring(func() time.Time { return start }, 0, first)
	if err != nil {
		f.Fatal(err)
	}
	minted := k.Mint(device.Proof{UserID: uuid.Nil, DeviceID: uuid.Max, CredentialVersion: -1}).Reveal()
	f.Add(minted)
	f.Add("pawl_dt1_")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := k.Parse(secret.New(text)); ok && text != minted && k.Mint(p).Reveal() != text {
			t.Errorf("%q was taken for a proof of %+v", text, p)
		}
	})
}
