package password_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

// today is the default cost.
var today = password.Params{MemoryKiB: 19456, Time: 2, Parallelism: 1}

// BenchmarkVerify tells the median time of every cause of an answer, in
// milliseconds.
func BenchmarkVerify(b *testing.B) {
	h := newHasher(b, today, 2)
	good := hash(b, h, phrase)
	imported := func(cost int) secret.Text {
		sum, err := bcrypt.GenerateFromPassword([]byte(phrase), cost)
		if err != nil {
			b.Fatal(err)
		}
		return secret.New(string(sum))
	}
	causes := []struct {
		name   string
		stored secret.Text
		text   string
		ok     bool
	}{
		{"right", good, phrase, true},
		{"wrong", good, "wrong", false},
		{"unknown", secret.Text{}, phrase, false},
		{"unreadable", secret.New("$argon2id$x"), phrase, false},
		{"overlong", good, strings.Repeat("a", 2000), false},
		{"NUL", good, phrase + "\x00", false},
		{"notNFKC/right", hash(b, h, apart), apart, true},
		{"notNFKC/wrong", good, apart, false},
		{"notNFKC/unknown", secret.Text{}, apart, false},
		{"bcrypt10/right", imported(10), phrase, true},
		{"bcrypt10/wrong", imported(10), "wrong", false},
		{"bcrypt10/overlong", imported(10), strings.Repeat("a", 2000), false},
		{"bcrypt12/wrong", imported(12), "wrong", false},
	}
	times := make([][]time.Duration, len(causes))
	for b.Loop() { // in turn, so that whatever else the machine does meets all of them
		for i, c := range causes {
			begin := time.Now()
			got, err := h.Verify(context.Background(), "", c.stored, secret.New(c.text))
			times[i] = append(times[i], time.Since(begin))
			if err != nil || got.OK != c.ok {
				b.Fatalf("%s: got %+v, %v, want %t", c.name, got, err, c.ok)
			}
		}
	}
	for i, c := range causes {
		slices.Sort(times[i])
		b.ReportMetric(float64(times[i][len(times[i])/2].Microseconds())/1000, c.name+"-ms")
	}
}

// verifyTogether runs so many calls of Verify at once, each of which tries until
// it is let in, and returns the memory that they took from the system.
func verifyTogether(tb testing.TB, h *password.Hasher, calls int) (taken uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			for {
				_, err := h.Verify(context.Background(), fmt.Sprint(i), secret.Text{}, secret.New(phrase))
				if err == nil {
					return
				}
				if !errors.Is(err, password.ErrOverloaded) {
					tb.Errorf("got %v, want ErrOverloaded until there is room", err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	group.Wait()
	runtime.ReadMemStats(&after)
	return max(after.HeapSys, before.HeapSys) - before.HeapSys
}

// Memory grows with the hashes at a time, not with the calls. What the collector
// has yet to find comes on top.
func TestMemoryIsBounded(t *testing.T) {
	const concurrency, memoryKiB, calls = 2, 4096, 200
	h := newHasher(t, password.Params{MemoryKiB: memoryKiB, Time: 1, Parallelism: 1}, concurrency)
	taken := verifyTogether(t, h, calls)
	if most := uint64(8 * concurrency * memoryKiB << 10); taken > most {
		t.Errorf("%d calls at once took %d KiB, want at most %d KiB: eight times %d hashes of %d KiB",
			calls, taken>>10, most>>10, concurrency, memoryKiB)
	}
}

// BenchmarkTogether tells what 200 calls at once take.
func BenchmarkTogether(b *testing.B) {
	h := newHasher(b, today, 2)
	for b.Loop() {
		b.ReportMetric(float64(verifyTogether(b, h, 200))/(1<<20), "MiB")
	}
}

// BenchmarkCheck is a long phrase, which is looked at most.
func BenchmarkCheck(b *testing.B) {
	for name, text := range map[string]string{
		"phrase": phrase,
		"runs":   strings.Repeat("abcdfed", 145) + "x!",
		"equal":  strings.Repeat("aaaa1234", 127) + "x!",
		"words":  strings.Repeat("love1love", 113) + "x!",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				password.Check(secret.New(text), "pawl", "auth.example.com", "ann@example.com")
			}
		})
	}
}
