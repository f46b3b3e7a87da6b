package session_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const prefix = "pawl_rt1_"

func key(fill byte) session.Key { return session.Key{Material: bytes.Repeat([]byte{fill}, 32)} }

func newRing(t testing.TB, keys ...session.Key) *session.Keyring {
	t.Helper()
	ring, err := session.NewKeyring(keys...)
	if err != nil {
		t.Fatalf("NewKeyring: %v", err)
	}
	return ring
}

// example is a token of the ring's newest key with nothing regular in it.
func example(ring *session.Keyring) session.Token {
	return session.Token{
		KeyID: ring.Newest(), Delivery: session.DeliveryCookie, UserID: uuid.New(), SessionID: uuid.New(),
		Secret: session.NewSecret(), Generation: 7,
	}
}

// same compares tokens: == does not compile on secrets.
func same(a, b session.Token) bool { return reflect.DeepEqual(a, b) }

func mint(t testing.TB, ring *session.Keyring, token session.Token) string {
	t.Helper()
	text, err := ring.Mint(token)
	if err != nil {
		t.Fatalf("Mint: %v", err)
	}
	return text.Reveal()
}

func TestParseReadsWhatMintWrites(t *testing.T) {
	ring := newRing(t, key(1), key(2))
	for _, delivery := range []session.Delivery{session.DeliveryCookie, session.DeliveryBody} {
		for _, generation := range []uint64{1, 2, 255, 256, 1 << 32, 1<<53 - 1} {
			want := example(ring)
			want.Delivery, want.Generation = delivery, generation
			text := mint(t, ring, want)
			if len(text) != session.TokenLength || !strings.HasPrefix(text, prefix) {
				t.Errorf("Mint: got %d characters beginning %.9q, want %d beginning %q", len(text), text, session.TokenLength, prefix)
			}
			got, err := ring.Parse(secret.New(text))
			if err != nil || !same(got, want) {
				t.Errorf("Parse of what Mint wrote (%s, generation %d): got generation %d and error %v", delivery, generation, got.Generation, err)
			}
		}
	}
}

func TestMintIsAFunction(t *testing.T) {
	one, other := newRing(t, key(1), key(2)), newRing(t, key(2), key(3))
	token := example(one)
	first := mint(t, one, token)
	for range 3 {
		if mint(t, one, token) != first || mint(t, other, token) != first {
			t.Fatal("Mint of one token: got two spellings, want one on every ring at any time")
		}
	}
	for name, change := range map[string]func(*session.Token){
		"generation": func(t *session.Token) { t.Generation++ },
		"secret":     func(t *session.Token) { t.Secret = session.NewSecret() },
		"session":    func(t *session.Token) { t.SessionID[15] ^= 1 },
		"user":       func(t *session.Token) { t.UserID[15] ^= 1 },
		"delivery":   func(t *session.Token) { t.Delivery = session.DeliveryBody },
	} {
		changed := token
		change(&changed)
		text := mint(t, one, changed)
		if text[len(text)-43:] == first[len(first)-43:] {
			t.Errorf("MAC with another %s: got the same, want another", name)
		}
	}
}

// Every text but the one that Mint writes is refused: every character is
// replaced by every other one, and the text is stretched, cut and padded.
func TestOneSpelling(t *testing.T) {
	ring := newRing(t, key(1))
	text := mint(t, ring, example(ring))
	refuse := func(what, spelling string, keyID bool) {
		t.Helper()
		got, err := ring.Parse(secret.New(spelling))
		if err == nil {
			t.Errorf("%s: got it accepted, want it refused", what)
			return
		}
		if !errors.Is(err, session.ErrMalformed) && !(keyID && errors.Is(err, session.ErrUnknownKey)) {
			t.Errorf("%s: got %v, want ErrMalformed", what, err)
		}
		if errors.Is(err, session.ErrMalformed) && !same(got, session.Token{}) {
			t.Errorf("%s: got a token with the error, want none", what)
		}
	}
	for at := range text {
		for _, c := range alphabet + "=+/ .\n\r\x00~é" {
			changed := text[:at] + string(c) + text[at+1:]
			if changed == text {
				continue
			}
			// bytes 1 to 6 name the key: characters 1 to 9 after the prefix
			in := at - len(prefix)
			refuse(fmt.Sprintf("character %d as %q", at, c), changed, in >= 1 && in <= 9)
		}
	}
	for at := range len(text) + 1 {
		refuse(fmt.Sprintf("the first %d characters", at), text[:min(at, len(text)-1)], false)
		for _, extra := range []string{"\n", "\r\n", "A", "=", " ", "\x00"} {
			refuse(fmt.Sprintf("%q inserted at %d", extra, at), text[:at]+extra+text[at:], false)
			if at < len(text) {
				pushed := text[:at] + extra + text[at:]
				pushed = pushed[:len(text)]
				if pushed != text {
					refuse(fmt.Sprintf("%q pushed in at %d", extra, at), pushed, true)
				}
			}
		}
	}
	for _, pair := range [][2]string{{"-", "+"}, {"_", "/"}} {
		if strings.Contains(text[len(prefix):], pair[0]) {
			refuse("the other base64 alphabet", prefix+strings.ReplaceAll(text[len(prefix):], pair[0], pair[1]), true)
		}
	}
	for what, spelling := range map[string]string{
		"nothing":          "",
		"the prefix":       prefix,
		"no prefix":        text[len(prefix):],
		"another prefix":   "pawl_rt2_" + text[len(prefix):],
		"capital prefix":   "PAWL_RT1_" + text[len(prefix):],
		"twice":            text + text,
		"padding":          text + "==",
		"quotes":           `"` + text + `"`,
		"a very long text": prefix + strings.Repeat("A", 1<<20),
		"all zero":         prefix + strings.Repeat("A", 128),
	} {
		refuse(what, spelling, false)
	}
}

// Parts of genuine tokens do not make another genuine token.
func TestSplicing(t *testing.T) {
	ring := newRing(t, key(1))
	a, b := example(ring), example(ring)
	decode := func(token session.Token) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(mint(t, ring, token)[len(prefix):])
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, pair := range map[string][2][]byte{
		"two sessions":    {decode(a), decode(b)},
		"two generations": {decode(a), decode(a.Next(8))},
	} {
		for cut := range pair[0] {
			spliced := append(append([]byte{}, pair[0][:cut]...), pair[1][cut:]...)
			if bytes.Equal(spliced, pair[0]) || bytes.Equal(spliced, pair[1]) {
				continue
			}
			text := secret.New(prefix + base64.RawURLEncoding.EncodeToString(spliced))
			if _, err := ring.Parse(text); !errors.Is(err, session.ErrMalformed) {
				t.Errorf("%s spliced at byte %d: got %v, want ErrMalformed", name, cut, err)
			}
		}
	}
}

// A MAC that is right does not make the rest acceptable.
func TestParseRefusesWhatNoSessionHas(t *testing.T) {
	ring := newRing(t, key(1))
	for name, change := range map[string]func(*session.Token){
		"generation 0":           func(t *session.Token) { t.Generation = 0 },
		"generation 2^53":        func(t *session.Token) { t.Generation = 1 << 53 },
		"generation 2^64-1":      func(t *session.Token) { t.Generation = 1<<64 - 1 },
		"no delivery":            func(t *session.Token) { t.Delivery = 0 },
		"a delivery yet unknown": func(t *session.Token) { t.Delivery = 3 },
	} {
		token := example(ring)
		change(&token)
		if _, err := ring.Parse(secret.New(mint(t, ring, token))); !errors.Is(err, session.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	retired := func(k session.Key) session.Key { k.State = session.KeyRetired; return k }
	published := func(k session.Key) session.Key { k.State = session.KeyPublished; return k }
	old := newRing(t, key(1))
	id, other := old.Newest(), session.KeyID{1}
	token := example(old)
	text := secret.New(mint(t, old, token))
	forged := secret.New(text.Reveal()[:session.TokenLength-1] + "A")
	if forged.Reveal() == text.Reveal() {
		forged = secret.New(text.Reveal()[:session.TokenLength-1] + "B")
	}
	for _, c := range []struct {
		name string
		ring *session.Keyring
		text secret.Text
		want error
	}{
		{"the same key", newRing(t, key(1)), text, nil},
		{"an older key of the ring", newRing(t, key(1), key(2)), text, nil},
		{"a key that is not there", newRing(t, key(2)), text, session.ErrUnknownKey},
		{"a retired key", newRing(t, retired(key(1)), key(2)), text, session.ErrRetiredKey},
		{"a published key", newRing(t, published(key(1)), key(2)), text, nil},
		{"a retired key that is not there", newRing(t, key(2)).WithRetired(other, id), text, session.ErrRetiredKey},
		{"a retired key that is not there, and one more", newRing(t, key(2)).WithRetired(id).WithRetired(other), text, session.ErrRetiredKey},
		{"another retired key that is not there", newRing(t, key(2)).WithRetired(other), text, session.ErrUnknownKey},
		{"a ring that has the key that is said to be retired", newRing(t, key(1)).WithRetired(id), text, nil},
		{"a forged token of a retired key", newRing(t, retired(key(1)), key(2)), forged, session.ErrMalformed},
	} {
		if _, err := c.ring.Parse(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := newRing(t, key(2)).Mint(token); !errors.Is(err, session.ErrUnknownKey) {
		t.Errorf("Mint with a key that is not there: got %v, want ErrUnknownKey", err)
	}
	if newRing(t, key(1), key(2)).Newest() != newRing(t, key(2)).Newest() {
		t.Error("Newest: got the first key of two, want the last")
	}
	if newRing(t, key(2), retired(key(1))).Newest() != newRing(t, key(2)).Newest() {
		t.Error("Newest: got a retired key, want the last active one")
	}
	if newRing(t, key(2), published(key(1))).Newest() != newRing(t, key(2)).Newest() {
		t.Error("Newest: got a published key, want the last active one")
	}
}

func TestKeyIDs(t *testing.T) {
	id, err := key(1).ID()
	if err != nil || id != newRing(t, key(1)).Newest() {
		t.Errorf("got %s (%v), want that of the ring", id, err)
	}
	if _, err := (session.Key{Material: make([]byte, session.MinKeySize-1)}).ID(); err == nil {
		t.Error("the id of a short key: got none refused")
	}
	if got, err := session.ParseKeyID(id.String()); err != nil || got != id {
		t.Errorf("ParseKeyID: got %s (%v), want %s", got, err, id)
	}
	for _, text := range []string{"", "0102030405", "01020304050607", "0102030405fF", "0102030405zz", " 102030405060"} {
		if _, err := session.ParseKeyID(text); err == nil {
			t.Errorf("ParseKeyID of %q: got an id, want an error", text)
		}
	}
}

func TestNewKeyringRefuses(t *testing.T) {
	short := session.Key{Material: bytes.Repeat([]byte{7}, session.MinKeySize-1)}
	retired := session.Key{Material: key(1).Material, State: session.KeyRetired}
	for name, keys := range map[string][]session.Key{
		"no key":                      nil,
		"an empty key":                {{}},
		"a short key":                 {key(1), short},
		"one key twice":               {key(1), key(2), key(1)},
		"one key twice, once retired": {key(1), retired},
		"retired keys only":           {retired},
	} {
		ring, err := session.NewKeyring(keys...)
		if err == nil || ring != nil {
			t.Errorf("%s: got a ring and error %v, want only an error", name, err)
			continue
		}
		if strings.Contains(err.Error(), "\x07\x07") || strings.Contains(err.Error(), "0707") {
			t.Errorf("%s: got the key's bytes in %q, want them left out", name, err)
		}
	}
}

func TestAttempts(t *testing.T) {
	ring := newRing(t, key(1))
	a, b := example(ring), example(ring)
	id := secret.New("an-attempt-id-of-the-client")
	mark := ring.ClientAttempt(a, id)
	if !mark.FromClient() || mark != newRing(t, key(1), key(2)).ClientAttempt(a.Next(9), id) {
		t.Error("ClientAttempt: got another mark for the same session and id, want one")
	}
	if mark == ring.ClientAttempt(b, id) || mark == ring.ClientAttempt(a, secret.New("another")) {
		t.Error("ClientAttempt: got one mark for two sessions or two ids, want two")
	}
	if strings.Contains(string(mark), id.Reveal()) || len(mark) != 44 {
		t.Errorf("ClientAttempt: got %q, want a letter and 43 characters that do not show the id", mark)
	}
	if first := session.ServerAttempt(); first.FromClient() || first == session.ServerAttempt() {
		t.Error("ServerAttempt: got a client's mark or the same mark twice, want one of the server each time")
	}
	before := a
	ring.ClientAttempt(a, secret.New(strings.Repeat("x", 64)))
	if !same(a, before) {
		t.Error("ClientAttempt: got the token changed, want it left alone")
	}
}

func FuzzParse(f *testing.F) {
	ring := newRing(f, key(1), session.Key{Material: key(2).Material, State: session.KeyRetired})
	f.Add(mint(f, ring, example(ring)))
	f.Add(prefix)
	f.Add(prefix + strings.Repeat("A", 128))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ring.Parse(secret.New(text))
		if err != nil {
			return
		}
		if again := mint(t, ring, token); again != text {
			t.Errorf("Mint of what was parsed: got %q, want %q", again, text)
		}
	})
}

func BenchmarkMint(b *testing.B) {
	ring := newRing(b, key(1))
	token := example(ring)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Mint(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	ring := newRing(b, key(1))
	text := secret.New(mint(b, ring, example(ring)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
