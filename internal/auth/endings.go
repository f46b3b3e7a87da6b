package auth

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/session"
)

// ledgerPatience is how long an answer waits for the ledger to learn of an end
// that the store found by itself.
const ledgerPatience = time.Second

// ledgerShare is what the ledger may take of storeTimeout where the store can
// stand in for it.
const ledgerShare = 1500 * time.Millisecond

// endings makes the end of a session known to everyone who must know it: the
// ledger, the hot state, this node's revocation set, and the other nodes. What
// one of them did not take is owed to it and repeated until it does.
type endings struct {
	ledger   *ledger.Ledger
	store    session.Store
	revoked  *revocation.Set
	feed     revocation.Feed
	absolute time.Duration // longest life of a session
	log      *slog.Logger
	now      func() time.Time
	counted  func(session.Reason)
	audit    *audit.Log
	debts    debts
}

func newEndings(c Config) *endings {
	return &endings{
		ledger: c.Ledger, store: c.Store, revoked: c.Revoked, feed: c.Feed, absolute: c.Policy.Absolute,
		log: c.Log, now: c.Now, counted: c.Observer.Ended, audit: c.Audit,
		debts: debts{owed: make(map[debtKey]debt)},
	}
}

// count tells the observer and the audit log of ends that are new. Each end is
// counted where it came about, and not where it is repeated to somebody who
// missed it.
func (e *endings) count(ctx context.Context, userID uuid.UUID, ends []session.End) {
	c := CallerFrom(ctx)
	for _, end := range ends {
		e.counted(end.Reason)
		event := audit.Event{
			Name: audit.SessionRevoked, UserID: userID, SessionID: end.SessionID,
			Address: c.ipAddress(), UserAgent: c.UserAgent, Details: map[string]string{"reason": string(end.Reason)},
		}
		switch end.Reason {
		case session.ReasonReuse, session.ReasonBinding:
			continue // told of where both presenters are known
		case session.ReasonEvicted:
			event.Name, event.Details = audit.SessionEvicted, nil
		}
		e.audit.Record(event)
	}
}

// presented ends the session of a refresh token, ledger first. It reports
// whether a session ended by this call; it fails only when neither the ledger
// nor the store took it.
func (e *endings) presented(ctx context.Context, tok session.Token, reason session.Reason) (bool, error) {
	patient, cancel := context.WithTimeout(ctx, ledgerShare)
	ends, err := e.ledger.RevokeWithSecret(patient, tok.UserID, tok.SessionID, tok.Secret.Hash(), reason)
	cancel()
	if err != nil {
		// Without the ledger the hot state must know the secret.
		state, findErr := e.store.Find(ctx, tok.UserID, tok.SessionID)
		switch {
		case errors.Is(findErr, session.ErrEnded), findErr == nil && state.SecretHash != tok.Secret.Hash():
			return false, nil
		case findErr != nil:
			return false, errors.Join(err, findErr)
		}
	}
	return e.either(ctx, tok.UserID, tok.SessionID, reason, ends, err)
}

// own ends a session of which its user is known, ledger first, like presented.
func (e *endings) own(ctx context.Context, userID, sessionID uuid.UUID, reason session.Reason) (bool, error) {
	patient, cancel := context.WithTimeout(ctx, ledgerShare)
	ends, err := e.ledger.Revoke(patient, userID, []uuid.UUID{sessionID}, reason)
	cancel()
	return e.either(ctx, userID, sessionID, reason, ends, err)
}

// either goes on after the ledger was asked to end one session. Where it did
// not answer, the store alone may take the end, and the ledger is owed it.
func (e *endings) either(ctx context.Context, userID, sessionID uuid.UUID, reason session.Reason, ends []session.End, err error) (bool, error) {
	if err == nil {
		e.ended(ctx, userID, ends)
		return len(ends) > 0, nil
	}
	e.log.Warn("store unavailable", "operation", "ending a session in the ledger", "error", err)
	end := session.End{SessionID: sessionID, ExpiresAt: e.now().Add(e.absolute), Reason: reason}
	if err := e.store.Revoke(ctx, userID, []session.End{end}); err != nil {
		return false, err
	}
	e.count(ctx, userID, []session.End{end})
	e.announce(ctx, []session.End{end})
	e.debts.add(e.log, debt{userID: userID, end: end, toLedger: true})
	return true, nil
}

// ended counts ends that the ledger took this moment, and spreads them.
func (e *endings) ended(ctx context.Context, userID uuid.UUID, ends []session.End) {
	e.count(ctx, userID, ends)
	e.spread(ctx, userID, ends)
}

// spread makes ends known that the ledger has: to this node, the store, the others.
func (e *endings) spread(ctx context.Context, userID uuid.UUID, ends []session.End) {
	if len(ends) == 0 {
		return
	}
	e.announce(ctx, ends)
	if err := e.store.Revoke(ctx, userID, ends); err != nil {
		e.log.Warn("store unavailable", "operation", "ending sessions in hot state", "error", err)
		e.owe(userID, ends)
	}
}

// owe notes ends that the store has yet to take.
func (e *endings) owe(userID uuid.UUID, ends []session.End) {
	for _, end := range ends {
		e.debts.add(e.log, debt{userID: userID, end: end})
	}
}

// found makes ends known that the store decided by itself. It waits a moment
// for the ledger; later than that the ledger follows behind.
func (e *endings) found(ctx context.Context, userID uuid.UUID, ends []session.End) {
	if len(ends) == 0 {
		return
	}
	e.count(ctx, userID, ends)
	e.announce(ctx, ends)
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	for _, end := range ends {
		if _, err := e.ledger.Revoke(ctx, userID, []uuid.UUID{end.SessionID}, end.Reason); err != nil {
			e.log.Warn("store unavailable", "operation", "recording an end in the ledger", "error", err)
			e.debts.add(e.log, debt{userID: userID, end: end, toLedger: true})
		}
	}
}

// remember repeats the end of a tombstone to a ledger that may not know it.
func (e *endings) remember(userID uuid.UUID, end session.End) {
	e.revoked.Add(e.now(), end.SessionID)
	e.debts.add(e.log, debt{userID: userID, end: end, toLedger: true})
}

// repeat tells the ledger of an end that this node knows of: a failover of the
// database may have lost it.
func (e *endings) repeat(userID, sessionID uuid.UUID) {
	end := session.End{SessionID: sessionID, ExpiresAt: e.now().Add(e.absolute), Reason: session.ReasonRevoked}
	e.debts.add(e.log, debt{userID: userID, end: end, toLedger: true})
}

// announce ends access tokens, here and on the other nodes. What this node knew
// already has been announced.
func (e *endings) announce(ctx context.Context, ends []session.End) {
	var ids []uuid.UUID
	for _, end := range ends {
		if !e.revoked.Contains(end.SessionID) {
			ids = append(ids, end.SessionID)
		}
	}
	if len(ids) == 0 {
		return
	}
	e.revoked.Add(e.now(), ids...)
	if err := e.feed.Publish(ctx, ids...); err != nil {
		e.log.Warn("revocation feed unavailable: other nodes follow with their next look at the ledger", "error", err)
	}
}
