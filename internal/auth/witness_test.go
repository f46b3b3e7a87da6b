package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/memstore"
	"github.com/pawlauth/pawl/internal/throttle"
)

// witness reads the events of a world.
type witness struct {
	*world
	after uuid.UUID            // the last one read
	names map[uuid.UUID]string // what ids are called
}

// account is the keyed hash that stands for an email.
var account = regexp.MustCompile(`^[0-9a-f]{64}$`)

// told demands the events since the last look. Each is one line: name, user,
// session, address, user agent, who came earlier, details.
func (w *witness) told(when string, want ...string) {
	w.Helper()
	w.must(w.audit.Flush(w.Context()))
	entries, err := audit.List(w.Context(), w.db, audit.Filter{OldestFirst: true, After: w.after})
	w.must(err)
	var got []string
	for _, e := range entries {
		w.after = e.ID
		line := []string{string(e.Name)}
		add := func(key, value string) {
			if value != "" {
				line = append(line, key+"="+value)
			}
		}
		add("user", w.names[e.UserID])
		add("session", w.names[e.SessionID])
		add("from", strings.Trim(e.Address+" "+e.UserAgent, " "))
		if e.Earlier != (audit.Presenter{}) {
			add("earlier", e.Earlier.Address+" "+e.Earlier.UserAgent+" "+e.Earlier.At.UTC().Format(time.TimeOnly))
		}
		if account.MatchString(e.Details["account"]) {
			e.Details["account"] = "hash"
		}
		if len(e.Details) > 0 {
			add("details", strings.TrimPrefix(fmt.Sprint(e.Details), "map"))
		}
		got = append(got, strings.Join(line, " "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("%s: got events\n\t%s\nwant\n\t%s", when, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func watched(t *testing.T) *witness {
	w := newWorld(t)
	w.hot.flush = func() { w.hot.Store = memstore.New(w.clock.now) }
	return &witness{world: w, names: map[uuid.UUID]string{w.user.ID: "ada", uuid.Nil: ""}}
}

// enter begins a session that is called so.
func (w *witness) enter(name string, caller auth.Caller) *client {
	w.Helper()
	c := w.login(caller)
	w.names[c.id] = name
	return c
}

const (
	fromPhone = " from=192.0.2.2 phone"
	fromThief = " from=198.51.100.7 thief"
)

// What is told of logins. Why one failed is in the log alone, and what was typed
// for an email nowhere.
func TestLoginsLeaveEvents(t *testing.T) {
	w := watched(t)
	w.loginSchedule = throttle.Schedule{{Failures: 2, Pause: time.Minute}}
	w.restart()
	var log bytes.Buffer
	w.svc.Log = logtest.New(t, slog.NewTextHandler(&log, nil))
	w.enter("one", phone)
	w.told("a login", "login.succeeded user=ada session=one"+fromPhone, "session.created user=ada session=one"+fromPhone+" details=[delivery:BODY]")

	w.tryLogin(phone, "wrong")
	_, err := w.svc.Login(t.Context(), phone, auth.LoginInput{
		Email: secret.New("Kerfuffle-9"), Password: secret.New("x"), RefreshTokenDelivery: session.DeliveryBody,
	})
	w.must(err)
	failed := "login.failed" + fromPhone + " details=[account:hash]"
	w.told("two failed logins", failed, failed)
	for _, reason := range []string{`reason="wrong password"`, `reason="unknown email"`} {
		if strings.Count(log.String(), reason) != 1 {
			t.Errorf("got log %s, want it with one %s", &log, reason)
		}
	}
	if strings.Contains(strings.ToLower(log.String()), "kerfuffle") {
		t.Errorf("got log %s, want it without what was typed for an email", &log)
	}

	w.tryLogin(phone, "wrong")
	w.tryLogin(phone, goodPassword) // while the pause runs
	w.told("a pause", failed, "login.throttled"+fromPhone+" details=[account:hash]")
	w.clock.step(2 * time.Minute)
	w.dbDown.Store(true)
	_, err = w.svc.Login(t.Context(), phone, auth.LoginInput{
		Email: secret.New("ada@example.com"), Password: secret.New("x"), RefreshTokenDelivery: session.DeliveryBody,
	})
	w.dbDown.Store(false)
	if !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("without a database: got %v, want ErrUnavailable", err)
	}
	w.told("without a database", "store.unavailable details=[operation:user row]")
}

// What is told of a token that comes back: both who had it, and when.
func TestTheftLeavesAnEvent(t *testing.T) {
	w := watched(t)
	c := w.enter("one", phone)
	first := c.token
	w.clock.step(time.Minute)
	c.refresh()
	w.told("an honest refresh", "login.succeeded user=ada session=one"+fromPhone, "session.created user=ada session=one"+fromPhone+" details=[delivery:BODY]")
	w.clock.step(time.Minute)
	thief := &client{w: w.world, caller: auth.Caller{Address: netip.MustParseAddr("198.51.100.7"), UserAgent: "thief", BodyAllowed: true}}
	thief.wants(first, auth.ErrRefreshReused)
	w.told("a replay", "session.reuse_detected user=ada session=one"+fromThief+" earlier=192.0.2.2 phone 12:01:00")
	thief.wants(first, auth.ErrRefreshRevoked)
	w.told("the same again")

	w.clock.step(time.Second) // ids of two logs have no order within a millisecond
	w.policy.BindIP = true
	w.restart()
	bound := w.enter("bound", phone)
	thief.wants(bound.token, auth.ErrRefreshBinding)
	w.told("a token from elsewhere", "login.succeeded user=ada session=bound"+fromPhone, "session.created user=ada session=bound"+fromPhone+" details=[delivery:BODY]",
		"session.binding_mismatch user=ada session=bound"+fromThief+" earlier=192.0.2.2 phone 12:02:01")
	channel := w.enter("channel", browser)
	w.told("a login of a browser", "login.succeeded user=ada session=channel from=192.0.2.1 browser",
		"session.created user=ada session=channel from=192.0.2.1 browser details=[delivery:COOKIE]")
	_, err := w.svc.Refresh(auth.WithCaller(t.Context(), thief.caller), thief.caller, &auth.RefreshTokenInput{RefreshToken: &channel.token})
	if !errors.Is(err, auth.ErrRefreshBinding) {
		t.Errorf("a cookie in a body: got %v, want ErrRefreshBinding", err)
	}
	w.told("a cookie in a body", "session.binding_mismatch user=ada session=channel"+fromThief)

	other := w.enter("forged", phone)
	tok, err := w.svc.Keys.Load().Refresh.Parse(other.token)
	w.must(err)
	tok.Secret = session.NewSecret()
	forged, err := w.svc.Keys.Load().Refresh.Mint(tok)
	w.must(err)
	w.told("a login", "login.succeeded user=ada session=forged"+fromPhone, "session.created user=ada session=forged"+fromPhone+" details=[delivery:BODY]")
	thief.wants(forged, auth.ErrRefreshUnknown)
	w.told("a forged token", "session.token_forged user=ada session=forged"+fromThief)
	w.clock.step(w.policy.Idle)
	other.wants(other.token, auth.ErrRefreshExpired)
	w.told("a token that comes too late", "session.expired user=ada session=forged"+fromPhone)
}

// What is told of the ends of sessions, with the reason, once each; and of one
// that came back from a loss.
func TestEndsLeaveEvents(t *testing.T) {
	w := watched(t)
	w.policy.Cap = 2
	w.hot.flush()
	w.restart()
	begun := func(name string) []string {
		return []string{"login.succeeded user=ada session=" + name + fromPhone, "session.created user=ada session=" + name + fromPhone + " details=[delivery:BODY]"}
	}
	w.enter("one", phone)
	w.clock.step(time.Second)
	two := w.enter("two", phone)
	w.clock.step(time.Second)
	three := w.enter("three", phone)
	w.told("one session more than there may be", slices.Concat(begun("one"), begun("two"), begun("three"), []string{"session.evicted user=ada session=one"})...)

	for range 2 {
		_, err := w.svc.Logout(auth.WithCaller(t.Context(), phone), phone, &auth.LogoutInput{RefreshToken: &two.token})
		w.must(err)
	}
	w.told("a logout, twice", "session.revoked user=ada session=two"+fromPhone+" details=[reason:logout]")

	w.svc.Flush(t.Context())
	w.hot.flush()
	three.refresh()
	w.told("a loss", "session.recovered user=ada session=three"+fromPhone)

	claims := w.claims(three)
	result, err := w.svc.ChangePassword(auth.WithCaller(t.Context(), phone), phone, claims, auth.ChangePasswordInput{
		CurrentPassword: secret.New(goodPassword), NewPassword: secret.New("an even better sentence of words"),
	})
	w.must(err)
	changed, ok := result.(*auth.ChangePasswordPayload)
	if !ok {
		t.Fatalf("changing the password: got %T", result)
	}
	w.names[changed.Session.ID] = "four"
	w.told("another password", "password.changed user=ada session=three"+fromPhone, "session.revoked user=ada session=three"+fromPhone+" details=[reason:password]",
		"session.created user=ada session=four"+fromPhone+" details=[delivery:BODY]")

	four := &client{w: w.world, caller: phone, token: handed(changed.Credential), access: changed.AccessToken.Token, id: changed.Session.ID}
	_, err = w.svc.RevokeSession(auth.WithCaller(t.Context(), phone), phone, w.claims(four), auth.RevokeSessionInput{SessionID: four.id.String()})
	w.must(err)
	w.told("revoked by its owner", "session.revoked user=ada session=four"+fromPhone+" details=[reason:revoked]")

	w.clock.step(w.policy.Idle)
	four.wants(four.token, auth.ErrRefreshRevoked)
	w.told("after all of that")
}
