package sessiontest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

// effect is what an outcome does to the session.
type effect int

const (
	nothing effect = iota
	touches        // last use
	follows        // that, and one more generation that somebody else followed
	turns          // that, one generation more, and the hold when a client's attempt came
	ends           // a tombstone
)

// rotateCase presents one token to a session at generation 5 that serverA
// turned just before age began.
type rotateCase struct {
	name    string
	given   func(*session.State)  // the session, where it differs
	policy  func(*session.Policy) // the policy, where it differs
	age     time.Duration         // from the turn to the presentation
	present uint64                // generation
	by      session.Attempt
	with    func(*session.Presented) // the rest of what is presented
	want    session.Outcome
	effect  effect
	shared  bool
}

// run plays the case and compares what the store says and what it keeps.
func (c rotateCase) run(t *testing.T, open Open) {
	f := newFixture(t, open)
	s := f.turned()
	if c.given != nil {
		c.given(&s)
	}
	if c.policy != nil {
		c.policy(&f.policy)
	}
	f.create(s)
	f.clock.Step(c.age)
	p := present(s, c.present, c.by)
	if c.with != nil {
		c.with(&p)
	}
	v := f.expect(p, c.want)
	if v.Shared != c.shared {
		t.Errorf("shared: got %t, want %t", v.Shared, c.shared)
	}
	want := f.after(s, p, c.effect)
	if c.effect == ends {
		if v.State.ID != s.ID || v.State.UserID != s.UserID || !v.State.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("state of the session that ended: got %s of %s until %s, want %s of %s until %s",
				v.State.ID, v.State.UserID, v.State.ExpiresAt, s.ID, s.UserID, s.ExpiresAt)
		}
		f.wantEnded(s, reasonOf(c.want))
		return
	}
	wantState(t, "state in the verdict", v.State, want)
	f.clock.Step(-c.age) // what expired is not listed, but it is kept
	f.wantStored(want)
}

func reasonOf(o session.Outcome) session.Reason {
	reason, _ := o.Ends()
	return reason
}

// after is the session after an effect that happens now.
func (f *fixture) after(s session.State, p session.Presented, e effect) session.State {
	now := f.clock.Now()
	if e == turns {
		s.Generation, s.TurnedAt, s.Attempt = s.Generation+1, now, p.Attempt
		s.Turn(now, p.IPAddress, p.UserAgent)
		s.RotatedBy = ""
		if !p.Attempt.FromClient() {
			s.RotatedBy = p.Mark()
		}
		s.Held = s.Held || p.Attempt.FromClient()
		s.IdleExpiresAt = now.Add(f.policy.Idle)
		if s.ExpiresAt.Before(s.IdleExpiresAt) {
			s.IdleExpiresAt = s.ExpiresAt
		}
	}
	if e == follows {
		s.Followed, s.Follows = s.Generation, s.Follows+1
	}
	if e == turns || e == touches || e == follows {
		s.Use(now)
	}
	return s
}

// Changes that cases share.
func held(s *session.State)        { s.Held = true }
func byClientA(s *session.State)   { s.Attempt, s.Held = clientA, true }
func unknownTurn(s *session.State) { s.TurnedAt, s.Attempt = time.Time{}, "" }
func bound(s *session.State)       { s.Binding = here }
func noGrace(s *session.State)     { s.Grace = 0 }
func noRetry(s *session.State)     { s.Retry = 0 }
func shortRetry(s *session.State)  { s.Retry = 3 * time.Second }
func strict(p *session.Policy)     { p.RequireAttempt = true }
func endShared(p *session.Policy)  { p.EndShared = true }

func elsewhere(p *session.Presented)   { p.Network = "203.0.113.9" }
func nowhere(p *session.Presented)     { p.Network = "" }
func otherAgent(p *session.Presented)  { p.UserAgent = "agent/2" }
func accessOnly(p *session.Presented)  { p.AccessOnly = true }
func wrongSecret(p *session.Presented) { p.SecretHash[0] ^= 1 }

// followed is a session of which somebody else replayed so many generations in a
// row, up to the one before this.
func followed(times uint64) func(*session.State) {
	return func(s *session.State) { s.Followed, s.Follows = s.Generation-1, times }
}

func both(changes ...func(*session.Presented)) func(*session.Presented) {
	return func(p *session.Presented) {
		for _, change := range changes {
			change(p)
		}
	}
}

func idleIn(d time.Duration) func(*session.State) {
	return func(s *session.State) { s.IdleExpiresAt = s.TurnedAt.Add(d) }
}

func expiresIn(d time.Duration) func(*session.State) {
	return func(s *session.State) {
		s.ExpiresAt = s.TurnedAt.Add(d)
		s.IdleExpiresAt = s.ExpiresAt
	}
}

func all(changes ...func(*session.State)) func(*session.State) {
	return func(s *session.State) {
		for _, change := range changes {
			change(s)
		}
	}
}

func testRotate(t *testing.T, open Open) {
	const grace, retry, idle = 10 * time.Second, 30 * time.Minute, time.Hour
	for _, c := range []rotateCase{
		// rule 10: the current generation
		{name: "current after the grace turns", age: grace + ms, present: 5, by: serverB, want: session.Rotated, effect: turns},
		{name: "current exactly at the grace is unchanged", age: grace, present: 5, by: serverB, want: session.Unchanged, effect: touches},
		{name: "current at once is unchanged", present: 5, by: serverB, want: session.Unchanged, effect: touches},
		{name: "current with the attempt of the turn is unchanged", age: ms, present: 5, by: serverA, want: session.Unchanged, effect: touches},
		{name: "unchanged with a client attempt holds nothing", age: ms, present: 5, by: clientA, want: session.Unchanged, effect: touches},
		{name: "a turn with a client attempt holds", age: grace + ms, present: 5, by: clientA, want: session.Rotated, effect: turns},
		{name: "a held session turns with a client attempt", given: held, age: grace + ms, present: 5, by: clientA, want: session.Rotated, effect: turns},
		{name: "grace 0 turns within the same millisecond", given: noGrace, present: 5, by: serverB, want: session.Rotated, effect: turns},
		{name: "an unknown turn is long ago", given: unknownTurn, present: 5, by: serverB, want: session.Rotated, effect: turns},
		{name: "a turn slides idle expiry no further than absolute expiry", given: expiresIn(40 * time.Minute), age: 30 * time.Minute, present: 5, by: serverB, want: session.Rotated, effect: turns},
		{name: "one millisecond before absolute expiry still turns", given: expiresIn(time.Minute), age: time.Minute - ms, present: 5, by: serverB, want: session.Rotated, effect: turns},

		// rule 9: the previous generation, turned without client attempt
		{name: "previous at once is replayed", present: 4, by: serverB, want: session.Replayed, effect: touches},
		{name: "previous exactly at the grace is replayed", age: grace, present: 4, by: serverB, want: session.Replayed, effect: touches},
		{name: "previous with a client attempt is replayed and holds nothing", age: ms, present: 4, by: clientB, want: session.Replayed, effect: touches},
		{name: "previous a millisecond after the grace is reuse", age: grace + ms, present: 4, by: serverB, want: session.Reuse, effect: ends},
		{name: "previous with a client attempt after the grace is reuse", age: grace + ms, present: 4, by: clientB, want: session.Reuse, effect: ends},
		{name: "grace 0 replays nothing within the same millisecond", given: noGrace, present: 4, by: serverB, want: session.Reuse, effect: ends},
		{name: "previous of an unknown turn is reuse", given: unknownTurn, present: 4, by: serverB, want: session.Reuse, effect: ends},

		// rule 9: the request that turned, once more
		{name: "the server's attempt again is retried", present: 4, by: serverA, want: session.Retried, effect: touches},
		{name: "the server's attempt again at any age", age: idle - ms, present: 4, by: serverA, want: session.Retried, effect: touches},
		{name: "the server's attempt again after the retry window", given: shortRetry, age: idle - ms, present: 4, by: serverA, want: session.Retried, effect: touches},
		{name: "the server's attempt again without windows", given: all(noGrace, noRetry), present: 4, by: serverA, want: session.Retried, effect: touches},
		{name: "the server's attempt again without windows, later", given: all(noGrace, noRetry), age: idle - ms, present: 4, by: serverA, want: session.Retried, effect: touches},

		// rule 9: turned by a client's attempt
		{name: "the client's attempt again is retried", given: byClientA, present: 4, by: clientA, want: session.Retried, effect: touches},
		{name: "the client's attempt again exactly at the retry window", given: byClientA, age: retry, present: 4, by: clientA, want: session.Retried, effect: touches},
		{name: "the client's attempt a millisecond after the retry window is reuse", given: byClientA, age: retry + ms, present: 4, by: clientA, want: session.Reuse, effect: ends},
		{name: "the client's attempt within the grace, without a retry window", given: all(byClientA, noRetry), age: grace, present: 4, by: clientA, want: session.Retried, effect: touches},
		{name: "the client's attempt after the grace, without a retry window, is reuse", given: all(byClientA, noRetry), age: grace + ms, present: 4, by: clientA, want: session.Reuse, effect: ends},
		{name: "the grace counts where the retry window is shorter", given: all(byClientA, shortRetry), age: grace, present: 4, by: clientA, want: session.Retried, effect: touches},
		{name: "after both windows the client's attempt is reuse", given: all(byClientA, shortRetry), age: grace + ms, present: 4, by: clientA, want: session.Reuse, effect: ends},
		{name: "the client's attempt within the retry window, grace 0", given: all(byClientA, noGrace), age: retry, present: 4, by: clientA, want: session.Retried, effect: touches},
		{name: "the client's attempt without windows is reuse", given: all(byClientA, noGrace, noRetry), age: ms, present: 4, by: clientA, want: session.Reuse, effect: ends},
		{name: "another client attempt at once is contended", given: byClientA, present: 4, by: clientB, want: session.Contended},
		{name: "another client attempt exactly at the grace is contended", given: byClientA, age: grace, present: 4, by: clientB, want: session.Contended},
		{name: "another client attempt after the grace is reuse", given: byClientA, age: grace + ms, present: 4, by: clientB, want: session.Reuse, effect: ends},
		{name: "another client attempt within the same millisecond, grace 0, is reuse", given: all(byClientA, noGrace), present: 4, by: clientB, want: session.Reuse, effect: ends},
		{name: "contended without hold too", given: func(s *session.State) { s.Attempt = clientA }, age: ms, present: 4, by: serverB, want: session.Contended},

		// rules 1 to 8
		{name: "another secret is forged", present: 5, by: serverB, with: wrongSecret, want: session.Forged},
		{name: "one generation ahead", present: 6, by: serverB, want: session.Ahead},
		{name: "far ahead", present: 1 << 50, by: serverB, want: session.Ahead},
		{name: "two behind is reuse", present: 3, by: serverB, want: session.Reuse, effect: ends},
		{name: "two behind with the attempt of the turn is reuse", present: 3, by: serverA, want: session.Reuse, effect: ends},
		{name: "far behind is reuse", age: retry, present: 1, by: clientB, want: session.Reuse, effect: ends},
		{name: "another network ends a bound session", given: bound, present: 5, by: serverB, with: elsewhere, want: session.BindingMiss, effect: ends},
		{name: "the same network is fine", given: bound, present: 5, by: serverB, want: session.Unchanged, effect: touches},
		{name: "a network that is not known ends a bound session", given: bound, present: 5, by: serverB, with: nowhere, want: session.BindingMiss, effect: ends},
		{name: "a session that is not bound skips the check", present: 5, by: serverB, with: elsewhere, want: session.Unchanged, effect: touches},
		{name: "held: current without client attempt", given: held, age: grace + ms, present: 5, by: serverB, want: session.AttemptRequired},
		{name: "held: current within the grace without client attempt", given: held, present: 5, by: serverB, want: session.AttemptRequired},
		{name: "held: previous within the grace without client attempt", given: held, present: 4, by: serverB, want: session.AttemptRequired},

		// the grace is the session's own
		{name: "a longer grace of the session's own", given: func(s *session.State) { s.Grace = 30 * time.Second }, age: 30 * time.Second, present: 4, by: serverB, want: session.Replayed, effect: touches},
		{name: "a shorter grace of the session's own", given: func(s *session.State) { s.Grace = 2 * time.Second }, age: 2*time.Second + ms, present: 4, by: serverB, want: session.Reuse, effect: ends},
		{name: "no grace of the session's own", given: noGrace, age: ms, present: 5, by: serverB, want: session.Rotated, effect: turns},

		{name: "a longer retry window of the session's own", given: all(byClientA, func(s *session.State) { s.Retry = 50 * time.Minute }), age: 50 * time.Minute, present: 4, by: clientA, want: session.Retried, effect: touches},
		{name: "a shorter retry window of the session's own", given: all(byClientA, func(s *session.State) { s.Retry = time.Minute }), age: time.Minute + ms, present: 4, by: clientA, want: session.Reuse, effect: ends},

		// a policy that requires attempt ids
		{name: "required: current without client attempt", policy: strict, age: grace + ms, present: 5, by: serverB, want: session.AttemptRequired},
		{name: "required: previous within the grace without client attempt", policy: strict, present: 4, by: serverB, want: session.AttemptRequired},
		{name: "required: older without client attempt is reuse", policy: strict, present: 3, by: serverB, want: session.Reuse, effect: ends},
		{name: "required: current with a client attempt turns", policy: strict, age: grace + ms, present: 5, by: clientB, want: session.Rotated, effect: turns},

		// one attempt id, one turn
		{name: "the client's attempt of the turn within the grace is unchanged", given: byClientA, age: grace, present: 5, by: clientA, want: session.Unchanged, effect: touches},
		{name: "the client's attempt of the turn after the grace was used", given: byClientA, age: grace + ms, present: 5, by: clientA, want: session.AttemptUsed},
		{name: "the client's attempt of the turn, grace 0, was used", given: all(byClientA, noGrace), present: 5, by: clientA, want: session.AttemptUsed},
		{name: "another client attempt turns", given: byClientA, age: grace + ms, present: 5, by: clientB, want: session.Rotated, effect: turns},

		// an access token and nothing else
		{name: "access only: current within the grace", present: 5, by: serverB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: current after the grace", age: grace + ms, present: 5, by: serverB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: current with a client attempt", age: grace + ms, present: 5, by: clientB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: current with a used attempt", given: byClientA, age: grace + ms, present: 5, by: clientA, with: accessOnly, want: session.AccessOnly},
		{name: "access only: current, held", given: held, age: grace + ms, present: 5, by: serverB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: attempt ids required", policy: strict, age: grace + ms, present: 5, by: serverB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: previous within the grace", age: grace, present: 4, by: serverB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: previous within the grace, turned by a client's attempt", given: byClientA, age: grace, present: 4, by: serverB, with: accessOnly, want: session.AccessOnly},
		{name: "access only: previous within the grace from elsewhere follows nobody", given: followed(2), age: ms, present: 4, by: serverB, with: both(accessOnly, elsewhere), want: session.AccessOnly},
		{name: "access only: previous after the grace is reuse", age: grace + ms, present: 4, by: serverB, with: accessOnly, want: session.Reuse, effect: ends},
		{name: "access only: previous after the grace, turned by a client's attempt, is contended", given: byClientA, age: retry, present: 4, by: serverB, with: accessOnly, want: session.Contended},
		{name: "access only: previous after the grace with that attempt", given: byClientA, age: retry, present: 4, by: clientA, with: accessOnly, want: session.AccessOnly},
		{name: "access only: previous after the retry window is reuse", given: byClientA, age: retry + ms, present: 4, by: serverB, with: accessOnly, want: session.Reuse, effect: ends},
		{name: "access only: older is reuse", present: 3, by: serverB, with: accessOnly, want: session.Reuse, effect: ends},
		{name: "access only: ahead", present: 6, by: serverB, with: accessOnly, want: session.Ahead},
		{name: "access only: another secret is forged", present: 5, by: serverB, with: both(accessOnly, wrongSecret), want: session.Forged},
		{name: "access only: another network ends a bound session", given: bound, present: 5, by: serverB, with: both(accessOnly, elsewhere), want: session.BindingMiss, effect: ends},
		{name: "access only: idle expiry reached", age: idle, present: 5, by: serverB, with: accessOnly, want: session.Expired},
		{name: "access only: absolute expiry reached", given: expiresIn(time.Minute), age: time.Minute, present: 5, by: serverB, with: accessOnly, want: session.Expired},

		// rule 12: two presenters
		{name: "a replay from another network is counted", age: ms, present: 4, by: serverB, with: elsewhere, want: session.Replayed, effect: follows},
		{name: "a replay by another agent is counted", age: ms, present: 4, by: serverB, with: otherAgent, want: session.Replayed, effect: follows},
		{name: "a second in a row is counted", given: followed(1), age: ms, present: 4, by: serverB, with: elsewhere, want: session.Replayed, effect: follows},
		{name: "a third in a row is shared", given: followed(2), age: ms, present: 4, by: serverB, with: elsewhere, want: session.Replayed, effect: follows, shared: true},
		{name: "a fourth in a row is shared", given: followed(3), age: ms, present: 4, by: serverB, with: otherAgent, want: session.Replayed, effect: follows, shared: true},
		{name: "the same presenter is not counted", given: followed(2), age: ms, present: 4, by: serverB, want: session.Replayed, effect: touches},
		{name: "a shared session ends where the policy says so", given: followed(2), policy: endShared, age: ms, present: 4, by: serverB, with: elsewhere, want: session.Shared, effect: ends, shared: true},
		{name: "a second in a row ends nothing", given: followed(1), policy: endShared, age: ms, present: 4, by: serverB, with: elsewhere, want: session.Replayed, effect: follows},
		{name: "a turn by nobody known is not counted", given: all(followed(2), func(s *session.State) { s.RotatedBy = "" }), age: ms, present: 4, by: serverB, with: elsewhere, want: session.Replayed, effect: touches},
		{name: "a retry from elsewhere is not counted", given: all(byClientA, followed(2)), age: ms, present: 4, by: clientA, with: elsewhere, want: session.Retried, effect: touches},
		{name: "shared but idle is expired", given: all(followed(2), idleIn(5*time.Second)), age: 5 * time.Second, present: 4, by: serverB, with: elsewhere, want: session.Expired},

		// rules 3 and 11
		{name: "absolute expiry reached", given: expiresIn(time.Minute), age: time.Minute, present: 5, by: serverB, want: session.Expired},
		{name: "past absolute expiry", given: expiresIn(time.Minute), age: 2 * time.Minute, present: 5, by: serverB, want: session.Expired},
		{name: "idle expiry reached", age: idle, present: 5, by: serverB, want: session.Expired},
		{name: "a millisecond before idle expiry turns", age: idle - ms, present: 5, by: serverB, want: session.Rotated, effect: turns},
		{name: "idle expiry reached by the attempt of the turn", age: idle, present: 4, by: serverA, want: session.Expired},
		{name: "idle expiry reached within the grace", given: idleIn(5 * time.Second), age: 5 * time.Second, present: 5, by: clientA, want: session.Expired},
		{name: "idle expiry reached by the previous within the grace", given: idleIn(5 * time.Second), age: 5 * time.Second, present: 4, by: serverB, want: session.Expired},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
	t.Run("generation 1 turns at once", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		s.TurnedAt = f.clock.Now()
		f.create(s)
		p := present(s, 1, serverA)
		v := f.expect(p, session.Rotated)
		wantState(t, "state in the verdict", v.State, f.after(s, p, turns))
	})
	t.Run("a session that nobody created is missing", func(t *testing.T) {
		f := newFixture(t, open)
		f.create(f.state())
		s := f.state()
		v := f.expect(present(s, 1, serverA), session.Missing)
		if v.State != (session.State{}) || v.Reason != "" {
			t.Errorf("verdict: got %+v, want nothing but the outcome", v)
		}
	})
	t.Run("another user's session is missing", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		p := present(s, 1, serverA)
		p.UserID = uuid.New()
		f.expect(p, session.Missing)
		f.wantStored(s)
	})
}

// testOrder presents tokens to which two rules apply: the earlier one decides.
func testOrder(t *testing.T, open Open) {
	const grace, idle = 10 * time.Second, time.Hour
	soon := expiresIn(time.Minute)
	for _, c := range []rotateCase{
		{name: "3 before 4: expired and another secret", given: soon, age: time.Minute, present: 5, by: serverB, with: wrongSecret, want: session.Expired},
		{name: "3 before 5: expired and ahead", given: soon, age: time.Minute, present: 9, by: serverB, want: session.Expired},
		{name: "3 before 6: expired and stale", given: soon, age: time.Minute, present: 2, by: serverB, want: session.Expired},
		{name: "3 before 7: expired and another network", given: all(soon, bound), age: time.Minute, present: 5, by: serverB, with: elsewhere, want: session.Expired},
		{name: "3 before 8: expired and held", given: all(soon, held), age: time.Minute, present: 5, by: serverB, want: session.Expired},
		{name: "3 before 9: expired and spent", given: soon, age: time.Minute, present: 4, by: serverB, want: session.Expired},
		{name: "4 before 5: another secret and ahead", present: 9, by: serverB, with: wrongSecret, want: session.Forged},
		{name: "4 before 6: another secret and stale", present: 2, by: serverB, with: wrongSecret, want: session.Forged},
		{name: "4 before 7: another secret and another network", given: bound, present: 5, by: serverB,
			with: both(wrongSecret, elsewhere), want: session.Forged},
		{name: "4 before 8: another secret and held", given: held, present: 5, by: serverB, with: wrongSecret, want: session.Forged},
		{name: "4 before 9: another secret and spent", age: grace + ms, present: 4, by: serverB, with: wrongSecret, want: session.Forged},
		{name: "4 before 11: another secret and idle", age: idle, present: 5, by: serverB, with: wrongSecret, want: session.Forged},
		{name: "5 before 7: ahead and another network", given: bound, present: 6, by: serverB, with: elsewhere, want: session.Ahead},
		{name: "5 before 8: ahead and held", given: held, present: 6, by: serverB, want: session.Ahead},
		{name: "5 before 11: ahead and idle", age: idle, present: 6, by: serverB, want: session.Ahead},
		{name: "6 before 7: stale and another network", given: bound, present: 3, by: serverB, with: elsewhere, want: session.Reuse, effect: ends},
		{name: "6 before 8: stale and held", given: held, present: 3, by: serverB, want: session.Reuse, effect: ends},
		{name: "6 before 11: stale and idle", age: idle, present: 3, by: serverB, want: session.Reuse, effect: ends},
		{name: "7 before 8: another network and held", given: all(bound, held), present: 5, by: serverB, with: elsewhere, want: session.BindingMiss, effect: ends},
		{name: "7 before 9: another network and previous within the grace", given: bound, present: 4, by: serverB, with: elsewhere, want: session.BindingMiss, effect: ends},
		{name: "7 before 9: another network and spent", given: bound, age: grace + ms, present: 4, by: serverB, with: elsewhere, want: session.BindingMiss, effect: ends},
		{name: "7 before 10: another network and current", given: bound, age: grace + ms, present: 5, by: serverB, with: elsewhere, want: session.BindingMiss, effect: ends},
		{name: "7 before 11: another network and idle", given: bound, age: idle, present: 5, by: serverB, with: elsewhere, want: session.BindingMiss, effect: ends},
		{name: "9 before 8: held and spent", given: held, age: grace + ms, present: 4, by: serverB, want: session.Reuse, effect: ends},
		{name: "9 before 8: required and spent", policy: strict, age: grace + ms, present: 4, by: serverB, want: session.Reuse, effect: ends},
		{name: "8 before 9: held and the server's attempt of the turn", given: held, present: 4, by: serverA, want: session.AttemptRequired},
		{name: "8 before 11: held and idle", given: held, age: idle, present: 5, by: serverB, want: session.AttemptRequired},
		{name: "9 before 11: spent and idle", age: idle, present: 4, by: serverB, want: session.Reuse, effect: ends},
		{name: "9 before 11: contended and idle", given: all(byClientA, idleIn(5*time.Second)), age: 6 * time.Second, present: 4, by: clientB, want: session.Contended},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
	t.Run("2 before 3: ended and expired", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.revoke(s, session.ReasonLogout)
		f.clock.Step(f.policy.Absolute)
		if v := f.rotate(present(s, 5, serverB)); v.Outcome != session.Tombstone && v.Outcome != session.Missing {
			t.Errorf("Rotate: got %q, want tombstone (or missing, once forgotten)", v.Outcome)
		}
	})
	for name, with := range map[string]func(*session.Presented){
		"2 before 4: ended and another secret": wrongSecret,
		"2 before 5: ended and ahead":          func(p *session.Presented) { p.Generation = 9 },
		"2 before 6: ended and stale":          func(p *session.Presented) { p.Generation = 1 },
		"2 before 7: ended and elsewhere":      elsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, open)
			s := f.turned()
			bound(&s)
			f.create(s)
			f.revoke(s, session.ReasonRole)
			p := present(s, 5, serverB)
			with(&p)
			if v := f.expect(p, session.Tombstone); v.Reason != session.ReasonRole {
				t.Errorf("reason: got %q, want %q", v.Reason, session.ReasonRole)
			}
		})
	}
}
