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

const (
	// ledgerPatience is how long an answer waits for the ledger to learn of an
	// end that the store found by itself.
	ledgerPatience = time.Second
	// ledgerShare is what the ledger may take of storeTimeout where the store can
	// stand in for it.
	ledgerShare = 1500 * time.Millisecond
	// feedShare is what the store leaves of storeTimeout to the feed.
	feedShare = 300 * time.Millisecond
)

// target is who has to learn of an end, beside this node and the others, who
// always do. Targets can be added up.
type target uint8

const (
	toOperators target = 1 << iota // by a metric and an event, once for each end
	toStore                        // as tombstones in hot state
	toLedger                       // which an answer waits for a moment only
)

// endings makes the end of a session known to everyone who must know it: the
// ledger, the hot state, this node's revocation set, and the other nodes. What
// one of them did not take is owed to it and repeated until it does.
//
// [endings.end] is the one way there, and names the targets that do not know
// yet. Only [endings.announce] adds to the revocation set, so that whatever is
// in it was announced, or came from where the other nodes hear of it too.
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
		debts: debts{limit: maxDebts, owed: make(map[debtKey]debt)},
	}
}

// end makes it known that sessions ended: to the targets named, and to every
// node. It never fails: what a store did not take is owed to it. Tombstones are
// written before the feed tells of them, and the ledger comes last, because
// whoever asks for an end wrote it there before.
func (e *endings) end(ctx context.Context, userID uuid.UUID, ends []session.End, targets target) {
	if len(ends) == 0 {
		return
	}
	if targets&toOperators != 0 {
		e.tell(CallerFrom(ctx).event(), userID, ends)
	}
	if targets&toStore != 0 {
		if err := e.bury(ctx, userID, ends); err != nil {
			e.log.Warn("store unavailable", "operation", "ending sessions in hot state", "error", err)
			e.owe(toStore, userID, ends)
		}
	}
	e.announce(ctx, ends)
	if targets&toLedger != 0 {
		e.enter(ctx, userID, ends)
	}
}

// bury writes tombstones, and leaves the feed the time to tell of them.
func (e *endings) bury(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	if deadline, ok := ctx.Deadline(); ok {
		earlier, cancel := context.WithDeadline(ctx, deadline.Add(-feedShare))
		defer cancel()
		ctx = earlier
	}
	return e.store.Revoke(ctx, userID, ends)
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

// enter writes ends into the ledger that the store has. It waits a moment for
// the ledger; later than that the ledger follows behind.
func (e *endings) enter(ctx context.Context, userID uuid.UUID, ends []session.End) {
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	for _, end := range ends {
		if _, err := e.ledger.Revoke(ctx, userID, []uuid.UUID{end.SessionID}, end.Reason); err != nil {
			e.log.Warn("store unavailable", "operation", "recording an end in the ledger", "error", err)
			e.owe(toLedger, userID, []session.End{end})
		}
	}
}

// byToken ends the session of a refresh token, ledger first. It reports whether
// a session ended by this call; it fails only when neither the ledger nor the
// store took it.
func (e *endings) byToken(ctx context.Context, tok session.Token, reason session.Reason) (bool, error) {
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
	} else if len(ends) == 0 {
		// The ledger has lost the row, or knows of an end that the store forgot.
		state, findErr := e.store.Find(ctx, tok.UserID, tok.SessionID)
		if findErr == nil && state.SecretHash == tok.Secret.Hash() {
			e.end(ctx, tok.UserID, []session.End{{SessionID: tok.SessionID, ExpiresAt: state.ExpiresAt, Reason: reason}}, toStore)
			return true, nil
		}
	}
	return e.either(ctx, tok.UserID, tok.SessionID, reason, ends, err)
}

// byID ends a session of which its user is known, ledger first, like byToken.
func (e *endings) byID(ctx context.Context, userID, sessionID uuid.UUID, reason session.Reason) (bool, error) {
	patient, cancel := context.WithTimeout(ctx, ledgerShare)
	ends, err := e.ledger.Revoke(patient, userID, []uuid.UUID{sessionID}, reason)
	cancel()
	return e.either(ctx, userID, sessionID, reason, ends, err)
}

// either goes on after the ledger was asked to end one session. Where it did
// not answer, the store alone may take the end, and the ledger is owed it.
func (e *endings) either(ctx context.Context, userID, sessionID uuid.UUID, reason session.Reason, ends []session.End, err error) (bool, error) {
	if err == nil {
		e.end(ctx, userID, ends, toOperators|toStore)
		return len(ends) > 0, nil
	}
	e.log.Warn("store unavailable", "operation", "ending a session in the ledger", "error", err)
	ends = []session.End{{SessionID: sessionID, ExpiresAt: e.now().Add(e.absolute), Reason: reason}}
	if err := e.bury(ctx, userID, ends); err != nil {
		return false, err
	}
	e.owe(toLedger, userID, ends)
	e.end(ctx, userID, ends, toOperators)
	return true, nil
}

// repeat tells the ledger of an end that it may have missed or lost: that of a
// tombstone, or one that this node remembers without its reason. Where the
// ledger learns of a tombstone only so, nobody told of that end yet, and by says
// who brought it up.
func (e *endings) repeat(ctx context.Context, by audit.Event, userID uuid.UUID, end session.End, known certainty) {
	e.debts.add(debt{userID: userID, end: end, to: toLedger, known: known, by: by})
	e.announce(ctx, []session.End{end})
}

// tell counts ends and records their events, with what by says of the caller.
// Each end is told of where it came about, and not where it is repeated to
// somebody who missed it.
func (e *endings) tell(by audit.Event, userID uuid.UUID, ends []session.End) {
	for _, end := range ends {
		e.counted(end.Reason)
		event := by
		event.UserID, event.SessionID = userID, end.SessionID
		switch end.Reason {
		case session.ReasonReuse:
			event.Name = audit.SessionReuseDetected
		case session.ReasonShared:
			event.Name, event.Details = audit.SessionShared, map[string]string{"ended": "true"}
		case session.ReasonBinding:
			event.Name = audit.SessionBindingMismatch
		case session.ReasonEvicted:
			event.Name = audit.SessionEvicted
		default:
			event.Name, event.Details = audit.SessionRevoked, map[string]string{"reason": string(end.Reason)}
		}
		e.audit.Record(event)
	}
}
