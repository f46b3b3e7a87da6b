package model_test

import (
	"testing"

	"github.com/pawlauth/pawl/internal/session/model"
)

// Each rule and each assumption is there for a reason: the search finds it.
func TestWhatTheRulesAreFor(t *testing.T) {
	const (
		signOut   = "honest sign-out"
		stuck     = "an honest client is stuck"
		livesOn   = "the thief lives on"
		readsOn   = "the thief reads on"
		unnoticed = "the thief follows unnoticed"
		letIn     = "the thief is let in"
		revived   = "an ended session lives on"
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
		{searchCase{"a server that renders and rotates", func(c *model.Config) {
			c.Tabs, c.Renderer = 1, model.Rotates
		}}, signOut, 0},
		{searchCase{"a server that renders and rotates with attempt ids", func(c *model.Config) {
			c.Tabs, c.Attempts, c.Renderer = 1, true, model.Rotates
		}}, signOut, 0},
		{searchCase{"a server that renders, a client that does not rest after a lost answer", func(c *model.Config) {
			c.Tabs, c.Attempts, c.LostFor, c.Renderer = 1, true, 3, model.ReadsOnly
		}}, signOut, 0},
		{searchCase{"access only does not wait for a lost answer", func(c *model.Config) {
			c.Tabs, c.Attempts, c.LostFor, c.Rests, c.Renderer, c.StaleAccessEnds = 1, true, 3, true, model.ReadsOnly, true
		}}, signOut, 0},
		{searchCase{"a server that renders for a bound session from another network", func(c *model.Config) {
			c.Tabs, c.Renderer, c.RendersAfar = 1, model.ReadsOnly, true
		}}, signOut, 0},
		{searchCase{"a client that repeats one attempt id for ever", func(c *model.Config) {
			c.Attempts, c.RepeatsAttempt = true, true
		}}, stuck, 0},
		{searchCase{"a client that repeats one attempt id for ever, and is not told", func(c *model.Config) {
			c.Attempts, c.RepeatsAttempt, c.AttemptsReused, c.Thief = true, true, true, model.Following
		}}, livesOn, 0},
		{searchCase{"any use holds a session to attempt ids", func(c *model.Config) {
			c.Tabs, c.Thief, c.Presenters, c.HeldByAnyUse = 1, model.Following, true, true
		}}, readsOn, 0},
		{searchCase{"a spent token without attempt id is forgiven on a held session", func(c *model.Config) {
			c.Tabs, c.Thief, c.HeldForgives = 1, model.Asleep, true
		}}, readsOn, 0},
		{searchCase{"replays by others are not counted", func(c *model.Config) {
			c.Tabs, c.Thief, c.Presenters, c.NothingFollowed = 1, model.Following, true, true
		}}, unnoticed, 0},
		{searchCase{"two tabs through two networks, shared sessions end", func(c *model.Config) {
			c.Presenters, c.Roaming, c.EndShared = true, true, true
		}}, signOut, 0},
		{searchCase{"each of two servers judges by its own grace", func(c *model.Config) {
			c.TwoServers, c.OtherGrace, c.OtherRetry, c.ServersGrace = true, 1, c.Retry, true
		}}, signOut, 0},
		{searchCase{"each of two servers judges by its own retry window", func(c *model.Config) {
			c.TwoServers, c.OtherGrace, c.OtherRetry, c.Tabs, c.Attempts, c.LostFor, c.ServersRetry = true, c.Grace, 0, 1, true, 3, true
		}}, signOut, 0},
		{searchCase{"a server that binds nothing checks nothing", func(c *model.Config) {
			c.Tabs, c.Bound, c.Thief, c.ServersBinding = 1, true, model.Asleep, true
		}}, letIn, 0},
		{searchCase{"tombstones pruned before the ledger knows the end", func(c *model.Config) {
			c.Tabs, c.Thief, c.Prune, c.LateEnds, c.PruneEarly = 1, model.Asleep, true, true, true
		}}, revived, 0},
		{searchCase{"a session that the ledger dropped is taken to live", func(c *model.Config) {
			c.Tabs, c.Thief, c.Prune, c.MissingRowLives = 1, model.Asleep, true, true
		}}, revived, 0},
		{searchCase{"after an access token only, nothing asks the ledger", func(c *model.Config) {
			c.Tabs, c.Thief, c.Losses, c.Snapshots, c.AccessAsksNothing = 1, model.Asleep, 1, 1, true
		}}, revived, 0},
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
