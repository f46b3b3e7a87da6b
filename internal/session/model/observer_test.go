package model_test

import (
	"testing"

	"github.com/pawlauth/pawl/internal/session/model"
)

// A thief who sees when the owner's token turned follows each turn. He is
// reported then; and he cannot when uses are shown after the grace only.
func TestObserver(t *testing.T) {
	game := model.Watch{Grace: 2, Bucket: 8, Pause: 8, Ticks: 32}
	for _, c := range []struct {
		name   string
		change func(*model.Watch)
		want   bool
	}{
		{"exact, replays not counted", func(w *model.Watch) { w.Seen, w.NothingFollowed = model.Exact, true }, true},
		{"exact, two turns", func(w *model.Watch) { w.Seen, w.Ticks = model.Exact, 16 }, true},
		{"exact", func(w *model.Watch) { w.Seen = model.Exact }, false},
		{"rounded, replays not counted", func(w *model.Watch) { w.Seen, w.NothingFollowed = model.Rounded, true }, true},
		{"rounded, but the owner comes twice in a bucket", func(w *model.Watch) {
			w.Seen, w.NothingFollowed, w.Pause = model.Rounded, true, 4
		}, false},
		{"rounded", func(w *model.Watch) { w.Seen = model.Rounded }, false},
		{"settled, replays not counted", func(w *model.Watch) { w.Seen, w.NothingFollowed = model.Settled, true }, false},
		{"not seen, replays not counted", func(w *model.Watch) { w.Seen, w.NothingFollowed = model.Unseen, true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := game
			c.change(&w)
			got, scenes := w.CanFollow()
			t.Logf("%d situations", scenes)
			if got != c.want {
				t.Errorf("the thief can follow: got %t, want %t", got, c.want)
			}
		})
	}
}
