package throttletest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/internal/throttle"
)

// Property does things to a store in any order, at any time but never
// backwards, and compares every answer with a model that only counts.
func Property(t *testing.T, open Open) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t, open)
		m := &machine{fixture: f, levels: map[string]level{}, counts: map[throttle.Lane]history{}}
		for _, name := range []string{"a", "b"} {
			rate := throttle.Rate{Burst: rapid.IntRange(1, 4).Draw(rt, "burst"), Every: time.Duration(rapid.IntRange(10, 20).Draw(rt, "minutes")) * time.Minute}
			m.buckets = append(m.buckets, f.bucket(name, rate))
		}
		m.lanes = []throttle.Lane{f.unknown(), f.device("phone")}
		m.schedule = rapid.SampledFrom([]throttle.Schedule{defaults(), from(1, time.Minute), from(3, 30*day), from(2, time.Hour)}).Draw(rt, "schedule")
		rt.Repeat(map[string]func(*rapid.T){
			"spend": m.spend, "return": m.giveBack, "charge": m.charge, "charge again": m.charge, "uncharge": m.uncharge,
			"reset": m.reset, "clear": m.clear, "step": m.step,
		})
	})
}

// machine is a store and what it must say.
type machine struct {
	*fixture
	buckets  []throttle.Bucket
	lanes    []throttle.Lane
	schedule throttle.Schedule
	levels   map[string]level
	counts   map[throttle.Lane]history
}

// level is what a bucket lacked at a time, as the time in which it comes back.
type level struct {
	missing time.Duration
	at      time.Time
}

// history is the state of a lane, after the one before its last charge where
// that is known; nothing is a count of 0.
type history []count

type count struct {
	failures int
	at       time.Time
}

func (m *machine) level(b throttle.Bucket) time.Duration {
	l := m.levels[b.Key]
	return max(0, l.missing-m.clock.Now().Sub(l.at))
}

func (m *machine) some(t *rapid.T) []throttle.Bucket {
	return rapid.SampledFrom([][]throttle.Bucket{m.buckets, m.buckets[:1], m.buckets[1:]}).Draw(t, "buckets")
}

func (m *machine) spend(t *rapid.T) {
	buckets := m.some(t)
	want := time.Duration(0)
	for _, b := range buckets {
		held := time.Duration(b.Rate.Burst)*b.Rate.Every - m.level(b)
		want = max(want, b.Rate.Every-held)
	}
	got, err := m.store.Spend(m.ctx, buckets)
	if err != nil || got.RetryAfter != want {
		t.Fatalf("Spend of %v: got a wait of %s and error %v, want %s", buckets, got.RetryAfter, err, want)
	}
	if want > 0 {
		return
	}
	for _, b := range buckets {
		m.levels[b.Key] = level{missing: m.level(b) + b.Rate.Every, at: m.clock.Now()}
	}
}

func (m *machine) giveBack(t *rapid.T) {
	buckets := m.some(t)
	if err := m.store.Return(m.ctx, buckets); err != nil {
		t.Fatalf("Return: %v", err)
	}
	for _, b := range buckets {
		m.levels[b.Key] = level{missing: max(0, m.level(b)-b.Rate.Every), at: m.clock.Now()}
	}
}

func (m *machine) lane(t *rapid.T) throttle.Lane { return rapid.SampledFrom(m.lanes).Draw(t, "lane") }

func (m *machine) charge(t *rapid.T) {
	lane := m.lane(t)
	h := m.counts[lane]
	now := m.clock.Now()
	last, want := count{}, time.Duration(0)
	if len(h) > 0 {
		last = h[len(h)-1]
	}
	failures := last.failures
	for _, step := range m.schedule {
		if failures >= step.Failures {
			want = max(0, last.at.Add(step.Pause).Sub(now))
		}
	}
	for d := last.at.Add(day); failures > 0 && !d.After(now); d = d.Add(day) {
		failures /= 2
	}
	got, err := m.store.Charge(m.ctx, lane, m.schedule)
	if err != nil || got.RetryAfter != want {
		t.Fatalf("Charge after %v: got a wait of %s and error %v, want %s", h, got.RetryAfter, err, want)
	}
	if want == 0 {
		m.counts[lane] = history{last, {failures + 1, now}}
	}
}

func (m *machine) uncharge(t *rapid.T) {
	lane := m.lane(t)
	if err := m.store.Uncharge(m.ctx, lane, m.schedule); err != nil {
		t.Fatalf("Uncharge: %v", err)
	}
	h := m.counts[lane]
	switch len(h) {
	case 0:
		return
	case 1:
		h[0].failures--
	}
	if h = h[:1]; h[0].failures == 0 {
		h = nil
	}
	m.counts[lane] = h
}

func (m *machine) reset(t *rapid.T) {
	lane := m.lane(t)
	if err := m.store.Reset(m.ctx, lane); err != nil {
		t.Fatalf("Reset: %v", err)
	}
	delete(m.counts, lane)
}

func (m *machine) clear(t *rapid.T) {
	if err := m.store.Clear(m.ctx, m.account); err != nil {
		t.Fatalf("Clear: %v", err)
	}
	clear(m.counts)
}

func (m *machine) step(t *rapid.T) {
	m.clock.Step(rapid.SampledFrom([]time.Duration{
		ms, time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour, day - ms, day, 3 * day, 40 * day,
	}).Draw(t, "time"))
}
