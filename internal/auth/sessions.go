package auth

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

// MySessions lists the caller's live sessions, most recently used first.
func (s *Service) MySessions(ctx context.Context, claims *token.Claims) ([]session.Session, error) {
	return s.sessions(ctx, claims, claims.UserID)
}

// UserSessions lists anyone's live sessions. An id that names nobody has none.
func (s *Service) UserSessions(ctx context.Context, claims *token.Claims, userID string) ([]session.Session, error) {
	id, ok := parseID(userID)
	if !ok {
		return []session.Session{}, nil // looks like an unknown user
	}
	return s.sessions(ctx, claims, id)
}

// sessions reads the ledger, which is complete, and overlays the last use that
// the hot state knows.
func (s *Service) sessions(ctx context.Context, claims *token.Claims, userID uuid.UUID) ([]session.Session, error) {
	type key struct{ userID uuid.UUID }
	return once(ctx, key{userID}, func() ([]session.Session, error) { return s.readSessions(ctx, claims, userID) })
}

func (s *Service) readSessions(ctx context.Context, claims *token.Claims, userID uuid.UUID) ([]session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	entries, err := s.Ledger.ListByUser(ctx, userID)
	if err != nil {
		return nil, s.unavailable("listing sessions", err)
	}
	hot := make(map[uuid.UUID]session.State, len(entries))
	states, err := s.Store.List(ctx, userID)
	if err != nil {
		s.Log.Warn("store unavailable", "operation", "last use of sessions", "error", err)
	}
	for _, state := range states {
		hot[state.ID] = state
	}
	list := make([]session.Session, 0, len(entries))
	for _, entry := range entries {
		sess := s.overlay(entry, hot)
		if s.Revoked.Contains(sess.ID) || !s.Now().Before(sess.IdleExpiresAt) {
			continue
		}
		sess.Current = sess.ID == claims.SessionID
		list = append(list, sess.Seen(s.Now(), s.Policy.Idle))
	}
	slices.SortFunc(list, mostRecentlyUsed)
	return list, nil
}

// mostRecentlyUsed orders by what users see of the last use: an exact order
// would tell it too.
func mostRecentlyUsed(a, b session.Session) int {
	if c := b.SeenLastUsedAt.Compare(a.SeenLastUsedAt); c != 0 {
		return c
	}
	if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
		return c
	}
	return slices.Compare(b.ID[:], a.ID[:])
}

// overlay is a ledger's session with the newer of both last uses.
func (s *Service) overlay(entry ledger.Entry, hot map[uuid.UUID]session.State) session.Session {
	sess := entry.State.Session
	state, ok := hot[sess.ID]
	if ok && !state.LastUsedAt.Before(sess.LastUsedAt) {
		return state.Session
	}
	sess.IdleExpiresAt = sess.LastUsedAt.Add(s.Policy.Idle)
	if sess.ExpiresAt.Before(sess.IdleExpiresAt) {
		sess.IdleExpiresAt = sess.ExpiresAt
	}
	return sess
}

// RevokeSession ends one of the caller's own sessions. Another id changes
// nothing, and a foreign one looks like one that does not exist.
func (s *Service) RevokeSession(ctx context.Context, c Caller, claims *token.Claims, in RevokeSessionInput) (*RevokeSessionPayload, error) {
	id, ok := parseID(in.SessionID)
	if !ok {
		return &RevokeSessionPayload{}, nil // looks like an unknown session
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	ends, err := s.Ledger.Revoke(ctx, claims.UserID, []uuid.UUID{id}, session.ReasonRevoked)
	if err != nil {
		return nil, s.unavailable("revoking a session", err)
	}
	s.endings.end(ctx, claims.UserID, ends, toOperators|toStore)
	if len(ends) == 0 {
		return &RevokeSessionPayload{}, nil
	}
	return &RevokeSessionPayload{SessionID: &id, ClearCookie: s.holdsCookieOf(c, ends)}, nil
}

// RevokeAllSessions ends the caller's sessions, the one that asks only if told so.
func (s *Service) RevokeAllSessions(ctx context.Context, c Caller, claims *token.Claims, in *RevokeAllSessionsInput) (*RevokeAllSessionsPayload, error) {
	except := claims.SessionID
	if in != nil && in.IncludeCurrent {
		except = uuid.Nil
	}
	return s.revokeAll(ctx, c, claims.UserID, except)
}

// RevokeUserSessions ends all sessions of a user. An id that names nobody has none.
func (s *Service) RevokeUserSessions(ctx context.Context, c Caller, _ *token.Claims, in RevokeUserSessionsInput) (*RevokeAllSessionsPayload, error) {
	id, ok := parseID(in.UserID)
	if !ok {
		return &RevokeAllSessionsPayload{SessionIDs: []uuid.UUID{}}, nil // looks like an unknown user
	}
	payload, err := s.revokeAll(ctx, c, id, uuid.Nil)
	if err == nil {
		payload.ClearCookie = false // the admin's own cookie stays, even a dead one
	}
	return payload, err
}

func (s *Service) revokeAll(ctx context.Context, c Caller, userID, except uuid.UUID) (*RevokeAllSessionsPayload, error) {
	ctx, cancel := detach(ctx)
	defer cancel()
	ends, err := s.Ledger.RevokeAll(ctx, userID, except, session.ReasonRevoked)
	if err != nil {
		return nil, s.unavailable("revoking sessions", err)
	}
	s.endings.end(ctx, userID, ends, toOperators|toStore)
	return &RevokeAllSessionsPayload{SessionIDs: sessionIDs(ends), ClearCookie: s.holdsCookieOf(c, ends)}, nil
}

// holdsCookieOf reports whether the caller's refresh cookie belongs to one of
// the sessions that ended.
func (s *Service) holdsCookieOf(c Caller, ends []session.End) bool {
	if !c.CookieAllowed || len(c.RefreshCookies) != 1 {
		return false
	}
	tok, err := s.Keys.Load().Refresh.Parse(c.RefreshCookies[0])
	return err == nil && slices.ContainsFunc(ends, func(e session.End) bool { return e.SessionID == tok.SessionID })
}

// parseID reads an id in the one spelling that answers use.
func parseID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && id.String() == text
}

func sessionIDs(ends []session.End) []uuid.UUID {
	ids := make([]uuid.UUID, len(ends))
	for i, end := range ends {
		ids[i] = end.SessionID
	}
	return ids
}
