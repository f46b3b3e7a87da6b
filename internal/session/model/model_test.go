package model_test

import (
	"testing"
	"time"

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
		{"two tabs and a server that renders", func(c *model.Config) {
			c.Renderer = model.ReadsOnly
		}},
		{"two tabs with attempt ids and a server that renders", func(c *model.Config) {
			c.Attempts, c.Renderer = true, model.ReadsOnly
		}},
		{"a server that renders, lost for the whole retry window", func(c *model.Config) {
			c.Tabs, c.Attempts, c.LostFor, c.Rests, c.Renderer = 1, true, 3, true, model.ReadsOnly
		}},
		{"a server that renders, store losses", func(c *model.Config) {
			c.Tabs, c.Renderer, c.Losses, c.Snapshots, c.Generations = 1, model.ReadsOnly, 1, 1, 4
		}},
		{"a server that renders for one tab with attempt ids, store losses", func(c *model.Config) {
			c.Tabs, c.Attempts, c.Renderer, c.Losses, c.Generations = 1, true, model.ReadsOnly, 1, 4
			c.LostFor, c.Rests = 3, true
		}},
		{"two tabs with attempt ids, answers break off after the cookie", func(c *model.Config) {
			c.Attempts, c.Halves = true, true
		}},
		{"answers break off after the cookie, store losses", func(c *model.Config) {
			c.Tabs, c.Attempts, c.Halves, c.LostFor, c.Losses, c.Generations = 1, true, true, 3, 1, 4
		}},
		{"a thief who follows two tabs is reported", func(c *model.Config) {
			c.Thief, c.Presenters = model.Following, true
		}},
		{"a thief who follows is ended with the session", func(c *model.Config) {
			c.Tabs, c.Thief, c.Presenters, c.EndShared = 1, model.Following, true, true
		}},
		{"two tabs through one network, shared sessions end", func(c *model.Config) {
			c.Presenters, c.EndShared = true, true
		}},
		{"two tabs through two networks, shared sessions are reported", func(c *model.Config) {
			c.Presenters, c.Roaming = true, true
		}},
		{"two servers of which one has no grace", func(c *model.Config) {
			c.TwoServers, c.OtherGrace, c.OtherRetry = true, 0, c.Retry
		}},
		{"two servers of which one has no retry window, attempt ids", func(c *model.Config) {
			c.TwoServers, c.OtherGrace, c.OtherRetry, c.Tabs, c.Attempts, c.LostFor = true, c.Grace, 0, 1, true, 3
		}},
		{"two servers of which one has a longer grace, attempt ids, a store loss", func(c *model.Config) {
			c.TwoServers, c.OtherGrace, c.OtherRetry = true, 3, c.Retry
			c.Tabs, c.Attempts, c.Losses, c.Generations = 1, true, 1, 4
		}},
		{"a thief of a bound session, two servers of which one binds nothing", func(c *model.Config) {
			c.Tabs, c.Bound, c.Thief, c.Losses, c.Generations = 1, true, model.Following, 1, 4
		}},
		{"a thief asleep, tombstones pruned, ends that the ledger learns of late", func(c *model.Config) {
			c.Tabs, c.Thief, c.Prune, c.LateEnds, c.Generations = 1, model.Asleep, true, true, 4
		}},
		{"a thief asleep, tombstones pruned, rows dropped, store losses", func(c *model.Config) {
			c.Tabs, c.Thief, c.Prune, c.Losses, c.Snapshots, c.Generations = 1, model.Asleep, true, 1, 1, 3
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if result := search(t, c, maxStates); result.Violation != "" {
				t.Errorf("found %s, want nothing", result.Violation)
			}
		})
	}
}
