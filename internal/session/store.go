package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Errors of a [Store]. Any other error means that the store did not answer:
// nothing is known then, neither that the operation happened nor that it did
// not, and nothing may be concluded about the session.
var (
	// ErrEnded: the session has a tombstone.
	ErrEnded = errors.New("session: ended")
	// ErrMissing: there is no hot state of the session.
	ErrMissing = errors.New("session: no hot state")
)

// Outcome is the word for what a refresh came to. The same words stand in
// metrics, audit events, logs and documentation.
type Outcome string

// Outcomes that hand out tokens.
const (
	Rotated   Outcome = "rotated"   // current: the generation turned
	Unchanged Outcome = "unchanged" // current, within one grace of the turn: nothing turns
	Replayed  Outcome = "replayed"  // previous within the grace: the successor again
	Retried   Outcome = "retried"   // previous with the turn's own attempt: the successor again
	Recovered Outcome = "recovered" // one of the above after the ledger mended the hot state
	// AccessOnly: an access token for the current token, or the previous one within
	// the grace, and nothing else.
	AccessOnly Outcome = "access_only"
)

// Outcomes that change nothing.
const (
	Malformed       Outcome = "malformed"        // no refresh token of ours
	UnknownKey      Outcome = "unknown_key"      // signed with a key this node does not know (yet)
	RetiredKey      Outcome = "retired_key"      // signed with a key that was withdrawn
	AttemptRequired Outcome = "attempt_required" // a held session came without attempt id
	AttemptUsed     Outcome = "attempt_used"     // the attempt id belongs to an earlier turn
	SessionChanged  Outcome = "session_changed"  // the token of another session than the client believes
	Forged          Outcome = "forged"           // good MAC, wrong secret
	Contended       Outcome = "contended"        // previous within the grace, turned by another attempt
	Recovering      Outcome = "recovering"       // stale, but the store lost writes a moment ago
	Expired         Outcome = "expired"          // idle or absolute
	Tombstone       Outcome = "tombstone"        // ended before
	Unknown         Outcome = "unknown"          // the ledger has no such session
	Unavailable     Outcome = "unavailable"      // a store did not answer
)

// Outcomes of requests in which no refresh token was looked at.
const (
	Absent   Outcome = "absent"   // none came
	Rejected Outcome = "rejected" // an argument, the channel, or two tokens at once could not be accepted
	// RateLimited: the token is no good, and too many such came before.
	RateLimited Outcome = "rate_limited"
)

// Outcomes that end the session.
const (
	Reuse       Outcome = "reuse"   // a spent token came back
	BindingMiss Outcome = "binding" // wrong channel or wrong network
	Shared      Outcome = "shared"  // two presenters followed each other's turns
)

// Ends reports whether the outcome ended the session, and for which reason.
func (o Outcome) Ends() (Reason, bool) {
	switch o {
	case Reuse:
		return ReasonReuse, true
	case BindingMiss:
		return ReasonBinding, true
	case Shared:
		return ReasonShared, true
	}
	return "", false
}

// Outcomes that send the caller to the ledger: the store lost something.
const (
	Missing Outcome = "missing" // no hot state
	Ahead   Outcome = "ahead"   // the token is newer than the hot state
)

// Failed is a fault of the server's own: tokens could not be made.
const Failed Outcome = "failed"

// Outcomes lists every word that a refresh can come to in the end.
func Outcomes() []Outcome {
	return []Outcome{
		Rotated, Unchanged, Replayed, Retried, Recovered, AccessOnly,
		Malformed, UnknownKey, RetiredKey, AttemptRequired, AttemptUsed, SessionChanged, Forged, Contended, Recovering,
		Expired, Tombstone, Unknown, Unavailable,
		Absent, Rejected, RateLimited, Reuse, BindingMiss, Shared, Failed,
	}
}

// Presented is a refresh token that verified, and who presents it.
type Presented struct {
	UserID     uuid.UUID
	SessionID  uuid.UUID
	SecretHash [32]byte
	Generation uint64
	Attempt    Attempt // never empty: the server draws one where the client sent none
	AccessOnly bool    // asks for an access token and changes nothing
	Network    string  // [Network] of the address
	IPAddress  string
	UserAgent  string
}

// Mark tells presenters apart: 12 characters of unpadded base64url that are the
// same for the same network and user agent.
func (p Presented) Mark() string {
	sum := sha256.Sum256([]byte(p.Network + "\x00" + p.UserAgent))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// Verdict is what [Store.Rotate] decided.
type Verdict struct {
	Outcome Outcome
	State   State  // after the operation; zero when Outcome is Missing or Tombstone
	Reason  Reason // of the tombstone, when Outcome is Tombstone
	// Shared: two presenters, told apart by network and user agent, follow each
	// other's turns; State has the address and the user agent of the last turn.
	Shared bool
}

// End names a session that must end.
type End struct {
	SessionID uuid.UUID
	ExpiresAt time.Time // absolute expiry: how long its tombstone is needed
	Reason    Reason
	InLedger  bool // the ledger has it, or knows no such session: its tombstone need not last
}

// Store keeps the hot state of sessions. It is the only place that decides what
// a refresh token is worth, and it decides in one atomic step per operation.
//
// What every implementation promises:
//
//   - Operations on one user's sessions are atomic and seen in one order by all
//     callers. A caller that gives up (its context ends) learns nothing; the
//     operation changes nothing once the context's deadline has passed.
//   - The clock is the store's own, one per user, and never runs backwards
//     within a session.
//   - Nothing writes over a tombstone: an ended session stays ended. Nothing
//     lowers a generation.
//   - All state has an end: a session and its tombstone are forgotten within about
//     an hour of its absolute expiry, and a tombstone after a day where the ledger
//     is known to have the end. The ledger answers from then on.
//   - What an operation costs is bounded by the user's live sessions, however
//     many have ended.
//   - Returned values are the caller's: changing them changes nothing.
//
// The suite in sessiontest holds every sentence of this contract.
type Store interface {
	// Create starts the session of s as given, at s.Generation. Where its user
	// then has more than limit live sessions, the least recently used others end
	// with [ReasonEvicted]; they are returned. Sessions past their absolute expiry
	// are dropped and do not count; those past idle expiry do, so that they cannot
	// pile up, and are the first to go. A session that has a tombstone is ErrEnded;
	// one that exists already is left as it is (a repeated Create is one Create).
	Create(ctx context.Context, s State, limit int) (evicted []End, err error)

	// Rotate judges a presented token and applies the consequence: it turns the
	// generation, touches the session's last use, ends the session, or changes
	// nothing. The rules, in order:
	//
	//  1. no hot state: Missing
	//  2. a tombstone: Tombstone, with its reason
	//  3. absolute expiry reached: Expired
	//  4. another secret: Forged
	//  5. a newer generation than the store's: Ahead
	//  6. older than the previous generation: Recovering within one grace
	//     (inclusive) of a recovery, otherwise the session ends: Reuse
	//  7. the session bound, and Network another one: the session ends:
	//     BindingMiss
	//  8. the session held, or the policy requires attempt ids, and the attempt is
	//     not the client's: AttemptRequired, unless AccessOnly, or where the
	//     outcome would be Reuse
	//  9. the previous generation:
	//     with the attempt of the turn, within the retry window (inclusive; the
	//     grace counts where it is longer): Retried, or AccessOnly. An attempt that
	//     the server drew belongs to one request and matches at any age;
	//     within the grace (inclusive; 0 is off): AccessOnly where that is asked
	//     for, Replayed when the turn's attempt was not the client's, Contended
	//     when it was;
	//     AccessOnly asked for and the retry window of a client's attempt not
	//     over: Contended, since the client may yet repeat that attempt;
	//     within one grace of a recovery: Recovering;
	//     otherwise the session ends: Reuse
	// 10. the current generation: AccessOnly where that is asked for; Unchanged
	//     within the grace (inclusive) of the last turn or of a recovery, except
	//     for generation 1 and a grace of 0; with the client attempt that made it:
	//     AttemptUsed; otherwise it turns: Rotated
	// 11. an outcome that would hand out tokens after idle expiry was reached:
	//     Expired, and nothing changes
	// 12. Replayed by another presenter than the one that turned (by their marks),
	//     for the third generation in a row: the verdict is Shared too; where the
	//     policy ends shared sessions the session ends: Shared
	//
	// Grace and retry window are the session's own. A turn records time, attempt,
	// address and user agent and, where the attempt is not the client's, the
	// presenter; it slides idle expiry to now+Idle, never past the absolute expiry,
	// and one with a client's attempt holds the session to such attempts from then
	// on. Every outcome that hands out tokens records a use, but AccessOnly, which
	// changes nothing.
	Rotate(ctx context.Context, p Presented, policy Policy) (Verdict, error)

	// Restore rebuilds or lifts hot state from what the ledger knows. s carries
	// the checkpoint's generation, turn, attempt, held, recovery and last use.
	// Where the hot state is missing or its generation is older, it takes the
	// checkpoint's, unless the hot state was recovered later than the
	// checkpoint's: those turns were lost, and their loss mended. Idle expiry
	// counts from the checkpoint's last use then. adopt, when above both, becomes
	// the current generation, its turn, attempt and presenter unknown, last used
	// now. Held is never lost, and grace and retry window are the hot state's where there is one. Where anything changed the session is marked recovered now,
	// and at least a millisecond after any recovery known before. The state
	// after is returned; ErrEnded where there is a tombstone.
	Restore(ctx context.Context, s State, adopt uint64, policy Policy) (State, error)

	// Revoke writes a tombstone for each session, whether it has hot state or
	// not. A session that has a tombstone keeps the one it has, for no longer than
	// a day once the ledger has its end.
	Revoke(ctx context.Context, userID uuid.UUID, ends []End) error

	// Find returns the hot state of one session and changes nothing: ErrEnded
	// where there is a tombstone, ErrMissing where there is nothing.
	Find(ctx context.Context, userID, sessionID uuid.UUID) (State, error)

	// List returns the hot state of a user's sessions that have no tombstone and
	// are not past their absolute expiry, in no order. It is not complete: hot
	// state may be missing.
	List(ctx context.Context, userID uuid.UUID) ([]State, error)

	// Ping reports whether the store answers.
	Ping(ctx context.Context) error
}
