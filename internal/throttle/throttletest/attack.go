package throttletest

import (
	"fmt"
	"testing"
	"time"
)

// A hundred guesses at one lane take more than two days, whether the attacker
// guesses as fast as the lane lets him or waits for the count to halve.
func testAttack(t *testing.T, open Open) {
	for _, rest := range []int{0, 4, 9, 10, 19, 25, 40, 49, 75} {
		t.Run(fmt.Sprintf("a day of rest after every %d guesses", rest), func(t *testing.T) {
			f := newFixture(t, open)
			begin := f.clock.Now()
			for guesses, refused := 0, 0; guesses < 100; {
				v, err := f.store.Charge(f.ctx, f.unknown(), defaults())
				if err != nil {
					t.Fatalf("Charge: %v", err)
				}
				if !v.Allowed() {
					if refused++; refused > 100 {
						t.Fatalf("refusals: got more than 100, want every wait to be the true one")
					}
					f.clock.Step(v.RetryAfter)
					continue
				}
				if guesses++; rest > 0 && guesses%rest == 0 && guesses < 100 {
					f.clock.Step(day)
				}
			}
			if took := f.clock.Now().Sub(begin); took <= 2*day {
				t.Errorf("a hundred guesses: got them in %s, want more than two days", took)
			}
		})
	}
	t.Run("hanging up is not free", func(t *testing.T) {
		f := newFixture(t, open)
		for range 5 { // nobody waits for what the guess came to
			f.wantCharge(0, f.unknown(), defaults())
		}
		f.wantCharge(30*time.Second, f.unknown(), defaults())
	})
}
