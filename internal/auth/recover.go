package auth

import (
	"context"
	"errors"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
)

// recover judges a token for which the hot state is missing or behind. The
// token verified, so the store lost writes; the ledger knows whether the
// session lives and how far it had come at least. What it says is put back, a
// generation beyond it is taken over, and the store judges again.
func (s *Service) recover(ctx context.Context, tok session.Token, p session.Presented) (session.Verdict, error) {
	entry, err := s.Ledger.Find(ctx, tok.UserID, tok.SessionID)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		// Its tombstone answers the same next time, and saves the question.
		end := session.End{SessionID: tok.SessionID, ExpiresAt: s.Now().Add(s.Policy.Absolute), Reason: session.ReasonUnknown, InLedger: true}
		if err := s.Store.Revoke(ctx, tok.UserID, []session.End{end}); err != nil {
			return session.Verdict{}, err
		}
		s.endings.tell(CallerFrom(ctx).event(), tok.UserID, []session.End{end})
		return session.Verdict{Outcome: session.Unknown}, nil
	case err != nil:
		return session.Verdict{}, err
	case entry.State.SecretHash != p.SecretHash:
		return session.Verdict{Outcome: session.Forged}, nil
	case entry.Ended():
		// The verdict stands whether or not the store takes it.
		s.endings.end(ctx, tok.UserID, []session.End{{
			SessionID: tok.SessionID, ExpiresAt: entry.State.ExpiresAt, Reason: entry.Reason, InLedger: true,
		}}, toStore)
		return session.Verdict{Outcome: session.Tombstone, Reason: entry.Reason}, nil
	case !s.Now().Before(entry.State.ExpiresAt):
		return session.Verdict{Outcome: session.Expired}, nil
	}
	_, err = s.Store.Restore(ctx, entry.State, tok.Generation, s.Policy)
	if err != nil && !errors.Is(err, session.ErrEnded) { // a tombstone that came meanwhile is judged like any other
		return session.Verdict{}, err
	}
	verdict, err := s.Store.Rotate(ctx, p, s.Policy)
	if err == nil && (verdict.Outcome == session.Missing || verdict.Outcome == session.Ahead) {
		return verdict, errors.New("auth: the store lost a session again right after it was restored")
	}
	return verdict, err
}
