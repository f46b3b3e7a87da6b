package device_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
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

const email = "ada@example.com"

func proof() device.Proof {
	return device.Proof{UserID: uuid.New(), DeviceID: uuid.New(), CredentialVersion: 7, IssuedAt: start}
}

func TestProofs(t *testing.T) {
	want := proof()
	minted := ring(t, start, first).Mint(email, want)
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
		got, ok := c.by.Parse(minted, email)
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
	if _, ok := ring(t, start, first).Parse(published.Mint(email, proof()), email); !ok {
		t.Error("got a proof of the published key, want one of the key in use")
	}
	if _, ok := published.Parse(ring(t, start, first, other).Mint(email, proof()), email); !ok {
		t.Error("got a proof refused that another server made with the published key")
	}
}

// A proof is one for the account that it was minted for, and says nothing of it.
// It stays one while its key is there, whichever key names accounts.
func TestProofsOfAnAccount(t *testing.T) {
	older, newer := bytes.Repeat([]byte{0}, 32), first
	both := ring(t, start, older, newer)
	minted := both.Mint(email, proof())
	for name, c := range map[string]struct {
		email string
		ok    bool
	}{
		"its own": {email, true}, "another": {"bob@example.com", false}, "none": {"", false}, "longer": {email + "a", false},
		"spelled otherwise": {"Ada@example.com", false}, "its keyed name": {both.Account(email), false},
	} {
		if got, ok := both.Parse(minted, c.email); ok != c.ok {
			t.Errorf("%s: got %+v, %t, want %t", name, got, ok, c.ok)
		}
	}
	if _, ok := ring(t, start, newer).Parse(minted, email); !ok {
		t.Error("after the key that names accounts went: got no proof, want it good while its own key is there")
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(minted.Reveal(), "pawl_dt1_"))
	if err != nil || bytes.Contains(raw, []byte(email)) {
		t.Errorf("got %q (%v), want a proof without the email", raw, err)
	}
}

// Version 1 of a proof named no account. It is none, whoever it was made for.
func TestOldProofs(t *testing.T) {
	key := func(info string, size int) []byte {
		raw, err := hkdf.Key(sha256.New, first, nil, info, size)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	raw := slices.Concat([]byte{1}, key("pawl device key id v1", 6), make([]byte, 16+16+8))
	raw = binary.BigEndian.AppendUint64(raw, uint64(start.Unix()))
	m := hmac.New(sha256.New, key("pawl device proof v1", sha256.Size))
	m.Write(raw)
	minted := "pawl_dt1_" + base64.RawURLEncoding.EncodeToString(m.Sum(raw))
	if len(minted) != device.Length {
		t.Fatalf("length: got %d, want that of a proof", len(minted))
	}
	if got, ok := ring(t, start, first).Parse(secret.New(minted), email); ok {
		t.Errorf("got %+v, want no proof", got)
	}
}

// Every change of a proof makes it no proof: each bit, and each other spelling.
func TestForgedProofs(t *testing.T) {
	k := ring(t, start, first)
	good := k.Mint(email, proof()).Reveal()
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
		if got, ok := k.Parse(secret.New(text), email); ok {
			t.Errorf("%s: got %+v, want no proof", what, got)
		}
	}
	if _, ok := k.Parse(secret.New(good), email); !ok {
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
	minted := k.Mint(email, device.Proof{UserID: uuid.Nil, DeviceID: uuid.Max, CredentialVersion: -1}).Reveal()
	f.Add(minted)
	f.Add("pawl_dt1_")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := k.Parse(secret.New(text), email); ok && text != minted && k.Mint(email, p).Reveal() != text {
			t.Errorf("%q was taken for a proof of %+v", text, p)
		}
	})
}
