package auth

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
)

// The limits of refreshes refuse what fails, never a refresh that would be
// granted, and this node alone counts them:
//
//   - What is no token of this server's costs no I/O. It is counted by network,
//     and answered as an error either way: junkLimited.
//   - A token that verifies is judged by the stores, whatever comes from the same
//     network. Once it failed its session is over, or never was, so that trying
//     it again is counted by the token itself: tokenLimited, tokenFailed.
const (
	refreshGate = "refresh"
	tokenGate   = "token"
	// A dead token is tried so often by tabs and servers that render pages before
	// they hear of it.
	tokenBurst = 30
	tokenEvery = 10 * time.Second
)

// junkLimited is *RateLimitedError where too many refreshes came from the caller's
// network whose token is none of this server's. Requests that bring no token, or
// are refused by their arguments, do not count: pages send them for each visitor
// who is not signed in.
func (s *Service) junkLimited(ctx context.Context, c Caller, outcome session.Outcome) error {
	switch outcome {
	case session.Malformed, session.UnknownKey, session.RetiredKey:
		// A memory without room for one more network lets this one's failures go uncounted.
		verdict, err := s.Refreshes.Spend(ctx, throttle.Networks(refreshGate, c.Address, s.RefreshRate))
		if err == nil && !verdict.Allowed() {
			return &RateLimitedError{Wait: verdict.RetryAfter}
		}
	}
	return nil
}

// tokenLimited is *RateLimitedError where a token that verifies failed too often.
func (s *Service) tokenLimited(ctx context.Context, tok session.Token) error {
	verdict, err := s.Refreshes.Peek(ctx, s.tokenBucket(tok))
	if err == nil && !verdict.Allowed() {
		return &RateLimitedError{Wait: verdict.RetryAfter}
	}
	return nil
}

// tokenFailed counts a failure of a token that verifies, where the outcome is
// final: no store will ever grant it a refresh.
func (s *Service) tokenFailed(tok session.Token, outcome session.Outcome) {
	switch outcome {
	case session.Forged, session.Expired, session.Tombstone, session.Unknown, session.Reuse, session.Shared, session.BindingMiss:
		_, _ = s.Refreshes.Spend(context.Background(), s.tokenBucket(tok)) // as above
	}
}

// tokenBucket is that of all tokens with one secret: those of a session. Tokens
// that somebody forges with a leaked key have others, and close no session's.
func (s *Service) tokenBucket(tok session.Token) []throttle.Bucket {
	if s.RefreshRate.Off() {
		return nil
	}
	hash := tok.Secret.Hash()
	rate := throttle.Rate{Burst: min(tokenBurst, s.RefreshRate.Burst), Every: max(tokenEvery, s.RefreshRate.Every)}
	return []throttle.Bucket{{Key: tokenGate + ":" + hex.EncodeToString(hash[:]), Rate: rate}}
}
