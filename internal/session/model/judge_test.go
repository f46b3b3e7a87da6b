package model_test

import (
	"testing"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/model"
)

// The oracle knows the word for every row that a store decides.
func TestJudge(t *testing.T) {
	rules := model.Rules{Idle: 1000, Grace: 10, Retry: 100}
	base := model.Hot{Generation: 5, TurnedAt: 1000, Attempt: -1, IdleExpiresAt: 2000, ExpiresAt: 9000, Grace: 10}
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
	} {
		if got, _ := rules.Judge(base, c.use, c.now); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
