package sessiontest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/internal/session"
)

// send begins a refresh in a tab of the owner.
func (m *machine) send(o *owner) {
	r := &request{Presented: present(o.session, o.jar, m.attempt(false)), sent: m.clock.Now()}
	if o.attempts {
		if o.intent == "" {
			o.intent = m.attempt(true)
		}
		r.Attempt = o.intent
	}
	if !m.honest && rapid.IntRange(0, 15).Draw(m.T, "network") == 0 {
		r.Network = "203.0.113.9"
	}
	o.requests = append(o.requests, r)
}

// process lets the store judge a request; its answer is on its way then.
func (m *machine) process(o *owner, r *request) {
	over := o.over
	v := m.refresh(r.Presented)
	r.done = true
	switch v.Outcome {
	case session.Rotated, session.Replayed, session.Retried:
		r.granted, r.carries = true, v.State.Generation
	case session.Unchanged:
		r.granted = true // the cookie stays as it is
	case session.Contended, session.Recovering, session.Expired:
	default:
		if m.honest && !over {
			m.Fatalf("honest client, generation %d by %s: got %q, want it never signed out", r.Generation, r.Attempt, v.Outcome)
		}
	}
}

// resend is the store's own client that repeats a command after a lost reply.
func (m *machine) resend(o *owner, r *request) {
	again := *r
	m.process(o, &again)
	m.process(o, r)
}

// deliver hands the answer to the tab and its cookie to the jar.
func (m *machine) deliver(o *owner, r *request) {
	o.drop(r)
	if r.carries != 0 {
		o.jar = r.carries
		o.owed = time.Time{}
	}
	if r.granted && o.intent == r.Attempt {
		o.intent = ""
	}
}

// lose drops the answer on its way.
func (m *machine) lose(o *owner, r *request) {
	o.drop(r)
	if r.carries > o.jar && o.owed.IsZero() {
		o.owed = r.sent
	}
}

func (o *owner) drop(r *request) {
	o.requests = slices.DeleteFunc(o.requests, func(other *request) bool { return other == r })
}

// step lets time pass. Honest owners have their requests answered within half
// the grace and ask again for a lost answer within that time.
func (m *machine) step(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{
		ms, time.Second, m.policy.Grace / 2, m.policy.Grace, m.policy.Grace + ms, time.Minute,
		m.policy.Retry, m.policy.Retry + ms, m.policy.Idle - ms, m.policy.Idle,
	}).Draw(t, "time")
	if m.honest {
		m.hurry(d)
	}
	m.clock.Step(d)
}

func (m *machine) hurry(d time.Duration) {
	then, half := m.clock.Now().Add(d), m.policy.Grace/2
	for _, o := range m.owners {
		for _, r := range slices.Clone(o.requests) {
			if then.Sub(r.sent) > half {
				m.finish(o, r)
			}
		}
		if !o.owed.IsZero() && then.Sub(o.owed) > half {
			m.send(o)
			m.finish(o, o.requests[len(o.requests)-1])
		}
	}
}

func (m *machine) finish(o *owner, r *request) {
	if !r.done {
		m.process(o, r)
	}
	m.deliver(o, r)
}

func (m *machine) stepBack(t *rapid.T) {
	m.clock.Step(-rapid.SampledFrom([]time.Duration{ms, time.Second, time.Minute, 2 * time.Hour}).Draw(t, "time"))
}

// steal copies the jar or a request of the owner.
func (m *machine) steal(o *owner) {
	o.stolen = &request{Presented: present(o.session, o.jar, "")}
	if len(o.requests) > 0 && rapid.Bool().Draw(m.T, "whole request") {
		o.stolen.Presented = o.requests[rapid.IntRange(0, len(o.requests)-1).Draw(m.T, "request")].Presented
	}
}

// abuse presents what the thief has.
func (m *machine) abuse(o *owner) {
	if o.stolen == nil {
		m.Skip("no thief")
	}
	p := o.stolen.Presented
	p.Network, p.IPAddress, p.UserAgent = "203.0.113.66", "203.0.113.66", "thief"
	switch rapid.IntRange(0, 2).Draw(m.T, "attempt") {
	case 0:
		p.Attempt = m.attempt(false)
	case 1:
		p.Attempt = m.attempt(true)
	default:
		if p.Attempt == "" {
			m.Skip("no attempt was stolen")
		}
	}
	if v := m.refresh(p); v.Outcome == session.Rotated || v.Outcome == session.Replayed || v.Outcome == session.Retried {
		o.stolen.Generation = v.State.Generation
	}
}

// otherToken presents a generation that nobody holds, or another secret.
func (m *machine) otherToken(o *owner) {
	by := m.attempt(rapid.Bool().Draw(m.T, "client"))
	if rapid.Bool().Draw(m.T, "used attempt") && o.session.Attempt != "" {
		by = m.oracle.sessions[o.session.ID].state.Attempt
	}
	p := present(o.session, rapid.Uint64Range(1, o.jar+3).Draw(m.T, "generation"), by)
	p.AccessOnly = rapid.Bool().Draw(m.T, "access only")
	if rapid.Bool().Draw(m.T, "another secret") {
		p.SecretHash[31] ^= 1
	}
	m.refresh(p)
}
