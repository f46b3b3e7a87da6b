package model

import "slices"

// Accounts bounds the search of a store that two users share: logins, uses,
// logouts and losses in any order.
type Accounts struct {
	Cap    int  // live sessions per user
	Losses int8 // hot states that the store may lose

	EvictRecent bool // without "the least recently used session ends"
	CapForAll   bool // without "a user's logins end that user's sessions only"
	AnyUser     bool // without "a session is named by its user too"
}

const (
	accountUsers    = 2
	accountSessions = 3 // that a user begins
)

// slot is one session of a user.
type slot struct {
	begun, over bool
	lost        bool  // its hot state
	used        uint8 // rank of its last use among all; the newest is the highest
}

// accounts are two users and what the store and the ledger have of them.
type accounts struct {
	slots  [accountUsers][accountSessions]slot
	losses int8
}

type accountSearch struct {
	Accounts
	explorer[accounts]
}

// SearchAccounts looks at every state of the store that can be reached.
func SearchAccounts(c Accounts) Result {
	s := &accountSearch{Accounts: c}
	return s.explore(accounts{losses: c.Losses}, 0, s.expand)
}

func (s *accountSearch) expand(a accounts) {
	for user := range accountUsers {
		for i := range accountSessions {
			switch session := a.slots[user][i]; {
			case !session.begun:
				if i == 0 || a.slots[user][i-1].begun {
					s.login(a, user, i)
				}
			default:
				s.use(a, user, i)
				s.lose(a, user, i)
				for by := range accountUsers {
					s.revoke(a, by, user, i)
				}
			}
		}
	}
}

// hot reports whether the store has a live session.
func (s slot) hot() bool { return s.begun && !s.over && !s.lost }

// touch makes a session the most recently used one.
func (a *accounts) touch(user, i int) {
	a.slots[user][i].used = 2 * accountUsers * accountSessions
	var ranks []uint8
	for _, slots := range a.slots {
		for _, session := range slots {
			ranks = append(ranks, session.used)
		}
	}
	slices.Sort(ranks)
	ranks = slices.Compact(ranks)
	for u := range a.slots {
		for k := range a.slots[u] {
			a.slots[u][k].used = uint8(slices.Index(ranks, a.slots[u][k].used))
		}
	}
}

// login begins a session and ends those beyond the cap.
func (s *accountSearch) login(before accounts, user, i int) {
	a := before
	a.slots[user][i] = slot{begun: true}
	a.touch(user, i)
	for s.count(a, user) > s.Cap {
		u, k := s.victim(a, user, i)
		a.slots[u][k].over = true
	}
	live := 0
	for k, session := range a.slots[user] {
		if session.hot() {
			live++
		}
		if k == i || !session.over || before.slots[user][k].over {
			continue
		}
		for other, kept := range a.slots[user] {
			if other != i && kept.hot() && kept.used < session.used {
				s.violation(signOut, "a login of user %d ends session %d, and session %d was used less recently", user, k, other)
				return
			}
		}
	}
	switch {
	case live > s.Cap:
		s.violation("more sessions than the cap", "user %d has %d", user, live)
	case a.slots[user][i].over:
		s.violation(signOut, "a login of user %d ends its own session", user)
	case s.touched(before, a, 1-user):
		s.violation("a session of somebody else ends", "a login of user %d ends one of user %d", user, 1-user)
	default:
		s.reach(a, "user %d begins session %d", user, i)
	}
}

// count is how many sessions a login of the user counts.
func (s *accountSearch) count(a accounts, user int) int {
	n := 0
	for u, slots := range a.slots {
		for _, session := range slots {
			if session.hot() && (u == user || s.CapForAll) {
				n++
			}
		}
	}
	return n
}

// victim is the session that a login ends.
func (s *accountSearch) victim(a accounts, user, begun int) (u, i int) {
	u, i = -1, -1
	for other, slots := range a.slots {
		for k, session := range slots {
			if !session.hot() || other == user && k == begun || other != user && !s.CapForAll {
				continue
			}
			if u < 0 || (session.used < a.slots[u][i].used) != s.EvictRecent {
				u, i = other, k
			}
		}
	}
	return u, i
}

// touched reports whether the sessions of a user that live differ, or their use.
func (s *accountSearch) touched(before, after accounts, user int) bool {
	for i, session := range before.slots[user] {
		if session.over != after.slots[user][i].over || session.lost != after.slots[user][i].lost {
			return true
		}
	}
	return false
}

// use is a refresh: it brings back what the store lost, and ends nothing.
func (s *accountSearch) use(a accounts, user, i int) {
	if a.slots[user][i].over {
		return // a tombstone, or the ledger, says so
	}
	a.slots[user][i].lost = false
	a.touch(user, i)
	s.reach(a, "user %d uses session %d", user, i)
}

func (s *accountSearch) lose(a accounts, user, i int) {
	if a.losses == 0 || !a.slots[user][i].hot() {
		return
	}
	a.losses--
	a.slots[user][i].lost = true
	s.reach(a, "the store loses session %d of user %d", i, user)
}

// revoke ends a session of a user in the name of another or the same.
func (s *accountSearch) revoke(before accounts, by, user, i int) {
	a := before
	if by == user || s.AnyUser {
		a.slots[user][i].over = true
	}
	if by != user && s.touched(before, a, user) {
		s.violation("a session of somebody else ends", "user %d ends session %d of user %d", by, i, user)
		return
	}
	s.reach(a, "user %d ends session %d of user %d", by, i, user)
}
