package auth

import (
	"context"
	"errors"

	"github.com/pawlauth/pawl/internal/session"
)

// Logout ends the session of the refresh token that came with the request;
// where none came, that of a valid access token. It works twice, and with
// garbage: then nothing ends and the payload names no session.
func (s *Service) Logout(ctx context.Context, c Caller, in *LogoutInput) (*LogoutPayload, error) {
	if in == nil {
		in = &LogoutInput{}
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if in.RefreshToken == nil && len(c.RefreshCookies) == 0 {
		return s.logoutAccess(ctx, c)
	}
	text, channel, err := c.presented(in.RefreshToken)
	if err != nil {
		return nil, err
	}
	tok, err := s.Keys.Load().Refresh.Parse(text)
	switch {
	case errors.Is(err, session.ErrUnknownKey): // another node may know it
		return nil, answer(session.UnknownKey)
	case err != nil:
		return &LogoutPayload{}, nil
	}
	if s.tokenLimited(ctx, tok) != nil { // its session is over, as the stores said often enough
		return &LogoutPayload{}, nil
	}
	reason := session.ReasonLogout
	if tok.Delivery != channel {
		reason = session.ReasonBinding
	}
	ended, err := s.endings.byToken(ctx, tok, reason)
	if err != nil {
		return nil, s.unavailable("logout", err)
	}
	if !ended {
		s.tokenFailed(tok, session.Tombstone)
		return &LogoutPayload{}, nil
	}
	return &LogoutPayload{SessionID: &tok.SessionID}, nil
}

// logoutAccess is for a client that lost its refresh token.
func (s *Service) logoutAccess(ctx context.Context, c Caller) (*LogoutPayload, error) {
	claims, err := s.Authenticate(ctx, c)
	switch {
	case errors.Is(err, ErrUnavailable): // there may be a session, and it has not ended
		return nil, err
	case err != nil:
		return &LogoutPayload{}, nil //nolint:nilerr // a logout without any session to end is done
	}
	ended, err := s.endings.byID(ctx, claims.UserID, claims.SessionID, session.ReasonLogout)
	if err != nil {
		return nil, s.unavailable("logout", err)
	}
	if !ended {
		return &LogoutPayload{}, nil
	}
	return &LogoutPayload{SessionID: &claims.SessionID}, nil
}
