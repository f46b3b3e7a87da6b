package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// table prints what happened.
func (r *rig) table(p *plan, took time.Duration, start, end [2]size) {
	c := &r.count
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-58s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "chaos: seed %d, Redis %s, grace %s, %d honest clients, %s\n\n", p.seed, p.form, r.grace, p.crowd.size(), took.Round(time.Second))
	row("requests", "%d", c.requests.Load())
	row("refreshes answered with tokens", "%d", c.refreshes.Load())
	row("turns", "%d", c.turns.Load())
	row("logins", "%d", c.logins.Load())
	row("sessions ended on request", "%d", c.ends.Load())
	row("answers that clients lost on purpose", "%d", c.swallowed.Load())
	row("times Redis lost something", "%d", r.losses.seen()/2)
	row("faults, longest pause between the starts of two", "%d, %s", r.injected(), c.longest.Round(time.Millisecond))
	row("honest sign-outs (must be 0)", "%d", c.signOuts.Load())
	row("thieves not caught (must be 0)", "%d", c.free())
	row("revocations that came back (must be 0)", "%d", c.cameBack.Load())
	row("  revived by a loss for one answer, longest life", "%d, %s", c.revived.Load(), time.Duration(c.longestLife.Load()).Round(time.Millisecond))
	row("access tokens that outlived their session (must be 0)", "%d", c.outlived.Load())
	row("access tokens of living sessions refused (must be 0)", "%d", c.refusedLiving.Load())
	row("answers that mixed two users (must be 0)", "%d", c.mixed.Load())
	row("odd answers (must be 0)", "%d", c.oddities.Load())
	row("answers lost for longer than a client may, sign-outs then", "%d, %d", c.beyond.Load(), c.beyondOut.Load())
	total, endless, largest, err := r.keys()
	row("Redis keys, without TTL (must be 0)", "%d, %d", total, endless)
	row("largest user in Redis", "%d bytes", largest)
	if err != nil || endless > 0 {
		r.t.Errorf("Redis keys: got %d of %d without TTL (%v), want none", endless, total, err)
	}
	r.confess(row)
	for i := range r.nodes {
		row(fmt.Sprintf("server %d at start, at the end", i), "%s; %s", start[i], end[i])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&b, "\n%-58s %6s  %10s  %10s\n", "fault", "times", "no service", "one client")
	for _, kind := range slices.Sorted(slices.Values(c.order)) {
		e := c.faults[kind]
		fmt.Fprintf(&b, "%-58s %6d  %10s  %10s\n", kind, e.times, e.gap.Round(time.Millisecond), e.wait.Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "\n%-58s %6s  %10s  %10s  %10s\n", "thief", "came", "caught", "not caught", "unfinished")
	for _, kind := range slices.Sorted(maps.Keys(c.thieves)) {
		k := c.thieves[kind]
		fmt.Fprintf(&b, "%-58s %6d  %10d  %10d  %10d\n", kind, k.presented, k.caught, k.free, k.unfinished)
	}
	fmt.Fprintf(&b, "\n%-58s %10s\n", "client", "refreshes")
	for _, kind := range slices.Sorted(maps.Keys(c.clients)) {
		fmt.Fprintf(&b, "%-58s %10d\n", kind, c.clients[kind])
	}
	r.t.Log("\n" + b.String())
	for _, story := range c.stories {
		r.t.Log(story)
	}
}

// injected is the number of faults.
func (r *rig) injected() (n int) {
	r.count.mu.Lock()
	defer r.count.mu.Unlock()
	for _, e := range r.count.faults {
		n += e.times
	}
	return n
}

// verdict fails the test where the table does not show zeros, and a long run
// that did not have everything in it.
func (r *rig) verdict(p *plan) {
	c := &r.count
	for what, got := range map[string]int64{
		"honest sign-outs": c.signOuts.Load(), "thieves not caught": int64(c.free()),
		"revocations that came back": c.cameBack.Load(), "access tokens that outlived their session": c.outlived.Load(),
		"access tokens of living sessions that were refused": c.refusedLiving.Load(),
		"answers that mixed two users":                       c.mixed.Load(), "odd answers": c.oddities.Load(),
	} {
		if got != 0 {
			r.t.Errorf("%s: got %d, want 0", what, got)
		}
	}
	if !p.long {
		return
	}
	if limit := 10 * time.Second; c.longest > limit {
		r.t.Errorf("longest pause between the starts of two faults: got %s, want at most %s", c.longest, limit)
	}
	for _, f := range r.faults() {
		if e := c.faults[f.kind]; e == nil || e.times == 0 {
			r.t.Errorf("fault %q: never happened", f.kind)
		}
	}
	for _, kind := range robberies() {
		if k := c.thieves[kind.String()]; k == nil || k.presented == 0 {
			r.t.Errorf("thief %q: never came", kind)
		}
	}
	for _, kind := range p.crowd.kinds() {
		if c.clients[kind] == 0 {
			r.t.Errorf("client %q: never refreshed", kind)
		}
	}
}
