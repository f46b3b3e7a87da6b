package model_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/model"
)

// small is where every search starts: requests are in flight for at most half
// the grace, and a lost answer is asked for again early enough that what the
// tabs sent meanwhile is over within the grace.
var small = model.Config{
	Tabs: 2, Grace: 2, Retry: 4, Flight: 1, LostFor: 1, Generations: 5,
}

type searchCase struct {
	name   string
	change func(*model.Config)
}

func search(t *testing.T, c searchCase, limit int) model.Result {
	t.Helper()
	config := small
	config.MaxStates = limit
	c.change(&config)
	begin := time.Now()
	result := model.Search(config)
	t.Logf("%s, %v", result, time.Since(begin).Round(time.Millisecond))
	return result
}

// No honest client is signed out, and no thief lives past the owner's next
// divergent use.
func TestNothingIsFound(t *testing.T) {
	for _, c := range []searchCase{
		{"two tabs", func(*model.Config) {}},
		{"three tabs", func(c *model.Config) { c.Tabs, c.Resend = 3, true }},
		{"two tabs with attempt ids", func(c *model.Config) { c.Attempts, c.Resend = true, true }},
		{"three tabs with attempt ids", func(c *model.Config) { c.Tabs, c.Attempts = 3, true }},
		{"one tab, lost for the whole grace, store losses", func(c *model.Config) {
			c.Tabs, c.LostFor, c.UnchangedSetsCookie, c.Resend = 1, 2, true, true
			c.Losses, c.Snapshots = 1, 1
		}},
		{"one tab with attempt ids, lost for the whole retry window, store losses", func(c *model.Config) {
			c.Tabs, c.Attempts, c.LostFor, c.UnchangedSetsCookie, c.Resend = 1, true, 3, true, true
			c.Losses, c.Snapshots = 1, 1
		}},
		{"two tabs, store losses", func(c *model.Config) {
			c.Losses, c.Snapshots = 1, 1
		}},
		{"two tabs with attempt ids, store losses", func(c *model.Config) {
			c.Attempts, c.Losses, c.Snapshots = true, 1, 1
		}},
		{"one tab, store losses, late checkpoints", func(c *model.Config) {
			c.Tabs, c.LostFor, c.Losses, c.Snapshots, c.Late = 1, 2, 1, 1, true
		}},
		{"one tab, two store losses, late checkpoints", func(c *model.Config) {
			c.Tabs, c.LostFor, c.Losses, c.Snapshots, c.Late = 1, 2, 2, 0, true
			c.Generations = 4
		}},
		{"one tab with attempt ids, two store losses, late checkpoints", func(c *model.Config) {
			c.Tabs, c.LostFor, c.Losses, c.Snapshots, c.Late = 1, 3, 2, 0, true
			c.Attempts, c.Generations = true, 4
		}},
		{"two tabs, a store loss, late checkpoints", func(c *model.Config) {
			c.Losses, c.Late = 1, true
			c.Generations = 4
		}},
		{"a thief asleep, a store loss, late checkpoints", func(c *model.Config) {
			c.Tabs, c.Thief, c.Losses, c.Late = 1, model.Asleep, 1, true
			c.Generations = 4
		}},
		{"no grace, the store judges twice", func(c *model.Config) {
			c.Tabs, c.Grace, c.Retry, c.Flight, c.LostFor, c.Resend = 1, 0, 0, 0, 0, true
		}},
		{"no grace but attempt ids, store losses", func(c *model.Config) {
			c.Tabs, c.Grace, c.Flight, c.LostFor, c.Attempts, c.Resend = 1, 0, 0, 3, true, true
			c.Losses, c.Snapshots = 1, 1
		}},
		{"a thief who follows two tabs with attempt ids", func(c *model.Config) {
			c.Attempts, c.Thief = true, model.Following
		}},
		{"a thief who follows one tab with attempt ids, store losses", func(c *model.Config) {
			c.Tabs, c.Attempts, c.Thief = 1, true, model.Following
			c.Losses, c.Snapshots, c.Generations, c.Retry = 1, 1, 4, 3
		}},
		{"a thief at once", func(c *model.Config) {
			c.Tabs, c.Thief, c.Losses, c.Snapshots = 1, model.AtOnce, 1, 1
			c.Generations = 4
		}},
		{"a thief asleep", func(c *model.Config) {
			c.Tabs, c.Thief, c.Losses, c.Snapshots = 1, model.Asleep, 1, 1
			c.Generations = 4
		}},
		{"a thief who waits for a store loss", func(c *model.Config) {
			c.Tabs, c.Thief, c.Losses, c.Snapshots = 1, model.Waiting, 1, 1
			c.Generations = 4
		}},
		{"a thief who waits for one of two store losses", func(c *model.Config) {
			c.Tabs, c.Thief, c.Losses = 1, model.Waiting, 2
			c.Generations = 4
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if result := search(t, c, maxStates); result.Violation != "" {
				t.Errorf("found %s, want nothing", result.Violation)
			}
		})
	}
}

// Each rule and each assumption is there for a reason: the search finds it.
func TestWhatTheRulesAreFor(t *testing.T) {
	const (
		signOut = "honest sign-out"
		livesOn = "the thief lives on"
	)
	for _, c := range []struct {
		searchCase
		want  string
		steps int // of the shortest way; two tabs that send are two steps
	}{
		{searchCase{"more than one turn per grace", func(c *model.Config) {
			c.ManyTurnsPerGrace = true
		}}, signOut, 7},
		{searchCase{"sessions not held, a thief who follows each turn", func(c *model.Config) {
			c.Attempts, c.Thief, c.NothingHeld = true, model.Following, true
		}}, livesOn, 5},
		{searchCase{"no attempt ids, a thief who follows each turn", func(c *model.Config) {
			c.Thief = model.Following
		}}, livesOn, 5},
		{searchCase{"requests in flight for the whole grace", func(c *model.Config) {
			c.Flight = 2
		}}, signOut, 0},
		{searchCase{"an answer that changes nothing sets the cookie and overtakes a turn", func(c *model.Config) {
			c.UnchangedSetsCookie = true
		}}, signOut, 0},
		{searchCase{"a turn within one grace of a recovery: a store loss between two turns of one burst", func(c *model.Config) {
			c.Losses, c.TurnsInRecovery = 1, true
		}}, signOut, 0},
		{searchCase{"recoveries not counted: a turn that was lost is written down after its recovery", func(c *model.Config) {
			c.Tabs, c.LostFor, c.Losses, c.Late, c.NoEpochs = 1, 2, 1, true, true
		}}, signOut, 0},
		{searchCase{"two tabs, an answer lost for the whole grace", func(c *model.Config) {
			c.LostFor = 2
		}}, signOut, 0},
		{searchCase{"two tabs with attempt ids, an answer lost for longer than the grace", func(c *model.Config) {
			c.Attempts, c.LostFor = true, 3
		}}, signOut, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := search(t, c.searchCase, 0)
			if result.Violation != c.want {
				t.Fatalf("found %q, want %q", result.Violation, c.want)
			}
			if c.steps != 0 && len(result.Trace) != c.steps {
				t.Errorf("the shortest way has %d steps, want %d", len(result.Trace), c.steps)
			}
		})
	}
}

// The oracle knows the word for every row that a store decides.
func TestJudge(t *testing.T) {
	rules := model.Rules{Idle: 1000, Grace: 10, Retry: 100}
	base := model.Hot{Generation: 5, TurnedAt: 1000, Attempt: -1, IdleExpiresAt: 2000, ExpiresAt: 9000}
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
