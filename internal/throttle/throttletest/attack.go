package throttletest

import (
	"fmt"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
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
	t.Run("filling the table forgets no pause", func(t *testing.T) {
		f := newFixture(t, open)
		guesses := 0
		guess := func(lane throttle.Lane) {
			v, err := f.store.Charge(f.ctx, lane, defaults())
			if err != nil {
				t.Fatalf("Charge: %v", err)
			}
			if v.Allowed() {
				guesses++
			}
		}
		for round := range 20 { // as many names as the attacker likes, and a device that is guessed from
			for range 10 {
				guess(f.device("stolen"))
			}
			for i := range 2 * throttle.MaxDevices {
				guess(f.device(fmt.Sprint(round, " ", i)))
			}
		}
		// Five from the device, one from each other that found room, five as unknown.
		if want := 5 + throttle.MaxDevices - 1 + 5; guesses != want {
			t.Errorf("guesses at once: got %d, want %d", guesses, want)
		}
		f.wantCharge(30*time.Second, f.device("stolen"), defaults())
		f.wantCharge(30*time.Second, f.unknown(), defaults())
	})
}
