package throttle

import (
	"context"
	"iter"
	"math"
	"math/bits"
	"time"
)

// account is all lanes of one account. Most have no device, and none of those
// needs a map.
type account struct {
	unknown lane // its count is 0 where there is none
	devices map[string]lane
}

func (a *account) get(device string) (lane, bool) {
	if device == "" {
		return a.unknown, a.unknown.count > 0
	}
	l, known := a.devices[device]
	return l, known
}

func (a *account) put(device string, l lane) {
	switch {
	case device == "":
		a.unknown = l
	case a.devices == nil:
		a.devices = map[string]lane{device: l}
	default:
		a.devices[device] = l
	}
}

func (a *account) drop(device string) {
	if device == "" {
		a.unknown = lane{}
		return
	}
	delete(a.devices, device)
}

// size is how many lanes it has.
func (a *account) size() int {
	if a.unknown.count > 0 {
		return len(a.devices) + 1
	}
	return len(a.devices)
}

// lane is what is known of a lane after its last charge. Times are microseconds.
type lane struct {
	tally
	before tally // as it was before the last charge
	undo   bool  // whether before is known
	until  int64 // from when on it no longer matters
}

// tally is a count of failures, above zero, and the time of the last.
type tally struct {
	count int64
	last  int64
}

// after is the tally with one failure more, now.
func (t tally) after(now int64) tally {
	days := max(now-t.last, 0) / day.Microseconds()
	return tally{count: t.count>>min(days, 63) + 1, last: now}
}

// until is when the tally no longer matters: its pause is over and its count has
// halved to nothing.
func (t tally) until(schedule Schedule) int64 {
	halved := int64(bits.Len64(uint64(t.count))) * day.Microseconds()
	return t.last + max(halved, schedule.pause(t.count).Microseconds())
}

// wait is how long the pause after the last failure goes on; none if not above 0.
func (t tally) wait(now int64, schedule Schedule) int64 {
	return t.last + schedule.pause(t.count).Microseconds() - now
}

// find returns a lane. A last charge in the future comes from a time before the
// clock ran backwards: it counts as made now.
func (s *shard) find(name Lane, schedule Schedule, now int64) (lane, bool) {
	a := s.accounts[name.Account]
	if a == nil {
		return lane{}, false
	}
	l, known := a.get(name.Device)
	if known && l.last > now {
		l.last = now
		s.keep(name, l, schedule)
	}
	return l, known
}

func (s *shard) keep(name Lane, l lane, schedule Schedule) {
	a := s.accounts[name.Account]
	if a == nil {
		a = &account{}
		s.accounts[name.Account] = a
	}
	l.until = l.tally.until(schedule)
	s.lanes -= a.size()
	a.put(name.Device, l)
	s.lanes += a.size()
}

func (s *shard) forget(a *account, name Lane) {
	s.lanes -= a.size()
	a.drop(name.Device)
	s.lanes += a.size()
	if a.size() == 0 {
		delete(s.accounts, name.Account)
	}
}

// roomForLane makes room for one more lane. When too many live, those go that
// have the fewest failures of all whose pause is over: names that somebody makes
// up keep nobody out, and to have a lane of many failures forgotten takes as many
// failures at every other name. It fails where the pauses of all are running.
func (s *shard) roomForLane(now int64, schedule Schedule) error {
	if s.lanes >= s.limit {
		s.sweep(now, sweepAgain)
	}
	if s.lanes < s.limit {
		return nil
	}
	fewest := int64(math.MaxInt64)
	for _, l := range s.all() {
		if l.wait(now, schedule) <= 0 {
			fewest = min(fewest, l.count)
		}
	}
	for name, l := range s.all() {
		if l.count <= fewest && l.wait(now, schedule) <= 0 {
			s.forget(s.accounts[name.Account], name)
		}
	}
	if s.lanes >= s.limit {
		return ErrFull
	}
	return nil
}

// all goes through the lanes, each of which may be forgotten on the way.
func (s *shard) all() iter.Seq2[Lane, lane] {
	return func(yield func(Lane, lane) bool) {
		for name, a := range s.accounts {
			for device, l := range a.devices {
				if !yield(Lane{name, device}, l) {
					return
				}
			}
			if a.unknown.count > 0 && !yield(Lane{Account: name}, a.unknown) {
				return
			}
		}
	}
}

// hasRoom reports whether the account may have a lane of that name. It forgets
// devices that no longer matter, and no others.
func (s *shard) hasRoom(name Lane, now int64) bool {
	a := s.accounts[name.Account]
	if a == nil || name.Device == "" || len(a.devices) < MaxDevices {
		return true
	}
	for device, l := range a.devices {
		if l.until <= now {
			s.forget(a, Lane{name.Account, device})
		}
	}
	return len(a.devices) < MaxDevices
}

// Charge implements [Store].
func (m *Memory) Charge(ctx context.Context, name Lane, schedule Schedule) (Verdict, error) {
	if schedule.Off() {
		return Verdict{}, nil
	}
	if err := CheckCharge(name, schedule); err != nil {
		return Verdict{}, err
	}
	s, now, err := m.lock(ctx, name.Account)
	if err != nil {
		return Verdict{}, err
	}
	defer s.mu.Unlock()
	l, known := s.find(name, schedule, now)
	moved := !known && !s.hasRoom(name, now)
	if moved {
		name.Device = ""
		l, known = s.find(name, schedule, now)
	}
	if !known {
		if err := s.roomForLane(now, schedule); err != nil {
			return Verdict{}, err
		}
	} else if wait := l.wait(now, schedule); wait > 0 {
		return Verdict{RetryAfter: time.Duration(wait) * time.Microsecond}, nil
	}
	s.keep(name, lane{tally: l.after(now), before: l.tally, undo: true}, schedule)
	return Verdict{Unknown: moved}, nil
}

// Uncharge implements [Store].
func (m *Memory) Uncharge(ctx context.Context, name Lane, schedule Schedule) error {
	if schedule.Off() {
		return nil
	}
	if err := CheckCharge(name, schedule); err != nil {
		return err
	}
	s, now, err := m.lock(ctx, name.Account)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	l, known := s.find(name, schedule, now)
	switch {
	case !known:
		return nil
	case l.undo:
		l = lane{tally: l.before}
	default:
		l.count--
	}
	if l.count < 1 {
		s.forget(s.accounts[name.Account], name)
		return nil
	}
	s.keep(name, l, schedule)
	return nil
}

// Reset implements [Store].
func (m *Memory) Reset(ctx context.Context, name Lane) error {
	if err := CheckAccount(name.Account); err != nil {
		return err
	}
	s, _, err := m.lock(ctx, name.Account)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if a := s.accounts[name.Account]; a != nil {
		s.forget(a, name)
	}
	return nil
}

// Clear implements [Store].
func (m *Memory) Clear(ctx context.Context, name string) error {
	if err := CheckAccount(name); err != nil {
		return err
	}
	s, _, err := m.lock(ctx, name)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if a := s.accounts[name]; a != nil {
		s.lanes -= a.size()
		delete(s.accounts, name)
	}
	return nil
}
