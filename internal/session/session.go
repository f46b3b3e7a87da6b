package session

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Delivery is the channel a session's refresh token travels on. It is fixed at
// login and part of the token.
type Delivery uint8

// The two channels.
const (
	DeliveryCookie Delivery = 1 // an HttpOnly cookie
	DeliveryBody   Delivery = 2 // response and request bodies
)

// String is COOKIE or BODY.
func (d Delivery) String() string {
	switch d {
	case DeliveryCookie:
		return "COOKIE"
	case DeliveryBody:
		return "BODY"
	}
	return "Delivery(" + strconv.Itoa(int(d)) + ")"
}

// ParseDelivery reads what [Delivery.String] writes.
func ParseDelivery(s string) (Delivery, error) {
	switch s {
	case "COOKIE":
		return DeliveryCookie, nil
	case "BODY":
		return DeliveryBody, nil
	}
	return 0, fmt.Errorf("session: no delivery %q: it is COOKIE or BODY", s)
}

// MarshalGQL writes the GraphQL enum value.
func (d Delivery) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(d.String())) }

// UnmarshalGQL reads the GraphQL enum value.
func (d *Delivery) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return errors.New("session: a delivery is COOKIE or BODY")
	}
	parsed, err := ParseDelivery(s)
	if err != nil {
		return errors.New("session: a delivery is COOKIE or BODY")
	}
	*d = parsed
	return nil
}

// Session is one login on one client, as its owner sees it.
type Session struct {
	ID            uuid.UUID
	UserID        uuid.UUID
	Delivery      Delivery
	CreatedAt     time.Time // time of the login
	LastUsedAt    time.Time // last refresh that handed out tokens, or the login
	IdleExpiresAt time.Time // moves with every turn, never past ExpiresAt
	ExpiresAt     time.Time // absolute
	DeviceName    string    // as the client called itself; may be empty
	UserAgent     string    // of the last turn, or the login; may be empty
	IPAddress     string    // of the last turn, or the login; may be empty
	Current       bool      // the session of whoever asks

	// What its owner sees of the address and user agent until the change at MovedAt
	// has settled; none of it where nothing changed of late. See [Session.Seen].
	FormerIPAddress string
	FormerUserAgent string
	MovedAt         time.Time
	// EarlierUses are the starts of the two periods before that of LastUsedAt in
	// which it was used, the later one first; zero when unknown.
	EarlierUses [2]time.Time
	// What its owner sees of LastUsedAt and IdleExpiresAt; see [Session.Seen].
	SeenLastUsedAt    time.Time
	SeenIdleExpiresAt time.Time
}

// Period is to what users see what moves with refreshes, and settling is how long
// after a period they see what happened in it: the longest grace there is. Whoever
// watches it learns of a refresh when it is too late to follow it.
const (
	Period   = 5 * time.Minute
	settling = time.Minute
)

// Settled is the moment before which what happened may be seen at now.
func Settled(now time.Time) time.Time { return now.Add(-settling).Truncate(Period) }

// Seen is the session as it may be shown at now, under an idle lifetime: with
// SeenLastUsedAt and SeenIdleExpiresAt, and the address and user agent of a turn
// that has settled.
func (s Session) Seen(now time.Time, idle time.Duration) Session {
	settled := Settled(now)
	if !s.MovedAt.Before(settled) { // the zero time is before everything
		s.IPAddress, s.UserAgent = s.FormerIPAddress, s.FormerUserAgent
	}
	// Where no use is known that has settled, the hot state was lost a moment ago.
	s.SeenLastUsedAt = latest(settled.Add(-Period), s.CreatedAt)
	for _, use := range []time.Time{s.LastUsedAt, s.EarlierUses[0], s.EarlierUses[1]} {
		if !use.IsZero() && use.Before(settled) {
			s.SeenLastUsedAt = latest(use.Truncate(Period), s.CreatedAt)
			break
		}
	}
	s.SeenIdleExpiresAt = s.SeenLastUsedAt.Add(idle)
	if s.ExpiresAt.Before(s.SeenIdleExpiresAt) {
		s.SeenIdleExpiresAt = s.ExpiresAt
	}
	return s
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Turn records that a client with this address and user agent turned the session
// at now.
func (s *Session) Turn(now time.Time, address, userAgent string) {
	settled := s.MovedAt.Before(Settled(now))
	switch moved := address != s.IPAddress || userAgent != s.UserAgent; {
	case moved && settled:
		s.FormerIPAddress, s.FormerUserAgent, s.MovedAt = s.IPAddress, s.UserAgent, now
	case moved:
		s.MovedAt = now
	case settled:
		s.FormerIPAddress, s.FormerUserAgent, s.MovedAt = "", "", time.Time{}
	}
	s.IPAddress, s.UserAgent = address, userAgent
}

// Use records a use at now.
func (s *Session) Use(now time.Time) {
	if last := s.LastUsedAt.Truncate(Period); last.Before(now.Truncate(Period)) {
		s.EarlierUses = [2]time.Time{last, s.EarlierUses[0]}
	}
	s.LastUsedAt = now
}

// State is the hot state of a live session: what the store keeps of it.
type State struct {
	Session
	Role        string        // role claim of its access tokens; constant for the session's life
	Binding     string        // network the session is bound to ([Policy.Binding]), or empty
	Grace       time.Duration // its [Policy.Grace], as of its login
	Retry       time.Duration // its [Policy.Retry], as of its login
	SecretHash  [32]byte      // SHA-256 of the refresh token's secret bytes
	Generation  uint64        // the newest generation that was minted
	TurnedAt    time.Time     // when Generation came to be; zero when unknown (adopted)
	Attempt     Attempt       // of the turn that made Generation; zero when unknown
	Held        bool          // was ever refreshed with a client attempt id
	RecoveredAt time.Time     // when it was last rebuilt from the ledger; zero for never

	RotatedBy string // [Presented.Mark] of the last turn without a client's attempt; otherwise empty
	Followed  uint64 // newest generation whose predecessor somebody else replayed; 0 for none
	Follows   uint64 // how many generations in a row up to Followed
}

// Checkpoint is the part of the hot state that the ledger repeats, so that a
// session outlives the loss of its hot state.
type Checkpoint struct {
	SessionID   uuid.UUID
	UserID      uuid.UUID
	Generation  uint64
	TurnedAt    time.Time
	Attempt     Attempt
	Held        bool
	RecoveredAt time.Time
	LastUsedAt  time.Time
	IPAddress   string
	UserAgent   string
}

// Newer reports whether c tells more of the chain than other does. What came
// after a later recovery counts first: a turn from before it was lost, and the
// recovery mended its loss.
func (c Checkpoint) Newer(other Checkpoint) bool {
	switch {
	case !c.RecoveredAt.Equal(other.RecoveredAt):
		return c.RecoveredAt.After(other.RecoveredAt)
	case c.Generation != other.Generation:
		return c.Generation > other.Generation
	}
	return c.TurnedAt.After(other.TurnedAt)
}

// Checkpoint is the checkpoint of the state as it stands.
func (s State) Checkpoint() Checkpoint {
	return Checkpoint{
		SessionID: s.ID, UserID: s.UserID,
		Generation: s.Generation, TurnedAt: s.TurnedAt, Attempt: s.Attempt, Held: s.Held, RecoveredAt: s.RecoveredAt,
		LastUsedAt: s.LastUsedAt, IPAddress: s.IPAddress, UserAgent: s.UserAgent,
	}
}

// Attempt marks the refresh attempt that made a turn, in unpadded base64url: "c" and
// the HMAC-SHA-256 of the client's own attemptId, so that no store ever holds the
// id itself, or "s" and 16 random bytes that the server drew for one request. Empty
// when no attempt is known.
type Attempt string

// FromClient reports whether the client chose the attempt id.
func (a Attempt) FromClient() bool { return len(a) > 0 && a[0] == 'c' }

// Reason says why a session ended. It is stored in tombstones and in the ledger.
type Reason string

// The reasons.
const (
	ReasonLogout   Reason = "logout"   // its holder logged out
	ReasonRevoked  Reason = "revoked"  // its user or an admin ended it
	ReasonReuse    Reason = "reuse"    // a spent refresh token came back
	ReasonShared   Reason = "shared"   // two presenters followed each other's turns
	ReasonBinding  Reason = "binding"  // the token came on another channel or from another network
	ReasonEvicted  Reason = "evicted"  // one more session than the cap began
	ReasonRelogin  Reason = "relogin"  // its client logged in anew
	ReasonPassword Reason = "password" // the user's password changed
	ReasonRole     Reason = "role"     // the user's role changed
	ReasonDisabled Reason = "disabled" // the user was disabled
	ReasonDeleted  Reason = "deleted"  // the user was deleted
	ReasonAborted  Reason = "aborted"  // its login could not be completed
	ReasonUnknown  Reason = "unknown"  // the ledger has no such session
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonLogout, ReasonRevoked, ReasonReuse, ReasonShared, ReasonBinding, ReasonEvicted, ReasonRelogin,
		ReasonPassword, ReasonRole, ReasonDisabled, ReasonDeleted, ReasonAborted, ReasonUnknown,
	}
}
