package password_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

// cheap keeps the tests fast; the cost is not what they are about.
var cheap = password.Params{MemoryKiB: 64, Time: 1, Parallelism: 1}

const (
	phrase   = "correct horse battery staple"
	composed = "caf\u00e9 au lait \u00e0 midi"      // in NFKC
	apart    = "cafe\u0301 au lait a\u0300 midi"    // the same, decomposed
	widened  = "ca\ufb01 \uff50\uff41\uff53\uff53x" // compatibility characters: fi, pass
)

func newHasher(t testing.TB, params password.Params, concurrency int) *password.Hasher {
	t.Helper()
	h, err := password.New(params, concurrency)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

func hash(t testing.TB, h *password.Hasher, text string) secret.Text {
	t.Helper()
	stored, err := h.Hash(context.Background(), "", secret.New(text))
	if err != nil {
		t.Fatalf("Hash: %v", err)
	}
	return stored
}

// phc is an Argon2id hash by the library alone.
func phc(text string, p password.Params, saltSize, hashSize int) string {
	salt := []byte(strings.Repeat("s", saltSize))
	sum := argon2.IDKey([]byte(text), salt, p.Time, p.MemoryKiB, p.Parallelism, uint32(hashSize))
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.MemoryKiB, p.Time, p.Parallelism, b64(salt), b64(sum))
}

func bcryptOf(t testing.TB, text string) string {
	t.Helper()
	sum, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(sum)
}

func TestHash(t *testing.T) {
	h := newHasher(t, cheap, 1)
	a, b := hash(t, h, phrase), hash(t, h, phrase)
	if want := "$argon2id$v=19$m=64,t=1,p=1$"; !strings.HasPrefix(a.Reveal(), want) || a.Len() != len(want)+22+1+43 {
		t.Errorf("hash: got a text of %d bytes, want %s, 16 bytes of salt, 32 of hash", a.Len(), want)
	}
	if a.Equal(b) {
		t.Error("two hashes of one password are the same, want different salts")
	}
}

func TestHashRefusesWhatNobodyCouldLogInWith(t *testing.T) {
	h := newHasher(t, cheap, 1)
	for name, text := range map[string]string{
		"empty": "", "NUL": "aaaaaaaaaaaaaaa\x00", "1025 bytes": strings.Repeat("a", 1025), "no UTF-8": "aaaaaaaaaaaaaaa\xff",
	} {
		if got, err := h.Hash(context.Background(), "", secret.New(text)); !errors.Is(err, password.ErrUnusable) || !got.IsEmpty() {
			t.Errorf("%s: got %v, want ErrUnusable", name, err)
		}
	}
	// A character of three bytes that NFKC makes 33 of: the limit is on what is sent.
	long := strings.Repeat("\ufdfa", 341)
	if got, err := h.Verify(context.Background(), "", hash(t, h, long), secret.New(long)); err != nil || !got.OK {
		t.Errorf("1023 bytes that NFKC lengthens: got %+v, %v, want OK", got, err)
	}
}

func TestVerify(t *testing.T) {
	h := newHasher(t, cheap, 2)
	older := password.Params{MemoryKiB: 32, Time: 2, Parallelism: 2}
	yes, no, upgrade := password.Result{OK: true}, password.Result{}, password.Result{OK: true, Upgrade: true}
	long := strings.Repeat("a", 80)
	good := hash(t, h, phrase).Reveal()
	for _, c := range []struct {
		name, stored, password string
		want                   password.Result
	}{
		{"right", good, phrase, yes},
		{"wrong", good, phrase + "r", no},
		{"another case", good, strings.ToUpper(phrase), no},
		{"blanks around it", good, " " + phrase, no},
		{"empty", good, "", no},
		{"right, of other programs", phc(phrase, cheap, 16, 32), phrase, yes},
		{"older cost", phc(phrase, older, 16, 32), phrase, upgrade},
		{"older cost, wrong", phc(phrase, older, 16, 32), "x", no},
		{"shorter salt", phc(phrase, cheap, 8, 32), phrase, upgrade},
		{"longer hash", phc(phrase, cheap, 16, 64), phrase, upgrade},
		{"bcrypt", bcryptOf(t, phrase), phrase, upgrade},
		{"bcrypt of PHP", strings.Replace(bcryptOf(t, phrase), "$2a$", "$2y$", 1), phrase, upgrade},
		{"bcrypt, wrong", bcryptOf(t, phrase), "x", no},
		{"bcrypt sees 72 bytes", bcryptOf(t, long[:72]), long, upgrade},
		{"NFKC by us, typed apart", hash(t, h, apart).Reveal(), composed, yes},
		{"NFKC by us, typed apart twice", hash(t, h, composed).Reveal(), apart, yes},
		{"compatibility characters", hash(t, h, widened).Reveal(), "cafi passx", yes},
		{"imported as typed", phc(apart, cheap, 16, 32), apart, upgrade},
		{"imported as typed, typed otherwise", phc(apart, cheap, 16, 32), composed, no},
		{"imported in bcrypt as typed", bcryptOf(t, apart), apart, upgrade},
		{"no stored hash", "", phrase, no},
		{"no stored hash, no password", "", "", no},
		{"unreadable", "x", phrase, no},
		{"plain text", phrase, phrase, no},
		{"too much memory", "$argon2id$v=19$m=262145,t=1,p=1$c2FsdHNhbHRzYWx0$" + strings.Repeat("a", 43), phrase, no},
		{"bcrypt of cost 15", strings.Replace(bcryptOf(t, phrase), "$04$", "$15$", 1), phrase, no},
		{"over-long", good, strings.Repeat("a", 1025), no},
		{"over-long, starting right", phc(phrase, cheap, 16, 32), phrase + strings.Repeat("a", 1024), no},
		{"NUL after the right one", good, phrase + "\x00", no},
		{"NUL after the right one, bcrypt", bcryptOf(t, phrase), phrase + "\x00" + phrase, no},
	} {
		got, err := h.Verify(context.Background(), "", secret.New(c.stored), secret.New(c.password))
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

// What Verify reads as a hash of the longest password is the hash of it.
func TestLongestPassword(t *testing.T) {
	h := newHasher(t, cheap, 1)
	text := strings.Repeat("a", 1024)
	for password, want := range map[string]bool{text: true, text[:1023]: false, text[:1023] + "b": false} {
		if got, err := h.Verify(context.Background(), "", hash(t, h, text), secret.New(password)); err != nil || got.OK != want {
			t.Errorf("%d bytes: got %+v, %v, want %t", len(password), got, err, want)
		}
	}
}

// Every answer takes the work of a wrong password. The work is measured
// in the memory that Argon2 fills, which no busy machine disturbs.
func TestDecoyDoesTheSameWork(t *testing.T) {
	const memoryKiB = 4096
	h := newHasher(t, password.Params{MemoryKiB: memoryKiB, Time: 1, Parallelism: 1}, 1)
	good := hash(t, h, phrase)
	for _, c := range []struct {
		name   string
		stored secret.Text
		text   string
		want   uint64 // hashes computed
		ok     bool
	}{
		{"right password", good, phrase, 1, true},
		{"not in NFKC, right", hash(t, h, apart), apart, 2, true},
		{"wrong password", good, "wrong", 1, false},
		{"unknown user", secret.Text{}, phrase, 1, false},
		{"unreadable", secret.New("$argon2id$v=19$m=1,t=1,p=1$x$y"), phrase, 1, false},
		{"unreadable bcrypt", secret.New("$2a$31$x"), phrase, 1, false},
		{"over-long", good, strings.Repeat("a", 2000), 1, false},
		{"over-long, unknown user", secret.Text{}, strings.Repeat("a", 2000), 1, false},
		{"NUL", good, phrase + "\x00", 1, false},
		{"NUL, unknown user", secret.Text{}, phrase + "\x00", 1, false},
		{"not in NFKC, wrong", good, apart, 2, false},
		{"not in NFKC, unknown user", secret.Text{}, apart, 2, false},
		{"not in NFKC, unreadable", secret.New("x"), apart, 2, false},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result, err := h.Verify(context.Background(), "", c.stored, secret.New(c.text))
		runtime.ReadMemStats(&after)
		if err != nil || result.OK != c.ok {
			t.Errorf("%s: got %+v, %v, want %t", c.name, result, err, c.ok)
		}
		if got := (after.TotalAlloc - before.TotalAlloc) / (memoryKiB * 1024); got != c.want {
			t.Errorf("%s: computed %d hashes, want %d", c.name, got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, params := range map[string]password.Params{
		"nothing":               {},
		"no time":               {MemoryKiB: 64, Parallelism: 1},
		"no lanes":              {MemoryKiB: 64, Time: 1},
		"too little memory":     {MemoryKiB: 15, Time: 1, Parallelism: 2},
		"memory it cannot read": {MemoryKiB: 256*1024 + 1, Time: 1, Parallelism: 1},
		"time it cannot read":   {MemoryKiB: 64, Time: 11, Parallelism: 1},
		"lanes it cannot read":  {MemoryKiB: 64, Time: 1, Parallelism: 5},
	} {
		if _, err := password.New(params, 1); err == nil {
			t.Errorf("%s: got a hasher, want an error", name)
		}
	}
	for _, concurrency := range []int{0, -1} {
		if _, err := password.New(cheap, concurrency); err == nil {
			t.Errorf("concurrency %d: got a hasher, want an error", concurrency)
		}
	}
}

func TestCheckHash(t *testing.T) {
	for _, stored := range []string{phc(phrase, cheap, 16, 32), bcryptOf(t, phrase)} {
		if err := password.CheckHash(secret.New(stored)); err != nil {
			t.Errorf("got %v, want a usable hash", err)
		}
	}
	good := bcryptOf(t, phrase)
	for name, stored := range map[string]string{
		"empty": "", "text": "hunter2hunter2", "MD5": "5f4dcc3b5aa765d61d8327deb882cf99",
		"bcrypt, short":         good[:59],
		"bcrypt, long":          good + "a",
		"bcrypt 2x":             "$2x" + good[3:],
		"bcrypt 2":              "$2" + good[3:] + "a",
		"bcrypt, cost 03":       good[:4] + "03" + good[6:],
		"bcrypt, cost 15":       good[:4] + "15" + good[6:],
		"bcrypt, cost +9":       good[:4] + "+9" + good[6:],
		"bcrypt, cost a letter": good[:4] + "1a" + good[6:],
		"bcrypt, no dollar":     good[:6] + "a" + good[7:],
		"bcrypt, no base64":     good[:20] + "=" + good[21:],
		"bcrypt, line break":    good[:59] + "\n",
	} {
		err := password.CheckHash(secret.New(stored))
		if err == nil || stored != "" && strings.Contains(err.Error(), stored) {
			t.Errorf("%s: got %v, want an error that does not repeat it", name, err)
		}
	}
}
