package auth

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

// Keys are what tokens and proofs are made and judged with at one moment. Whoever
// judges a token and makes its successor takes them once for both, so that a
// change in between never leaves it without the key of its own token.
type Keys struct {
	Refresh  *session.Keyring
	Issuer   *token.Issuer
	Verifier *token.Verifier
	Devices  *device.Keyring
}

const (
	withdrawBatch = 500
	// withdrawWaits is for how many storeTimeouts after its withdrawal a key is
	// looked for in the ledger: a session that took it before may begin one later.
	withdrawWaits = 2
	// withdrawPatience bounds one statement: it may read the whole ledger.
	withdrawPatience = 10 * time.Minute
)

// Withdraw ends the sessions of refresh keys that [Config.Keys] does not accept
// any more, also those that were beginning when they were withdrawn. It returns
// when that is done, or when ctx ends, and repeats what a store did not take.
func (s *Service) Withdraw(ctx context.Context, keys ...session.KeyID) {
	ended := func(ctx context.Context, ends endsByUser) {
		for userID, list := range ends {
			s.endings.tell(CallerFrom(ctx).event(), userID, list)
		}
		// A store that does not take them learns of them by the ledger's word.
		_ = s.endings.endAll(ctx, ends)
	}
	for waited := 0; ; waited++ {
		err := endOfKeys(ctx, s.Ledger, keys, ended)
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("store unavailable", "operation", "ending the sessions of a revoked key", "error", err)
		}
		if err == nil && waited >= withdrawWaits {
			return
		}
		select {
		case <-time.After(storeTimeout):
		case <-ctx.Done():
			return
		}
	}
}

// endOfKeys ends the sessions of refresh keys in the ledger, and hands over what
// ended, batch by batch.
func endOfKeys(ctx context.Context, rows *ledger.Ledger, keys []session.KeyID, ended func(context.Context, endsByUser)) error {
	for _, key := range keys {
		for last, more := uuid.Nil, true; more; {
			patient, cancel := context.WithTimeout(ctx, withdrawPatience)
			users, ends, err := rows.RevokeByKey(patient, key, last, withdrawBatch, session.ReasonRevoked)
			cancel()
			if err != nil {
				return err
			}
			batch := make(endsByUser)
			for i, end := range ends {
				batch[users[i]] = append(batch[users[i]], end)
				if bytes.Compare(end.SessionID[:], last[:]) > 0 {
					last = end.SessionID
				}
			}
			ended(ctx, batch)
			more = len(ends) == withdrawBatch
		}
	}
	return nil
}

// RevokeKey ends the sessions of a refresh key. Running servers do the same as
// soon as they know that it is revoked, with those that they are beginning.
func (a *Accounts) RevokeKey(ctx context.Context, key session.KeyID) (Effect, error) {
	told := *a
	total := Effect{AtOnce: a.Store != nil && a.Feed != nil}
	err := endOfKeys(ctx, a.Ledger, []session.KeyID{key}, func(ctx context.Context, ends endsByUser) {
		effect := told.spreadAll(ctx, ends)
		total.Ended = append(total.Ended, effect.Ended...)
		total.AtOnce = total.AtOnce && effect.AtOnce
		if effect.Delay != nil { // a store that is down is not asked for every batch
			total.Delay = errors.Join(total.Delay, effect.Delay)
			told.Store, told.Feed = nil, nil
		}
		if a.Audit != nil { // which has room for a few batches; a failure shows when the rest is written
			_ = a.Audit.Flush(ctx)
		}
	})
	return total, err
}
