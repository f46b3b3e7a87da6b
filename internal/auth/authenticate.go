package auth

import (
	"context"
	"errors"

	"github.com/pawlauth/pawl/internal/token"
)

// Authenticate proves the caller's access token, without I/O as long as the
// revocation feed is current. Errors: ErrTokenMissing, ErrTokenExpired,
// ErrTokenInvalid, ErrSessionRevoked, ErrUnavailable. A token that is both
// expired and revoked is expired.
func (s *Service) Authenticate(ctx context.Context, c Caller) (*token.Claims, error) {
	switch {
	case c.AccessInvalid:
		return nil, ErrTokenInvalid
	case c.AccessToken.IsEmpty():
		return nil, ErrTokenMissing
	}
	claims, err := s.Keys.Load().Verifier.Verify(c.AccessToken)
	switch {
	case errors.Is(err, token.ErrExpired):
		return nil, ErrTokenExpired
	case err != nil:
		return nil, ErrTokenInvalid
	case s.Revoked.Contains(claims.SessionID):
		return nil, ErrSessionRevoked
	case s.feedStale():
		if err := s.lookups.check(ctx, claims); err != nil {
			return nil, err
		}
	}
	return claims, nil
}
