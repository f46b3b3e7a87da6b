package auth

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

// Caller is what one request says about its sender. Whoever receives requests
// fills it in; the verbs judge it.
type Caller struct {
	Address   netip.Addr
	UserAgent string

	// AccessToken is the bearer token, empty when there was none.
	// AccessInvalid: there was more than one, or a mis-spelled one.
	AccessToken   secret.Text
	AccessInvalid bool

	// RefreshCookies are the values of all refresh cookies that came along.
	RefreshCookies []secret.Text

	// DeviceCookies are the values of all device cookies that came along.
	DeviceCookies []secret.Text

	// CookieAllowed: the request comes from a page that may use the refresh cookie.
	CookieAllowed bool
	// BodyAllowed: the request comes from no browser, or from a listed webview,
	// so refresh tokens may travel in bodies.
	BodyAllowed bool
}

// Credential is a refresh token on its way out.
type Credential struct {
	token    secret.Text
	delivery session.Delivery
}

// RefreshToken is the refresh token of a BODY session; nil for a COOKIE session,
// which never sees it in a body.
func (c Credential) RefreshToken() *secret.Text {
	if c.delivery != session.DeliveryBody {
		return nil
	}
	return &c.token
}

// Cookie is the refresh token of a COOKIE session; ok is false for a BODY session.
func (c Credential) Cookie() (value secret.Text, ok bool) {
	return c.token, c.delivery == session.DeliveryCookie
}

// DeviceProof is the proof that its holder signed in on this device, on its way
// out on the channel of the session.
type DeviceProof struct {
	proof    secret.Text
	delivery session.Delivery
}

// DeviceToken is the proof for the client of a BODY session; nil otherwise.
func (p DeviceProof) DeviceToken() *secret.Text {
	if p.delivery != session.DeliveryBody {
		return nil
	}
	return &p.proof
}

// DeviceCookie is the proof for the browser of a COOKIE session; ok is false for
// a BODY session.
func (p DeviceProof) DeviceCookie() (value secret.Text, ok bool) {
	return p.proof, p.delivery == session.DeliveryCookie
}

// LoginInput asks for a new session.
type LoginInput struct {
	Email                secret.Text // people type passwords here
	Password             secret.Text
	DeviceName           *string
	DeviceToken          *secret.Text
	RefreshTokenDelivery session.Delivery
}

// LoginResult is *LoginPayload, InvalidCredentialsError or TooManyAttemptsError.
type LoginResult interface{ IsLoginResult() }

// LoginPayload is a new session.
type LoginPayload struct {
	Credential
	AccessToken token.AccessToken
	DeviceProof
	Session session.Session
	User    user.User
}

// IsLoginResult makes the payload a LoginResult.
func (*LoginPayload) IsLoginResult() {}

// RefreshTokenInput asks for a new access token. RefreshToken is for BODY
// sessions; the token of a COOKIE session comes with the caller.
type RefreshTokenInput struct {
	RefreshToken *secret.Text
	AttemptID    *secret.Text
	SessionID    *string
	Rotate       *bool // false asks for an access token and changes nothing; nil is true
}

// RefreshTokenPayload is a refreshed session; without a credential where no
// rotation was asked for. Rotated says that this call
// replaced the refresh token. Unchanged says that the caller presented the newest
// token: a cookie must not be set again then, because an answer that arrives
// late would put it in the place of a newer one.
type RefreshTokenPayload struct {
	Credential
	AccessToken token.AccessToken
	Rotated     bool
	Unchanged   bool
	Session     session.Session
}

// LogoutInput ends the session of a BODY refresh token.
type LogoutInput struct {
	RefreshToken *secret.Text
}

// LogoutPayload names the session that ended; nil when none did.
type LogoutPayload struct {
	SessionID *uuid.UUID
}

// RevokeSessionInput names one of the caller's sessions.
type RevokeSessionInput struct {
	SessionID string
}

// RevokeSessionPayload names the session that ended; nil when none did.
// ClearCookie says that it was the session of the caller's refresh cookie.
type RevokeSessionPayload struct {
	SessionID   *uuid.UUID
	ClearCookie bool
}

// RevokeAllSessionsInput says whether the session that asks ends too.
type RevokeAllSessionsInput struct {
	IncludeCurrent bool
}

// RevokeAllSessionsPayload names the sessions that ended. ClearCookie says that
// the session of the caller's refresh cookie is among them.
type RevokeAllSessionsPayload struct {
	SessionIDs  []uuid.UUID
	ClearCookie bool
}

// RevokeUserSessionsInput names a user.
type RevokeUserSessionsInput struct {
	UserID string
}

// ChangePasswordInput replaces the caller's password.
type ChangePasswordInput struct {
	CurrentPassword secret.Text
	NewPassword     secret.Text
}

// ChangePasswordResult is *ChangePasswordPayload, InvalidCredentialsError,
// WeakPasswordError or TooManyAttemptsError.
type ChangePasswordResult interface{ IsChangePasswordResult() }

// ChangePasswordPayload is the new session of whoever changed the password.
type ChangePasswordPayload struct {
	Credential
	DeviceProof
	AccessToken       token.AccessToken
	Session           session.Session
	RevokedSessionIDs []uuid.UUID // the caller's old session among them
}

// IsChangePasswordResult makes the payload a ChangePasswordResult.
func (*ChangePasswordPayload) IsChangePasswordResult() {}
