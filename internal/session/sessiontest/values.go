package sessiontest

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pawlauth/pawl/internal/session"
)

// testValues puts what clients may send through the store.
func testValues(t *testing.T, open Open) {
	for name, text := range map[string]string{
		"empty":        "",
		"quotes":       `"'\` + "`",
		"separators":   "a|b,c;d:e f\tg=h{i}[j]%s%d%00$1",
		"letters":      "Zoë’s ☎ – 電話",
		"long":         strings.Repeat("agent ", 80),
		"looks like T": "T\x00L",
	} {
		t.Run("text: "+name, func(t *testing.T) {
			f := newFixture(t, open)
			s := f.state()
			s.DeviceName, s.UserAgent = text, text
			f.create(s)
			wantState(t, "stored state", printable(f.stored(s.ID)), printable(s))
			p := present(s, 1, serverA)
			p.UserAgent = text + "!"
			want := f.after(s, p, turns)
			wantState(t, "state in the verdict", printable(f.expect(p, session.Rotated).State), printable(want))
			wantState(t, "stored state", printable(f.stored(s.ID)), printable(want))
		})
	}
	t.Run("control characters break nothing", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		s.DeviceName = "a\x00b\x01c\x1fd\x1ee\nf\rg\x7f"
		s.UserAgent = s.DeviceName
		f.create(s)
		p := present(s, 1, serverA)
		p.UserAgent, p.IPAddress = "\x00\x1f\x1e", "\x1f"
		f.expect(p, session.Rotated)
		got := f.stored(s.ID)
		if got.Generation != 2 || got.Role != s.Role || got.SecretHash != s.SecretHash || !got.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("stored state: got %+v, want generation 2 of %+v", got, s)
		}
	})
	t.Run("the largest generations count exactly", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Grace = 0
		const top = 1<<53 - 1
		s := f.turned()
		s.Generation = top - 2
		f.create(s)
		f.expect(present(s, top, serverB), session.Ahead)
		for g := uint64(top - 2); g < top; g++ {
			if v := f.expect(present(s, g, serverB), session.Rotated); v.State.Generation != g+1 {
				t.Fatalf("generation: got %d, want %d", v.State.Generation, g+1)
			}
		}
		f.expect(present(s, top-2, serverB), session.Reuse)
		lost := f.turned()
		if got := f.restore(lost, top); got.Generation != top {
			t.Errorf("generation after an adoption: got %d, want %d", got.Generation, uint64(top))
		}
	})
	t.Run("times keep the millisecond", func(t *testing.T) {
		f := newFixture(t, open)
		f.clock.Step(time.Until(f.clock.Now().Truncate(time.Second)).Truncate(ms) + 7*ms)
		s := f.turned()
		s.ExpiresAt = s.ExpiresAt.Add(13 * ms)
		f.create(s)
		f.wantStored(s)
	})
}

// printable is a state whose texts have lost what a store may drop from them.
func printable(s session.State) session.State {
	drop := func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}
	for _, text := range []*string{&s.DeviceName, &s.UserAgent, &s.FormerUserAgent} {
		*text = strings.Map(drop, *text)
	}
	return s
}
