package revocation_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/revocation"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time               { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) set(sinceStart time.Duration) { c.offset.Store(int64(sinceStart)) }

func expect(t *testing.T, set *revocation.Set, step string, want bool, ids ...uuid.UUID) {
	t.Helper()
	for _, id := range ids {
		if got := set.Contains(id); got != want {
			t.Errorf("%s: Contains(%s): got %t, want %t", step, id, got, want)
		}
	}
}

func TestSet(t *testing.T) {
	set := revocation.NewSet((&clock{}).now)
	a, b, c := uuid.New(), uuid.New(), uuid.New()
	expect(t, set, "empty", false, a, b, c, uuid.Nil)
	set.Add(start, a, b)
	expect(t, set, "added", true, a, b)
	expect(t, set, "added", false, c, uuid.Nil)
	set.Add(start)
	set.Add(start, a, a)
	if got := set.Len(); got != 2 {
		t.Errorf("Len: got %d, want 2", got)
	}
}

// Ids that differ in one bit anywhere are different sessions.
func TestSetTellsNeighboursApart(t *testing.T) {
	set := revocation.NewSet((&clock{}).now)
	id := uuid.New()
	set.Add(start, id)
	for bit := range 128 {
		other := id
		other[bit/8] ^= 1 << (bit % 8)
		expect(t, set, "neighbour", false, other)
	}
}

func TestSweepKeepsTheWindow(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    time.Duration // of the revocation, since start
		sweep time.Duration
		want  bool
	}{
		{"at once", 0, 0, true},
		{"within the window", 0, revocation.Window - 1, true},
		{"at its end", 0, revocation.Window, true},
		{"after it", 0, revocation.Window + time.Second, false},
		{"heard of late", -time.Hour, time.Minute, true},
		{"heard of late, after the window", -time.Hour, time.Minute + time.Second, false},
		{"from a clock that is ahead", time.Hour, revocation.Window, true},
		{"from a clock that is ahead, after the window", time.Hour, revocation.Window + time.Second, false},
	} {
		clock := &clock{}
		set := revocation.NewSet(clock.now)
		id := uuid.New()
		set.Add(start.Add(c.at), id)
		clock.set(c.sweep)
		set.Sweep()
		expect(t, set, c.name, c.want, id)
		if got, want := set.Len() == 1, c.want; got != want {
			t.Errorf("%s: Len: got %d", c.name, set.Len())
		}
	}
}

func TestAddLeavesOldNewsOut(t *testing.T) {
	set := revocation.NewSet((&clock{}).now)
	within, beyond := uuid.New(), uuid.New()
	set.Add(start.Add(-revocation.Window), within)
	set.Add(start.Add(-revocation.Window-1), beyond)
	expect(t, set, "the window's edge", true, within)
	expect(t, set, "older", false, beyond)
}

func TestLaterTimeCounts(t *testing.T) {
	for _, order := range [][2]time.Duration{{-time.Hour, 0}, {0, -time.Hour}} {
		clock := &clock{}
		set := revocation.NewSet(clock.now)
		id := uuid.New()
		set.Add(start.Add(order[0]), id)
		set.Add(start.Add(order[1]), id)
		clock.set(30 * time.Minute)
		set.Sweep()
		expect(t, set, "listed twice", true, id)
	}
}

func TestSetConcurrently(t *testing.T) {
	clock := &clock{}
	set := revocation.NewSet(clock.now)
	old := make([]uuid.UUID, 500)
	for i := range old {
		old[i] = uuid.New()
	}
	set.Add(start, old...)
	clock.set(revocation.Window + time.Second)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				id := uuid.New()
				set.Add(clock.now(), id)
				if !set.Contains(id) {
					t.Error("an added id is not there")
					return
				}
				set.Contains(old[0])
			}
		})
	}
	for range 4 {
		group.Go(func() { set.Sweep() })
	}
	group.Wait()
	if got, want := set.Len(), 8*500; got != want {
		t.Errorf("Len: got %d, want %d", got, want)
	}
	expect(t, set, "swept", false, old...)
}

func TestContainsAllocatesNothing(t *testing.T) {
	set := revocation.NewSet((&clock{}).now)
	id := uuid.New()
	set.Add(start, id)
	if got := testing.AllocsPerRun(100, func() { set.Contains(id) }); got != 0 {
		t.Errorf("a look-up allocates %v times, want 0", got)
	}
}

func BenchmarkContains(b *testing.B) {
	for name, size := range map[string]int{"empty": 0, "100k": 100_000} {
		b.Run(name, func(b *testing.B) {
			set := revocation.NewSet((&clock{}).now)
			for range size {
				set.Add(start, uuid.New())
			}
			probes := make([]uuid.UUID, 1024)
			for i := range probes {
				probes[i] = uuid.New()
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					set.Contains(probes[i%len(probes)])
				}
			})
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	set := revocation.NewSet((&clock{}).now)
	for b.Loop() {
		set.Add(start, uuid.New())
	}
}

// What a burst of ends needs is bounded for each, and given back after it.
func TestMemoryOfABurst(t *testing.T) {
	const burst, each = 200_000, 50
	clock := &clock{}
	set := revocation.NewSet(clock.now)
	before := heap()
	for range burst {
		set.Add(start, uuid.New())
	}
	if got := heap() - before; got > burst*each {
		t.Errorf("got %d bytes for each of %d ended sessions, want %d at most", got/burst, burst, each)
	}
	clock.set(revocation.Window + time.Second)
	kept := uuid.New()
	set.Add(clock.now(), kept)
	set.Sweep()
	expect(t, set, "after the burst", true, kept)
	if got := heap() - before; got > burst {
		t.Errorf("got %d bytes after the burst, want it given back", got)
	}
	runtime.KeepAlive(set)
}

// heap is what is in use, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
