package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/internal/password"
)

// What the caller's access token lacks (contract: UNAUTHENTICATED, FORBIDDEN).
var (
	ErrTokenMissing   = errors.New("auth: an access token is needed")
	ErrTokenExpired   = errors.New("auth: the access token has expired")
	ErrTokenInvalid   = errors.New("auth: the access token is not valid")
	ErrSessionRevoked = errors.New("auth: the session of the access token has ended")
	ErrForbidden      = errors.New("auth: the role does not allow this")
)

// Why a refresh failed for good: the user must sign in again.
var (
	ErrRefreshMissing   = errors.New("auth: no refresh token came with the request")
	ErrRefreshMalformed = errors.New("auth: not a refresh token")
	ErrRefreshExpired   = errors.New("auth: the session has expired")
	ErrRefreshRevoked   = errors.New("auth: the session has ended")
	ErrRefreshUnknown   = errors.New("auth: there is no such session")
	ErrRefreshBinding   = errors.New("auth: the refresh token came from where it does not belong; the session has ended")
	ErrRefreshReused    = errors.New("auth: the refresh token was used before; the session has ended")
)

// What the caller can mend.
var (
	// ErrSessionChanged: the cookie belongs to another session than the client
	// believes it is in; another tab signed in anew.
	ErrSessionChanged = errors.New("auth: the cookie belongs to another session")
	// ErrCrossOrigin: the channel is not open to the page the request comes from.
	ErrCrossOrigin = errors.New("auth: not allowed from this origin")
	// ErrAmbiguous: two refresh tokens came with one request.
	ErrAmbiguous = errors.New("auth: more than one refresh token came with the request")
	// ErrUnavailable: a store did not answer. Whether the request was carried out
	// is not known: repeat it later, and conclude nothing about the session.
	ErrUnavailable = errors.New("auth: temporarily unavailable")
)

// InputError is an argument that cannot be accepted.
type InputError struct {
	Field   string // as the schema names it
	Message string // what to do; never the value
}

func (e *InputError) Error() string { return fmt.Sprintf("auth: %s: %s", e.Field, e.Message) }

// RateLimitedError says that too many refreshes of the caller's network, or with
// this token, failed. Nothing may be concluded about the session.
type RateLimitedError struct{ Wait time.Duration }

func (e *RateLimitedError) Error() string { return "auth: too many refreshes failed" }

// RetryAfter is the wait in whole seconds, rounded up.
func (e *RateLimitedError) RetryAfter() int { return wholeSeconds(e.Wait) }

// InvalidCredentialsError is the one answer to a login or password check that
// failed, whatever the cause.
type InvalidCredentialsError struct{ Message string }

// IsLoginResult makes the error a LoginResult.
func (InvalidCredentialsError) IsLoginResult() {}

// IsChangePasswordResult makes the error a ChangePasswordResult.
func (InvalidCredentialsError) IsChangePasswordResult() {}

// IsUserError makes the error a UserError of the schema.
func (InvalidCredentialsError) IsUserError() {}

// GetMessage is the text for the person.
func (e InvalidCredentialsError) GetMessage() string { return e.Message }

// TooManyAttemptsError refuses to look at a password for a while.
type TooManyAttemptsError struct {
	Message string
	Wait    time.Duration
}

// RetryAfter is the wait in whole seconds, rounded up.
func (e TooManyAttemptsError) RetryAfter() int { return wholeSeconds(e.Wait) }

func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// IsLoginResult makes the error a LoginResult.
func (TooManyAttemptsError) IsLoginResult() {}

// IsChangePasswordResult makes the error a ChangePasswordResult.
func (TooManyAttemptsError) IsChangePasswordResult() {}

// IsUserError makes the error a UserError of the schema.
func (TooManyAttemptsError) IsUserError() {}

// GetMessage is the text for the person.
func (e TooManyAttemptsError) GetMessage() string { return e.Message }

// WeakPasswordError says what is wrong with a new password.
type WeakPasswordError struct {
	Message  string
	Problems []password.Problem
}

// IsChangePasswordResult makes the error a ChangePasswordResult.
func (WeakPasswordError) IsChangePasswordResult() {}

// IsUserError makes the error a UserError of the schema.
func (WeakPasswordError) IsUserError() {}

// GetMessage is the text for the person.
func (e WeakPasswordError) GetMessage() string { return e.Message }
