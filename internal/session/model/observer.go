package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pawlauth/pawl/internal/session"
)

// Seen is how the time of a session's last use is shown.
type Seen string

// The ways of showing it.
const (
	Exact   Seen = "exact"
	Rounded Seen = "rounded"  // down to a whole bucket, at once
	Settled Seen = "settled"  // as it was when the current bucket began, and rounded down
	Unseen  Seen = "not seen" // what the refreshes say is all there is to see
)

// Watch is a game. Once a tick the owner of a session without attempt ids may
// refresh, and then a thief, who has a copy of the first token and sees the last
// use, decides on what he saw alone. He wins when he is sure, whatever the owner
// does, to stay with the owner to the end: never a generation behind after the
// grace, never reported, in a session that lives.
type Watch struct {
	Grace  int64 // ticks
	Bucket int64 // ticks; a multiple of them divides the time that is shown
	Pause  int64 // the owner refreshes again after so many ticks at the earliest
	Ticks  int64 // length of the game
	Seen   Seen
	Rules  // what is switched off
}

// scene is what may be the case, as far as the thief knows.
type scene struct {
	hot    Hot
	jar    uint64 // of the owner, who gets each answer at once
	thief  uint64
	used   int64 // last use by the owner
	before int64 // last use before the bucket of the one after it
}

// watch knows what was found out about the thief's chances.
type watch struct {
	Watch
	known map[string]bool
}

// beginning is well after 0, which stands for never.
const beginning = 1000

// CanFollow reports whether the thief has a strategy, and how many situations
// were looked at.
func (w Watch) CanFollow() (can bool, situations int) {
	w.Idle = 1 << 40
	h := Hot{
		Generation: 2, TurnedAt: beginning - 2*w.Pause, LastUsedAt: beginning - 2*w.Pause, Grace: w.Grace,
		RotatedBy: theOwner.String(), IdleExpiresAt: 1 << 50, ExpiresAt: 1 << 50,
	}
	game := watch{Watch: w, known: make(map[string]bool)}
	can = game.holds(beginning, []scene{{hot: h, jar: 2, thief: 2, used: h.TurnedAt, before: h.TurnedAt}})
	return can, len(game.known)
}

// holds reports whether a thief who knows that one of the scenes is the case can
// be sure to stay with the owner from now on.
func (w *watch) holds(now int64, scenes []scene) bool {
	if now == beginning+w.Ticks {
		return true
	}
	key := fmt.Sprint(now, scenes)
	if holds, known := w.known[key]; known {
		return holds
	}
	views := make(map[string][]scene)
	for _, s := range scenes {
		w.look(views, now, s)
		if now-s.used >= w.Pause {
			w.look(views, now, w.ownerRefreshes(s, now))
		}
	}
	holds := true
	for _, view := range views {
		holds = holds && (w.acts(now, view, false, false) || w.acts(now, view, true, false) || w.acts(now, view, true, true))
	}
	w.known[key] = holds
	return holds
}

// look files a scene under what the thief sees of it.
func (w *watch) look(views map[string][]scene, now int64, s scene) {
	seen := ""
	switch bucket := func(t int64) int64 { return t / w.Bucket }; {
	case w.Seen == Exact:
		seen = fmt.Sprint(s.hot.LastUsedAt)
	case w.Seen == Rounded:
		seen = fmt.Sprint(bucket(s.hot.LastUsedAt))
	case w.Seen == Settled && bucket(s.used) < bucket(now):
		seen = fmt.Sprint(bucket(s.used))
	case w.Seen == Settled:
		seen = fmt.Sprint(bucket(s.before))
	}
	if !slices.Contains(views[seen], s) {
		views[seen] = append(views[seen], s)
	}
}

func (w *watch) ownerRefreshes(s scene, now int64) scene {
	_, s.hot = w.Judge(s.hot, Use{Generation: s.jar, Attempt: Mark(-2 * now), By: theOwner.String()}, now)
	s.jar = s.hot.Generation
	if s.used/w.Bucket < now/w.Bucket {
		s.before = s.used
	}
	s.used = now
	return s
}

// acts reports whether the thief holds on after he refreshed, or waited, in one
// of the scenes.
func (w *watch) acts(now int64, scenes []scene, refreshes, accessOnly bool) bool {
	answers := make(map[string][]scene)
	for _, s := range scenes {
		outcome := session.Outcome("")
		if refreshes {
			before := s.hot
			use := Use{Generation: s.thief, Attempt: Mark(-2*now - 1), AccessOnly: accessOnly, By: theThief.String()}
			outcome, s.hot = w.Judge(s.hot, use, now)
			if !Granted(outcome) || ReportsShared(before, s.hot) {
				return false
			}
			if !accessOnly {
				s.thief = s.hot.Generation
			}
		}
		if s.behind(w, now) {
			return false
		}
		answers[s.answer(outcome)] = append(answers[s.answer(outcome)], s)
	}
	for _, scenes := range answers {
		slices.SortFunc(scenes, func(a, b scene) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if !w.holds(now+1, scenes) {
			return false
		}
	}
	return true
}

// behind reports whether one of the two has lost the session to the other.
func (s scene) behind(w *watch, now int64) bool {
	oldest := min(s.jar, s.thief)
	return s.hot.Generation-oldest > 1 || s.hot.Generation > oldest && !w.inGrace(s.hot, s.hot.TurnedAt, now+1)
}

// answer is what the thief sees of an outcome: whether it turned and which token
// he has then.
func (s scene) answer(outcome session.Outcome) string {
	if outcome == session.AccessOnly {
		return string(session.AccessOnly)
	}
	return fmt.Sprint(outcome, s.thief)
}
