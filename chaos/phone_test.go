package chaos_test

import (
	"time"
)

// phone is a BODY client with attempt ids that loses half of the answers, now
// and then for long.
func (k *client) phone(f *family) {
	for k.over.Err() == nil {
		s := f.joins(func() *session { return k.login(false, 0) })
		if s == nil {
			return
		}
		for !s.gone() && k.nap(pause(k.random, k.think)) {
			k.attempt(s)
		}
	}
}

// attempt repeats one refresh until its answer arrived.
func (k *client) attempt(s *session) {
	if s.intent == "" { // kept until its answer came, over any break
		s.intent = newAttempt()
	}
	for k.over.Err() == nil {
		sent := time.Now()
		a := s.send(k.random.IntN(2), s.jar(), s.intent)
		switch {
		case k.stopping.Err() == nil && k.random.IntN(2) == 0:
			k.count.swallowed.Add(1)
			s.note("  which is lost on its way")
			if k.random.IntN(40) == 0 { // a tunnel
				k.nap(k.grace + time.Duration(k.random.Int64N(int64(k.grace))))
			}
			k.nap(time.Duration(k.random.IntN(200)) * time.Millisecond)
			continue
		case a.verdict == granted:
			s.deliver(sent, a)
			s.intent = ""
			return
		case a.verdict == terminal:
			s.signedOut(a)
			return
		case a.verdict == refused:
			k.count.odd("refresh of %s: %s", k.name, a)
		}
		k.nap(time.Duration(100+k.random.IntN(300)) * time.Millisecond)
	}
}
