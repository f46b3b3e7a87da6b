package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

// Refresh exchanges a refresh token for an access token and, at most once per
// grace, for its successor. It costs one call of the store and no other I/O,
// unless the store lost something ([Service.recover]).
func (s *Service) Refresh(ctx context.Context, c Caller, in *RefreshTokenInput) (*RefreshTokenPayload, error) {
	started := s.Now()
	ctx = context.WithoutCancel(ctx) // hanging up gives nothing back
	payload, outcome, err := s.refresh(ctx, c, in)
	if limited := s.junkLimited(ctx, c, outcome); limited != nil {
		outcome, err = session.RateLimited, limited
	}
	s.Observer.Refresh(outcome, s.Now().Sub(started))
	return payload, err
}

// refresh is Refresh with the word for what it came to.
func (s *Service) refresh(ctx context.Context, c Caller, in *RefreshTokenInput) (*RefreshTokenPayload, session.Outcome, error) {
	if in == nil {
		in = &RefreshTokenInput{}
	}
	if err := checkAttemptID(in.AttemptID); err != nil {
		return nil, session.Rejected, err
	}
	text, channel, err := c.presented(in.RefreshToken)
	if errors.Is(err, ErrRefreshMissing) {
		return nil, session.Absent, err
	}
	if err != nil {
		return nil, session.Rejected, err
	}
	keys := s.Keys.Load()
	tok, err := keys.Refresh.Parse(text)
	if err != nil {
		outcome := unreadable(err)
		s.Log.Debug("refresh", "outcome", string(outcome))
		return nil, outcome, answer(outcome)
	}
	if err := s.tokenLimited(ctx, tok); err != nil {
		return nil, session.RateLimited, err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	ended := s.Revoked.Contains(tok.SessionID)
	if tok.Delivery != channel && !ended {
		return s.wrongChannel(ctx, c, tok)
	}
	if in.SessionID != nil && *in.SessionID != tok.SessionID.String() {
		return s.refused(c, tok, session.SessionChanged)
	}
	if ended {
		s.endings.repeat(ctx, c.event(), tok.UserID, s.endOf(tok, session.ReasonRevoked), guessed)
		return s.refused(c, tok, session.Tombstone)
	}

	p := s.present(c, keys, tok, in)
	verdict, err := s.Store.Rotate(ctx, p, s.Policy)
	recovered := false
	if err == nil && (verdict.Outcome == session.Missing || verdict.Outcome == session.Ahead) {
		verdict, err = s.recover(ctx, tok, p)
		recovered = true
	}
	if err != nil {
		return nil, session.Unavailable, s.unavailable("refresh", err)
	}
	switch verdict.Outcome {
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried, session.AccessOnly:
		return s.grant(c, keys, tok, p, verdict, recovered)
	case session.Reuse, session.BindingMiss, session.Shared:
		s.theft(ctx, c, verdict)
	case session.Tombstone:
		if verdict.Reason == session.ReasonUnknown {
			return s.refused(c, tok, session.Unknown)
		}
		s.endings.repeat(ctx, c.event(), tok.UserID, s.endOf(tok, verdict.Reason), repeated)
	}
	if p.AccessOnly && verdict.Outcome == session.Contended {
		s.elsewhere(c, p, verdict)
	}
	return s.refused(c, tok, verdict.Outcome)
}

// present is the token as the store judges it.
func (s *Service) present(c Caller, keys *Keys, tok session.Token, in *RefreshTokenInput) session.Presented {
	p := session.Presented{
		UserID: tok.UserID, SessionID: tok.SessionID,
		SecretHash: tok.Secret.Hash(), Generation: tok.Generation,
		AccessOnly: in.Rotate != nil && !*in.Rotate,
		Network:    session.Network(c.Address), IPAddress: c.ipAddress(), UserAgent: c.UserAgent,
	}
	if in.AttemptID != nil {
		p.Attempt = keys.Refresh.ClientAttempt(tok, *in.AttemptID)
	} else {
		p.Attempt = session.ServerAttempt()
	}
	return p
}

// grant hands out the tokens of a verdict.
func (s *Service) grant(c Caller, keys *Keys, tok session.Token, p session.Presented, v session.Verdict, recovered bool) (*RefreshTokenPayload, session.Outcome, error) {
	outcome := v.Outcome
	if recovered {
		outcome = session.Recovered
	}
	s.log(c, tok, outcome)
	s.witnessRefresh(c, tok, outcome)
	if v.Shared {
		s.shared(c, v)
	}
	if v.Outcome == session.AccessOnly && !recovered {
		s.elsewhere(c, p, v)
		s.checkpoints.question(v.State.Checkpoint())
	} else {
		s.checkpoints.note(v.State.Checkpoint())
	}
	access, err := keys.Issuer.Issue(tok.UserID, tok.SessionID, v.State.Role, v.State.CreatedAt, v.State.ExpiresAt)
	if err != nil {
		return nil, session.Failed, fmt.Errorf("auth: signing an access token: %w", err)
	}
	sess := v.State.Session.Seen(s.Now(), s.Policy.Idle)
	sess.Current = true
	if v.Outcome == session.AccessOnly {
		return &RefreshTokenPayload{AccessToken: access, Session: sess}, outcome, nil
	}
	refresh, err := keys.Refresh.Mint(tok.Next(v.State.Generation))
	if err != nil {
		return nil, session.Failed, fmt.Errorf("auth: minting a refresh token: %w", err)
	}
	return &RefreshTokenPayload{
		Credential:  Credential{token: refresh, delivery: tok.Delivery},
		AccessToken: access,
		// Nobody else knows an attempt that the server drew: the same one twice
		// is this very call, sent to the store again after a lost reply.
		Rotated:   v.Outcome == session.Rotated || v.Outcome == session.Retried && !p.Attempt.FromClient(),
		Unchanged: v.Outcome == session.Unchanged,
		Session:   sess,
	}, outcome, nil
}

// theft makes known that the store ended the session of a token that came back,
// or came from where it does not belong, and who both were that presented one.
func (s *Service) theft(ctx context.Context, c Caller, v session.Verdict) {
	reason, _ := v.Outcome.Ends()
	ends := []session.End{{SessionID: v.State.ID, ExpiresAt: v.State.ExpiresAt, Reason: reason}}
	by := c.event()
	by.Earlier = lastTurn(v.State)
	s.endings.tell(by, v.State.UserID, ends)
	s.endings.end(ctx, v.State.UserID, ends, toLedger)
}

// shared records that somebody else follows the turns of a session, and who both
// are. Nothing but attempt ids, or PAWL_SHARED_SESSION=end, keeps the two apart.
func (s *Service) shared(c Caller, v session.Verdict) {
	s.Log.Warn("a session is used from two places that follow each other's refreshes: its refresh token was copied, or two clients share it",
		"session", v.State.ID.String(), "user", v.State.UserID.String(), "address", c.ipAddress(), "earlier", v.State.IPAddress)
	s.tell(c, audit.Event{Name: audit.SessionShared, UserID: v.State.UserID, SessionID: v.State.ID, Earlier: lastTurn(v.State)})
}

// elsewhere records that an access token alone was asked for from another network
// than that of the session's last turn, once for each turn: rendering servers
// pass their visitor's address on, and whoever has a copy of the cookie leaves no
// other trace.
func (s *Service) elsewhere(c Caller, p session.Presented, v session.Verdict) {
	turned, err := netip.ParseAddr(v.State.IPAddress)
	if err != nil || session.Network(turned) == p.Network || !s.elsewheres.first(v.State.ID, v.State.Generation) {
		return
	}
	s.Log.Warn("an access token alone was asked for from another network than that of the session's last refresh: a server that renders does not pass its visitor's address on, or the refresh token was copied",
		"session", v.State.ID.String(), "user", v.State.UserID.String(), "address", c.ipAddress(), "earlier", v.State.IPAddress)
	s.tell(c, audit.Event{
		Name: audit.SessionShared, UserID: v.State.UserID, SessionID: v.State.ID, Earlier: lastTurn(v.State),
		Details: map[string]string{"rotate": "false"},
	})
}

// lastTurn is who turned a session last, or began it.
func lastTurn(state session.State) audit.Presenter {
	at := state.TurnedAt
	if at.IsZero() {
		at = state.LastUsedAt
	}
	return audit.Presenter{At: at, Address: state.IPAddress, UserAgent: state.UserAgent}
}

// wrongChannel ends the session of a genuine token that came on the channel it
// was not made for. Where it ends nothing, the session ended before.
func (s *Service) wrongChannel(ctx context.Context, c Caller, tok session.Token) (*RefreshTokenPayload, session.Outcome, error) {
	ended, err := s.endings.byToken(ctx, tok, session.ReasonBinding)
	switch {
	case err != nil:
		return nil, session.Unavailable, s.unavailable("ending a session", err)
	case !ended:
		return s.refused(c, tok, session.Tombstone)
	}
	return s.refused(c, tok, session.BindingMiss)
}

// endOf is the end of a token's session whose absolute expiry is not known here.
func (s *Service) endOf(tok session.Token, reason session.Reason) session.End {
	return session.End{SessionID: tok.SessionID, ExpiresAt: s.Now().Add(s.Policy.Absolute), Reason: reason}
}

// unreadable is the outcome of a token that no store needs to be asked about.
func unreadable(err error) session.Outcome {
	switch {
	case errors.Is(err, session.ErrUnknownKey):
		return session.UnknownKey
	case errors.Is(err, session.ErrRetiredKey):
		return session.RetiredKey
	}
	return session.Malformed
}

// refused logs an outcome without tokens and returns it with its error.
func (s *Service) refused(c Caller, tok session.Token, outcome session.Outcome) (*RefreshTokenPayload, session.Outcome, error) {
	s.log(c, tok, outcome)
	s.witnessRefresh(c, tok, outcome)
	s.tokenFailed(tok, outcome)
	return nil, outcome, answer(outcome)
}

// answer is the error a client sees for an outcome that hands out nothing.
func answer(outcome session.Outcome) error {
	switch outcome {
	case session.Malformed:
		return ErrRefreshMalformed
	case session.RetiredKey, session.Tombstone:
		return ErrRefreshRevoked
	case session.Expired:
		return ErrRefreshExpired
	case session.Forged, session.Unknown:
		return ErrRefreshUnknown
	case session.BindingMiss:
		return ErrRefreshBinding
	case session.Reuse, session.Shared:
		return ErrRefreshReused
	case session.SessionChanged:
		return ErrSessionChanged
	case session.AttemptRequired:
		return &InputError{Field: "attemptId", Message: "this refresh needs an attemptId: make one for each refresh, and repeat it until an answer came"}
	case session.AttemptUsed:
		return &InputError{Field: "attemptId", Message: "was used for an earlier refresh, which is settled: make a new one for each refresh"}
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, outcome)
}

// log tells operators of the outcome.
func (s *Service) log(c Caller, tok session.Token, outcome session.Outcome) {
	level, message := s.Log.Debug, "refresh"
	switch outcome {
	case session.Reuse, session.BindingMiss, session.Shared:
		level = s.Log.Warn
	case session.Forged:
		level, message = s.Log.Error, "refresh with a forged token: a refresh key is known to somebody else"
	case session.Recovered, session.Recovering:
		level = s.Log.Info
	}
	level(message, "outcome", string(outcome), "session", tok.SessionID.String(), "user", tok.UserID.String(), "address", c.ipAddress())
}

// checkAttemptID demands 22 to 64 characters that are safe in URLs.
func checkAttemptID(id *secret.Text) error {
	if id == nil {
		return nil
	}
	ok := id.Len() >= 22 && id.Len() <= 64
	for _, b := range []byte(id.Reveal()) {
		ok = ok && (b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.' || b == '~')
	}
	if !ok {
		return &InputError{Field: "attemptId", Message: "must be 22 to 64 characters out of A-Z a-z 0-9 - . _ ~"}
	}
	return nil
}
