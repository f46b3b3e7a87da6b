package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

const (
	maxDeviceName = 64 // characters
	maxRelogins   = 8  // refresh cookies of one login that are looked at
)

// errCredentials is the one cause that a failed login has to the outside.
var errCredentials = errors.New("auth: no active user with this email and password")

// invalidCredentials is the same for every cause.
func invalidCredentials() InvalidCredentialsError {
	return InvalidCredentialsError{Message: "The email or the password is not right."}
}

// Login starts a session for whoever knows a user's password. Order: shape of
// the arguments, gates, place in the hashing queue, user row, hash, status, rate
// of the account's sessions, session. Whatever is wrong with the credentials, the answer is the same.
func (s *Service) Login(ctx context.Context, c Caller, in LoginInput) (LoginResult, error) {
	started := s.Now()
	device, err := admit(c, in)
	if err != nil {
		s.Observer.Login(LoginRejected, s.Now().Sub(started))
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // hanging up gives nothing back
	a := s.loginLane(c, in)
	if err = s.enter(ctx, c, a); err != nil { // before any work, and told at once
		s.Observer.Login(loginOutcome(err), s.Now().Sub(started))
		return loginResult(nil, s.refusedAttempt(c, a, err))
	}
	payload, err := s.login(ctx, c, in, device, a)
	s.leave(ctx, a, err)
	s.Observer.Login(loginOutcome(err), s.Now().Sub(started))
	s.witnessLogin(c, a, payload, err)
	s.holdUntil(started.Add(s.LoginMinDuration))
	return loginResult(payload, err)
}

// loginResult turns what a person must read into data.
func loginResult(payload *LoginPayload, err error) (LoginResult, error) {
	if closed, ok := errors.AsType[*throttled](err); ok {
		return closed.tooManyAttempts(), nil
	}
	switch {
	case errors.Is(err, errCredentials):
		return invalidCredentials(), nil
	case err != nil:
		return nil, err
	}
	return payload, nil
}

// admit checks what a login asks for, before anything is looked up, and returns
// the device's name.
func admit(c Caller, in LoginInput) (string, error) {
	if err := c.mayUse(in.RefreshTokenDelivery); err != nil {
		return "", err
	}
	return cleanDeviceName(in.DeviceName)
}

func (s *Service) login(ctx context.Context, c Caller, in LoginInput, device string, a *attempt) (*LoginPayload, error) {
	u, err := s.verifyLogin(ctx, c, in, a)
	if err != nil {
		return nil, err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if err := s.beginAllowed(ctx, successGate, a); err != nil {
		return nil, err
	}
	begun, err := s.begin(ctx, c, u, in.RefreshTokenDelivery, device)
	if err != nil {
		return nil, err
	}
	if err := s.warm(ctx, begun.state); err != nil {
		if !errors.Is(err, errCredentials) {
			// Nobody will ever hold its token: it must not stay in the list.
			ends := []session.End{{SessionID: begun.state.ID, ExpiresAt: begun.state.ExpiresAt, Reason: session.ReasonAborted}}
			s.endings.tell(c.event(), u.ID, ends)
			s.endings.owe(toLedger, u.ID, ends)
		}
		return nil, err
	}
	if in.RefreshTokenDelivery == session.DeliveryCookie {
		s.endReplaced(ctx, c)
	}
	return &LoginPayload{
		Credential: begun.credential, AccessToken: begun.access, Session: begun.session(), User: u,
		DeviceProof: DeviceProof{proof: s.prove(a, u), delivery: in.RefreshTokenDelivery},
	}, nil
}

// verifyLogin is the user of an email and a password; errCredentials for every
// mismatch, after the same work. Whoever finds no place in the hashing queue asks
// the database nothing.
func (s *Service) verifyLogin(ctx context.Context, c Caller, in LoginInput, a *attempt) (user.User, error) {
	turn, err := s.Hasher.Enter(throttle.Network(c.Address))
	if err != nil {
		return user.User{}, s.overloaded(err)
	}
	defer turn.Leave()
	lookup, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	u, err := s.Users.ByEmail(lookup, in.Email.Reveal())
	if err != nil && !errors.Is(err, user.ErrNotFound) && !errors.Is(err, user.ErrEmail) {
		return u, s.unavailable("user row", err)
	}
	if err := s.recognise(ctx, a, u); err != nil {
		return u, err
	}
	// An unknown user has no hash, and the hasher works on a decoy then.
	return u, s.verifyPassword(ctx, turn, u, in.Password)
}

// verifyPassword checks a user's password and brings an old hash up to date.
func (s *Service) verifyPassword(ctx context.Context, turn *password.Turn, u user.User, given secret.Text) error {
	result, err := turn.Verify(ctx, u.PasswordHash, given)
	switch {
	case err != nil:
		return s.overloaded(err)
	case u.ID == uuid.Nil:
		return fmt.Errorf("%w: unknown email", errCredentials)
	case !result.OK:
		return fmt.Errorf("%w: wrong password", errCredentials)
	case u.Status != user.StatusActive:
		return fmt.Errorf("%w: the user is %s", errCredentials, u.Status)
	case result.Upgrade:
		s.upgradeHash(ctx, turn, u, given)
	}
	return nil
}

// overloaded is what a login comes to that the hashing queue sent away.
func (s *Service) overloaded(err error) error {
	s.Log.Warn("more passwords wait to be hashed than PAWL_ARGON2_CONCURRENCY allows for; one was refused")
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// upgradeHash replaces a hash of older cost. Failing is no reason to refuse the login.
func (s *Service) upgradeHash(ctx context.Context, turn *password.Turn, u user.User, given secret.Text) {
	hash, err := turn.Hash(ctx, given)
	turn.Leave() // the slot is not for those that wait for the database
	if err == nil {
		write, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		_, err = s.Users.UpgradeHash(write, u.ID, u.PasswordHash, hash)
	}
	if err != nil {
		s.Log.Warn("a password hash could not be brought up to date", "user", u.ID.String(), "error", err)
	}
}

// begun is a new session and what its client gets.
type begun struct {
	state      session.State
	keyID      session.KeyID // of the refresh token
	credential Credential
	access     token.AccessToken
}

// session is the new session as its owner sees it.
func (b *begun) session() session.Session {
	s := b.state.Session.Seen(b.state.CreatedAt, b.state.IdleExpiresAt.Sub(b.state.CreatedAt))
	s.Current = true
	return s
}

// begin writes a session into the ledger for a user as they were when their
// password was verified. Where the user was disabled or changed credentials in
// between, nothing begins and it is errCredentials.
func (s *Service) begin(ctx context.Context, c Caller, u user.User, delivery session.Delivery, device string) (*begun, error) {
	begun, err := s.draft(c, u, delivery, device)
	if err != nil {
		return nil, err
	}
	err = s.Ledger.Begin(ctx, begun.state, begun.keyID, u.CredentialVersion)
	if errors.Is(err, ledger.ErrUserChanged) {
		return nil, errCredentials
	}
	if err != nil {
		s.abort(begun)
		return nil, s.unavailable("beginning a session", err)
	}
	return begun, nil
}

// abort has the ledger end a session whose row may be there although nobody
// will ever hold its tokens.
func (s *Service) abort(b *begun) {
	s.endings.owe(toLedger, b.state.UserID, []session.End{{SessionID: b.state.ID, ExpiresAt: b.state.ExpiresAt, Reason: session.ReasonAborted}})
}

// draft is a new session that no store knows yet. Its tokens are signed before
// anything is written: nothing is begun that cannot be handed out.
func (s *Service) draft(c Caller, u user.User, delivery session.Delivery, device string) (*begun, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("auth: drawing a session id: %w", err)
	}
	keys := s.Keys.Load()
	tok := session.Token{
		KeyID: keys.Refresh.Newest(), Delivery: delivery,
		UserID: u.ID, SessionID: id, Secret: session.NewSecret(), Generation: 1,
	}
	now := s.Now().Truncate(time.Millisecond)
	state := session.State{
		Session: session.Session{
			ID: id, UserID: u.ID, Delivery: delivery,
			CreatedAt: now, LastUsedAt: now, IdleExpiresAt: now.Add(s.Policy.Idle), ExpiresAt: now.Add(s.Policy.Absolute),
			DeviceName: device, UserAgent: c.UserAgent, IPAddress: c.ipAddress(),
		},
		Role: string(u.Role), Binding: s.Policy.Binding(c.Address), Grace: s.Policy.Grace, Retry: s.Policy.Retry,
		SecretHash: tok.Secret.Hash(), Generation: tok.Generation, TurnedAt: now,
	}
	access, err := keys.Issuer.Issue(u.ID, id, state.Role, now, state.ExpiresAt)
	if err != nil {
		return nil, fmt.Errorf("auth: signing an access token: %w", err)
	}
	refresh, err := keys.Refresh.Mint(tok)
	if err != nil {
		return nil, fmt.Errorf("auth: minting a refresh token: %w", err)
	}
	return &begun{state: state, keyID: tok.KeyID, credential: Credential{token: refresh, delivery: delivery}, access: access}, nil
}

// warm puts a session that the ledger has into hot state, and ends those that
// are above the cap. It is errCredentials when the session was ended since.
func (s *Service) warm(ctx context.Context, state session.State) error {
	evicted, err := s.Store.Create(ctx, state, s.Policy.Cap)
	if errors.Is(err, session.ErrEnded) {
		return errCredentials
	}
	if err != nil {
		return s.unavailable("beginning a session", err)
	}
	s.endings.end(ctx, state.UserID, evicted, toOperators|toLedger)
	return nil
}

// endReplaced ends the sessions whose refresh cookies came along with a login:
// the new cookie takes their place.
func (s *Service) endReplaced(ctx context.Context, c Caller) {
	keys := s.Keys.Load()
	for _, text := range c.RefreshCookies[:min(len(c.RefreshCookies), maxRelogins)] {
		tok, err := keys.Refresh.Parse(text)
		if err != nil || tok.Delivery != session.DeliveryCookie {
			continue
		}
		if _, err := s.endings.byToken(ctx, tok, session.ReasonRelogin); err != nil {
			s.Log.Warn("store unavailable", "operation", "ending a replaced session", "error", err)
		}
	}
}

// cleanDeviceName drops control characters and refuses what is too long.
func cleanDeviceName(name *string) (string, error) {
	if name == nil {
		return "", nil
	}
	clean := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, *name))
	if utf8.RuneCountInString(clean) > maxDeviceName {
		return "", &InputError{Field: "deviceName", Message: fmt.Sprintf("must be at most %d characters", maxDeviceName)}
	}
	return clean, nil
}

// newPasswordProblems judges a password that is to be set.
func (s *Service) newPasswordProblems(u user.User, fresh secret.Text) []password.Problem {
	return password.Check(fresh, append([]string{u.Email}, s.PasswordContext...)...)
}

// holdUntil waits for a moment, so that answers take the same time whatever
// their cause.
func (s *Service) holdUntil(moment time.Time) {
	if wait := moment.Sub(s.Now()); wait > 0 {
		time.Sleep(wait)
	}
}
