package chaos_test

import (
	"sync"
	"time"
)

// family are the sessions of one user.
type family struct {
	doors   sync.RWMutex // nobody comes in while all are sent away
	mu      sync.Mutex
	members map[string]*session
}

// joins signs a member in.
func (f *family) joins(login func() *session) *session {
	if f == nil {
		return login()
	}
	f.doors.RLock()
	defer f.doors.RUnlock()
	s := login()
	if s == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == nil {
		f.members = map[string]*session{}
	}
	f.members[s.who] = s
	return s
}

// others are the sessions that nobody has ended yet.
func (f *family) others() (all []*session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.members {
		if !s.isDoomed() && !s.gone() {
			all = append(all, s)
		}
	}
	return all
}

// head is the client that ends the sessions of the others.
func (k *client) head(f *family) {
	for k.over.Err() == nil {
		s := k.login(false, 0)
		for s != nil && !s.gone() && k.nap(pause(k.random, k.think)) {
			k.attempt(s)
			if k.random.IntN(6) > 0 {
				continue
			}
			f.doors.Lock()
			if others := f.others(); len(others) > 0 {
				k.revoke(s, others)
			}
			f.doors.Unlock()
		}
		if s == nil {
			return
		}
	}
}

// revoke ends one of the sessions, or all, and repeats that until it is
// acknowledged.
func (k *client) revoke(s *session, others []*session) {
	query, input := revokeAllQuery, map[string]any{}
	if k.random.IntN(4) > 0 {
		others = others[:1]
		query, input = revokeQuery, map[string]any{"sessionId": others[0].id}
	}
	for _, other := range others {
		other.doom()
	}
	for k.over.Err() == nil {
		s.mu.Lock()
		access := s.access
		s.mu.Unlock()
		a := k.post(k.random.IntN(2), query, input, "Authorization", "Bearer "+access)
		switch a.verdict {
		case granted:
			k.count.ends.Add(1)
			for _, other := range others {
				k.bury(other)
			}
			return
		case terminal, refused:
			k.count.odd("%s of %s: %s", query[:30], k.name, a)
		}
		k.nap(200 * time.Millisecond)
	}
}
