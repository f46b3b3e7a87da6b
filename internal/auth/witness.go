package auth

import (
	"context"
	"strings"
	"time"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/session"
)

// feedLook is the time between two looks whether the feed is stale.
const feedLook = time.Second

// event is an event of the caller's, yet without a name.
func (c Caller) event() audit.Event {
	return audit.Event{Address: c.ipAddress(), UserAgent: c.UserAgent}
}

// tell records an event of the caller's.
func (s *Service) tell(c Caller, e audit.Event) {
	e.Address, e.UserAgent = c.ipAddress(), c.UserAgent
	s.Audit.Record(e)
}

// refusedAttempt records an attempt that the gates refused, and returns why.
func (s *Service) refusedAttempt(c Caller, a *attempt, err error) error {
	s.witnessLogin(c, a, nil, err)
	return err
}

// witnessLogin records what became of a password that somebody gave. The account
// is named by its keyed hash: people type passwords where emails belong. Why a
// password was refused is in the log alone, so that nobody who may read events
// learns which emails exist.
func (s *Service) witnessLogin(c Caller, a *attempt, payload *LoginPayload, err error) {
	e := audit.Event{Details: map[string]string{"account": a.account}}
	switch loginOutcome(err) {
	case LoginSucceeded:
		e.Name, e.UserID, e.SessionID, e.Details = audit.LoginSucceeded, payload.User.ID, payload.Session.ID, nil
		s.tell(c, e)
		e.Name, e.Details = audit.SessionCreated, map[string]string{"delivery": payload.Session.Delivery.String()}
	case LoginInvalid:
		s.Log.Info("login refused", "reason", strings.TrimPrefix(err.Error(), errCredentials.Error()+": "),
			"account", a.account, "address", c.ipAddress())
		e.Name = audit.LoginFailed
	case LoginThrottled:
		e.Name = audit.LoginThrottled
	case LoginOverloaded:
		e.Name = audit.LoginOverloaded
	default:
		return // told of as a store that does not answer, or as a fault
	}
	s.tell(c, e)
}

// witnessRefresh records the outcomes of a refresh that somebody may ask about.
func (s *Service) witnessRefresh(c Caller, tok session.Token, outcome session.Outcome) {
	e := audit.Event{UserID: tok.UserID, SessionID: tok.SessionID}
	switch outcome {
	case session.Recovered:
		e.Name = audit.SessionRecovered
	case session.Expired:
		e.Name = audit.SessionExpired
	case session.Forged:
		e.Name = audit.SessionTokenForged
	default:
		return
	}
	s.tell(c, e)
}

// watchFeed records when the revocation feed goes stale and when it is back.
func (s *Service) watchFeed(ctx context.Context) {
	tick := time.NewTicker(feedLook)
	defer tick.Stop()
	stale := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if was := stale; !s.Feed.Current().IsZero() && s.feedStale() != was {
			stale = !was
			name := audit.FeedRecovered
			if stale {
				name = audit.FeedStale
			}
			s.Audit.Record(audit.Event{Name: name})
		}
	}
}
