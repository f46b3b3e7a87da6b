package audit

// Name says what happened: a noun, a dot and a verb or state.
type Name string

// The events.
const (
	LoginSucceeded  Name = "login.succeeded"
	LoginFailed     Name = "login.failed"
	LoginThrottled  Name = "login.throttled"
	LoginOverloaded Name = "login.overloaded" // too many passwords waited to be checked

	SessionCreated         Name = "session.created"
	SessionRevoked         Name = "session.revoked" // with the reason
	SessionEvicted         Name = "session.evicted" // a newer login took its place
	SessionExpired         Name = "session.expired"
	SessionRecovered       Name = "session.recovered"        // the hot state had lost writes
	SessionReuseDetected   Name = "session.reuse_detected"   // a spent refresh token came back
	SessionShared          Name = "session.shared"           // two presenters follow each other's refreshes
	SessionBindingMismatch Name = "session.binding_mismatch" // a token came from elsewhere than it may
	SessionTokenForged     Name = "session.token_forged"     // a refresh key is known to somebody else

	PasswordChanged Name = "password.changed"
	UserAdded       Name = "user.added"
	UsersImported   Name = "users.imported" // with their number
	UserDisabled    Name = "user.disabled"
	UserEnabled     Name = "user.enabled"
	UserDeleted     Name = "user.deleted"
	UserRoleChanged Name = "user.role_changed"
	UserUnlocked    Name = "user.unlocked" // an operator forgot its failed logins

	KeyPublished Name = "key.published" // with its kind and id, as of all four
	KeyActivated Name = "key.activated" // it makes new tokens from now on
	KeyRetired   Name = "key.retired"   // its last token has expired, or it was taken away
	KeyRevoked   Name = "key.revoked"   // its tokens are refused

	RequestCrossOriginRejected Name = "request.cross_origin_rejected"
	RequestOperationLimit      Name = "request.operation_limit"

	StoreUnavailable Name = "store.unavailable"
	FeedStale        Name = "feed.stale"
	FeedRecovered    Name = "feed.recovered"
	FeedReset        Name = "feed.reset"
	AccessFailOpen   Name = "access.fail_open" // an access token was accepted while no store could tell whether its session ended

	ConfigRefused Name = "config.refused" // a setting stopped the start; with its name

	ServerStarted Name = "server.started"
	ServerReady   Name = "server.ready"
	ServerStopped Name = "server.stopped"
)

// Names lists every event.
func Names() []Name {
	return []Name{
		LoginSucceeded, LoginFailed, LoginThrottled, LoginOverloaded,
		SessionCreated, SessionRevoked, SessionEvicted, SessionExpired, SessionRecovered,
		SessionReuseDetected, SessionShared, SessionBindingMismatch, SessionTokenForged,
		PasswordChanged, UserAdded, UsersImported, UserDisabled, UserEnabled, UserDeleted, UserRoleChanged, UserUnlocked,
		KeyPublished, KeyActivated, KeyRetired, KeyRevoked,
		RequestCrossOriginRejected, RequestOperationLimit,
		StoreUnavailable, FeedStale, FeedRecovered, FeedReset, AccessFailOpen,
		ConfigRefused, ServerStarted, ServerReady, ServerStopped,
	}
}

// Severity is how soon somebody should look at an event.
type Severity string

// The severities.
const (
	Info     Severity = "info"     // the course of things
	Warning  Severity = "warning"  // many of them need a look
	Critical Severity = "critical" // each one needs a look
)

// Severity is what the event weighs.
func (n Name) Severity() Severity {
	switch n {
	case SessionReuseDetected, SessionTokenForged, AccessFailOpen, ConfigRefused, KeyRevoked:
		return Critical
	case LoginThrottled, LoginOverloaded, SessionRecovered, SessionShared, SessionBindingMismatch, UserRoleChanged,
		RequestCrossOriginRejected, RequestOperationLimit, StoreUnavailable, FeedStale, FeedReset:
		return Warning
	}
	return Info
}

// noisy tells which events somebody without any account, or with one dead token,
// can cause at will, or repeat with every request while something is broken.
func (n Name) noisy() bool {
	switch n {
	case LoginFailed, LoginThrottled, LoginOverloaded,
		SessionExpired, SessionBindingMismatch, SessionTokenForged,
		RequestCrossOriginRejected, RequestOperationLimit, StoreUnavailable, AccessFailOpen:
		return true
	}
	return false
}
