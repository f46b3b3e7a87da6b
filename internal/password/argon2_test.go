package password_test

import (
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

const (
	salt = "c2FsdHNhbHRzYWx0c2FsdA"                      // 16 bytes
	sum  = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g" // 32 bytes
)

func TestDecodePHC(t *testing.T) {
	a := func(n int) string { return strings.Repeat("A", n) }
	for _, c := range []struct {
		text string
		want bool
	}{
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, true},
		{"$argon2id$v=19$m=262144,t=10,p=4$" + salt + "$" + sum, true},
		{"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + sum, true},
		{"$argon2id$v=19$m=8,t=1,p=1$" + a(11) + "$" + a(22), true},
		{"$argon2id$v=19$m=8,t=1,p=1$" + a(64) + "$" + a(86), true},
		// beyond the bounds
		{"$argon2id$v=19$m=262145,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=4294967296,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=99999999999999999999,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=11,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=5$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=257$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=7,t=1,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=31,t=1,p=4$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=8,t=1,p=1$" + a(10) + "$" + sum, false},
		{"$argon2id$v=19$m=8,t=1,p=1$" + a(66) + "$" + sum, false},
		{"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + a(20), false},
		{"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + a(87), false},
		{"$argon2id$v=19$m=8,t=1,p=1$$" + sum, false},
		{"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$", false},
		// other spellings and other schemes
		{"", false},
		{"$", false},
		{"$argon2id$", false},
		{"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2d$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, false},
		{"$ARGON2ID$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$m=19456,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=1,keyid=x$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=+19456,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=-1,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=1_024,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=,t=2,p=1$" + salt + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "==$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt[:21] + "R$" + sum, false}, // spare bits
		{"$argon2id$v=19$m=19456,t=2,p=1$" + strings.Replace(salt, "2", "-", 1) + "$" + sum, false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum + "\n", false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum[:20] + "\r\n" + sum[20:], false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum + "$", false},
		{" $argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, false},
	} {
		_, again, ok := password.DecodePHC(c.text)
		if ok != c.want || ok && again != c.text {
			t.Errorf("%q: got %t (%q), want %t and the same text", c.text, ok, again, c.want)
		}
		if err := password.CheckHash(secret.New(c.text)); (err == nil) != c.want {
			t.Errorf("CheckHash(%q): got %v, want usable: %t", c.text, err, c.want)
		}
	}
}

// Whatever is read has one spelling and a bounded cost.
func FuzzDecodePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum)
	f.Add("$argon2id$v=19$m=262144,t=10,p=4$" + salt + "$" + sum)
	f.Add("$argon2id$v=19$m=0,t=0,p=0$$")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$2a$04$" + strings.Repeat("a", 53))
	f.Fuzz(func(t *testing.T, text string) {
		params, again, ok := password.DecodePHC(text)
		if err := password.CheckHash(secret.New(text)); err == nil && !ok && !strings.HasPrefix(text, "$2") {
			t.Errorf("%q is usable and no hash", text)
		}
		if !ok {
			return
		}
		if again != text {
			t.Errorf("%q is read, but written as %q", text, again)
		}
		if params.MemoryKiB > 256*1024 || params.Time > 10 || params.Parallelism > 4 ||
			params.MemoryKiB < 8 || params.Time < 1 || params.Parallelism < 1 {
			t.Errorf("%q is read with cost %+v, want it within bounds", text, params)
		}
	})
}
