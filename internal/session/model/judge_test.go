package model_test

import (
	"testing"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/model"
)

// The oracle knows the word for every row that a store decides.
func TestJudge(t *testing.T) {
	rules := model.Rules{Idle: 1000, Grace: 10, Retry: 100}
	base := model.Hot{Generation: 5, TurnedAt: 1000, Attempt: -1, IdleExpiresAt: 2000, ExpiresAt: 9000, Grace: 10, Retry: 100}
	for _, c := range []struct {
		name string
		use  model.Use
		now  int64
		want session.Outcome
	}{
		{"current", model.Use{Generation: 5, Attempt: -2}, 1011, session.Rotated},
		{"current within the grace", model.Use{Generation: 5, Attempt: -2}, 1010, session.Unchanged},
		{"previous within the grace", model.Use{Generation: 4, Attempt: -2}, 1010, session.Replayed},
		{"previous after it", model.Use{Generation: 4, Attempt: -2}, 1011, session.Reuse},
		{"the request again", model.Use{Generation: 4, Attempt: -1}, 1999, session.Retried},
		{"older", model.Use{Generation: 3, Attempt: -1}, 1000, session.Reuse},
		{"newer", model.Use{Generation: 6, Attempt: -1}, 1000, session.Ahead},
		{"idle", model.Use{Generation: 5, Attempt: -1}, 2000, session.Expired},
		{"access only", model.Use{Generation: 5, AccessOnly: true}, 1999, session.AccessOnly},
		{"access only, previous within the grace", model.Use{Generation: 4, AccessOnly: true}, 1010, session.AccessOnly},
		{"access only, previous after it", model.Use{Generation: 4, AccessOnly: true}, 1011, session.Reuse},
		{"access only, idle", model.Use{Generation: 5, AccessOnly: true}, 2000, session.Expired},
		{"from another network", model.Use{Generation: 5, Attempt: -2, WrongNetwork: true, Unbinding: true}, 1011, session.BindingMiss},
	} {
		if got, _ := rules.Judge(base, c.use, c.now); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// A session that is held to attempt ids, turned with the client's attempt 1.
func TestJudgeHeld(t *testing.T) {
	rules := model.Rules{Idle: 1000, Retry: 100}
	base := model.Hot{Generation: 5, TurnedAt: 1000, Attempt: 1, Held: true, IdleExpiresAt: 2000, ExpiresAt: 9000, Grace: 10, Retry: 100}
	for _, c := range []struct {
		name string
		use  model.Use
		now  int64
		want session.Outcome
	}{
		{"access only", model.Use{Generation: 5, AccessOnly: true}, 1011, session.AccessOnly},
		{"access only, previous within the grace", model.Use{Generation: 4, AccessOnly: true}, 1010, session.AccessOnly},
		{"access only, while the attempt may be repeated", model.Use{Generation: 4, AccessOnly: true}, 1100, session.Contended},
		{"access only, after that", model.Use{Generation: 4, AccessOnly: true}, 1101, session.Reuse},
		{"the attempt again, settled", model.Use{Generation: 5, Attempt: 1}, 1011, session.AttemptUsed},
		{"the attempt again within the grace", model.Use{Generation: 5, Attempt: 1}, 1010, session.Unchanged},
		{"another attempt", model.Use{Generation: 5, Attempt: 2}, 1011, session.Rotated},
		{"no attempt", model.Use{Generation: 5, Attempt: -1}, 1011, session.AttemptRequired},
		{"no attempt, previous within the grace", model.Use{Generation: 4, Attempt: -1}, 1010, session.AttemptRequired},
		{"no attempt, previous after it", model.Use{Generation: 4, Attempt: -1}, 1011, session.Reuse},
	} {
		got, after := rules.Judge(base, c.use, c.now)
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		if got == session.AccessOnly && after != base {
			t.Errorf("%s: got %+v, want it as before", c.name, after)
		}
	}
}

// Replays by somebody else are counted, once for each generation, and from the
// third in a row they are reported.
func TestJudgeFollowed(t *testing.T) {
	rules := model.Rules{Idle: 1000}
	h := model.Hot{Generation: 5, Attempt: -1, IdleExpiresAt: 5000, ExpiresAt: 9000, Grace: 10, Retry: 100, RotatedBy: "owner"}
	now := int64(1000)
	for turn, want := range []bool{false, false, true, true} {
		now += 20
		_, h = rules.Judge(h, model.Use{Generation: h.Generation, Attempt: model.Mark(-now), By: "owner"}, now)
		replay := func(by string) bool {
			t.Helper()
			before := h
			outcome, after := rules.Judge(h, model.Use{Generation: h.Generation - 1, Attempt: -1, By: by}, now)
			if outcome != session.Replayed || after.RotatedBy != "owner" {
				t.Errorf("turn %d: got %s and %+v, want it replayed", turn, outcome, after)
			}
			h = after
			return model.ReportsShared(before, after)
		}
		if replay("owner") {
			t.Errorf("turn %d: the owner's own replay is reported", turn)
		}
		if got := replay("thief"); got != want {
			t.Errorf("turn %d: reported: got %t, want %t", turn, got, want)
		}
		if replay("thief") {
			t.Errorf("turn %d: the second replay is reported", turn)
		}
	}
}
