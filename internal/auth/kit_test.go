package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/memstore"
	"github.com/pawlauth/pawl/internal/session/redisstore"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

const goodPassword = "correct horse battery staple"

var (
	errDown = errors.New("down on purpose")
	refresh = session.Key{Material: []byte("0123456789abcdef0123456789abcdef")}
	browser = auth.Caller{Address: netip.MustParseAddr("192.0.2.1"), UserAgent: "browser", CookieAllowed: true}
	phone   = auth.Caller{Address: netip.MustParseAddr("192.0.2.2"), UserAgent: "phone", BodyAllowed: true}
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// hotStore is a store that can be emptied, taken away, and replaced.
type hotStore struct {
	session.Store
	down  atomic.Bool
	finds atomic.Int64
	lists atomic.Int64
	flush func()
}

// feed is a local feed whose news can stop coming.
type feed struct {
	*revocation.Local
	stopped atomic.Pointer[time.Time]
}

func (f *feed) Current() time.Time {
	if at := f.stopped.Load(); at != nil {
		return *at
	}
	return f.Local.Current()
}

func (h *hotStore) err() error {
	if h.down.Load() {
		return errDown
	}
	return nil
}

func (h *hotStore) Create(ctx context.Context, s session.State, limit int) ([]session.End, error) {
	if err := h.err(); err != nil {
		return nil, err
	}
	return h.Store.Create(ctx, s, limit)
}

func (h *hotStore) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	if err := h.err(); err != nil {
		return session.Verdict{}, err
	}
	return h.Store.Rotate(ctx, p, policy)
}

func (h *hotStore) Restore(ctx context.Context, s session.State, adopt uint64, policy session.Policy) (session.State, error) {
	if err := h.err(); err != nil {
		return session.State{}, err
	}
	return h.Store.Restore(ctx, s, adopt, policy)
}

func (h *hotStore) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	if err := h.err(); err != nil {
		return err
	}
	return h.Store.Revoke(ctx, userID, ends)
}

func (h *hotStore) Find(ctx context.Context, userID, sessionID uuid.UUID) (session.State, error) {
	h.finds.Add(1)
	if err := h.err(); err != nil {
		return session.State{}, err
	}
	return h.Store.Find(ctx, userID, sessionID)
}

func (h *hotStore) List(ctx context.Context, userID uuid.UUID) ([]session.State, error) {
	h.lists.Add(1)
	if err := h.err(); err != nil {
		return nil, err
	}
	return h.Store.List(ctx, userID)
}

// world is one server with everything real but the clock.
type world struct {
	*testing.T
	clock  *clock
	db     *gorm.DB
	dbDown atomic.Bool
	dbLost atomic.Bool // a session's row is written, and the answer to it lost
	hot    *hotStore
	users  *user.Users
	ledger *ledger.Ledger
	access *token.Keyring
	policy session.Policy
	feed   *feed
	open   bool // fail open
	seen   *seen
	audit  *audit.Log
	svc    *auth.Service
	user   user.User

	loginRate, successRate, refreshRate throttle.Rate // off unless set, and restarted
	loginSchedule                       throttle.Schedule
}

// each runs a test on the memory store and on Redis scripts in process.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		w := newWorld(t)
		w.hot.flush = func() { w.hot.Store = memstore.New(w.clock.now) }
		w.hot.flush()
		test(w)
	})
	t.Run("redis", func(t *testing.T) {
		w := newWorld(t)
		server := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		w.hot.Store = redisstore.New(client, redisstore.Options{Now: w.clock.now})
		w.hot.flush = server.FlushAll
		test(w)
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, databasetest.SQLite(t))
}

func newWorldOn(t *testing.T, db *gorm.DB) *world {
	t.Helper()
	w := &world{T: t, clock: &clock{at: time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)}, hot: &hotStore{}, seen: &seen{}}
	w.db = db
	w.users, w.ledger = user.New(w.db, w.clock.now), ledger.New(w.db, w.clock.now)
	w.policy = session.Policy{
		Idle: 168 * time.Hour, Absolute: 720 * time.Hour, Grace: 10 * time.Second, Retry: 24 * time.Hour, Cap: 20,
	}
	key, err := token.GenerateKey(token.EdDSA)
	w.must(err)
	w.access, err = token.NewKeyring(key)
	w.must(err)
	w.breakable()
	w.hot.Store = memstore.New(w.clock.now)
	w.restart()

	hash, err := w.svc.Hasher.Hash(t.Context(), "", secret.New(goodPassword))
	w.must(err)
	w.user, err = w.users.Add(t.Context(), "ada@example.com", hash, user.RoleUser)
	w.must(err)
	return w
}

// config is how the world's access tokens are made.
func (w *world) config() token.Config {
	return token.Config{Issuer: "https://auth.example.com", Audience: "app", TTL: 15 * time.Minute, Leeway: 15 * time.Second, CacheSize: 100}
}

// restart is a new process on the same stores: all that was in memory is gone.
func (w *world) restart(keys ...session.Key) {
	w.Helper()
	if keys == nil {
		keys = []session.Key{refresh}
	}
	ring, err := session.NewKeyring(keys...)
	w.must(err)
	config := w.config()
	issuer, err := token.NewIssuer(w.access, config, w.clock.now)
	w.must(err)
	verifier, err := token.NewVerifier(w.access, config, w.clock.now)
	w.must(err)
	hasher, err := password.New(password.Params{MemoryKiB: 64, Time: 1, Parallelism: 1}, 16)
	w.must(err)
	devices, err := device.NewKeyring(w.clock.now, 0, refresh.Material)
	w.must(err)
	log := logtest.New(w)
	w.audit = audit.New(audit.Config{DB: w.db, Log: log, Now: w.clock.now})
	w.feed = &feed{Local: revocation.NewLocal(w.clock.now)}
	live := new(atomic.Pointer[auth.Keys])
	live.Store(&auth.Keys{Refresh: ring, Issuer: issuer, Verifier: verifier, Devices: devices})
	w.svc, err = auth.New(auth.Config{
		Users: w.users, Ledger: w.ledger, Store: w.hot, Keys: live, Hasher: hasher,
		Feed: w.feed, StaleAfter: 3 * time.Second, FailOpen: w.open, Revoked: revocation.NewSet(w.clock.now), Policy: w.policy,
		Audit: w.audit, Throttle: throttle.NewMemory(w.clock.now), Refreshes: throttle.NewMemory(w.clock.now),
		LoginRate: w.loginRate, LoginSchedule: w.loginSchedule, LoginSuccessRate: w.successRate, RefreshRate: w.refreshRate,
		ReconcileEvery: time.Second, PasswordContext: []string{"pawl"}, Observer: w.seen.observer(), Log: log, Now: w.clock.now,
	})
	w.must(err)
}

// breakable lets the database be taken away.
func (w *world) breakable() {
	fail := func(db *gorm.DB) {
		if w.dbDown.Load() {
			_ = db.AddError(errDown)
		}
	}
	lose := func(db *gorm.DB) {
		if w.dbLost.Load() && strings.Contains(db.Statement.SQL.String(), "INSERT INTO sessions") {
			_ = db.AddError(errDown)
		}
	}
	w.must(errors.Join(
		w.db.Callback().Raw().After("gorm:raw").Register("lost", lose),
		w.db.Callback().Query().Before("gorm:query").Register("down", fail),
		w.db.Callback().Row().Before("gorm:row").Register("down", fail),
		w.db.Callback().Raw().Before("gorm:raw").Register("down", fail),
		w.db.Callback().Create().Before("gorm:create").Register("down", fail),
		w.db.Callback().Update().Before("gorm:update").Register("down", fail),
	))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// client is one phone or browser and the newest refresh token it got.
type client struct {
	w      *world
	caller auth.Caller
	token  secret.Text
	access secret.Text
	id     uuid.UUID
}

func (w *world) login(caller auth.Caller) *client {
	w.Helper()
	result := w.tryLogin(caller, goodPassword)
	payload, ok := result.(*auth.LoginPayload)
	if !ok {
		w.Fatalf("login: got %T, want a session", result)
	}
	return &client{w: w, caller: caller, token: handed(payload.Credential), access: payload.AccessToken.Token, id: payload.Session.ID}
}

func (w *world) tryLogin(caller auth.Caller, pass string) auth.LoginResult {
	w.Helper()
	delivery := session.DeliveryBody
	if caller.CookieAllowed {
		delivery = session.DeliveryCookie
	}
	result, err := w.svc.Login(w.Context(), caller, auth.LoginInput{
		Email: secret.New("Ada@Example.com "), Password: secret.New(pass), RefreshTokenDelivery: delivery,
	})
	w.must(err)
	return result
}

func handed(c auth.Credential) secret.Text {
	if value, ok := c.Cookie(); ok {
		return value
	}
	return *c.RefreshToken()
}

// send presents a token, with an attempt id unless it is empty.
func (c *client) send(tok secret.Text, attempt string) (*auth.RefreshTokenPayload, error) {
	caller, in := c.caller, &auth.RefreshTokenInput{}
	if caller.CookieAllowed {
		caller.RefreshCookies = []secret.Text{tok}
	} else {
		in.RefreshToken = &tok
	}
	if attempt != "" {
		id := secret.New(attempt)
		in.AttemptID = &id
	}
	return c.w.svc.Refresh(c.w.Context(), caller, in)
}

// refresh presents the newest token and demands an answer.
func (c *client) refresh() *auth.RefreshTokenPayload {
	c.w.Helper()
	payload, err := c.send(c.token, "")
	if err != nil {
		c.w.Fatalf("refresh: %v", err)
	}
	c.token, c.access = handed(payload.Credential), payload.AccessToken.Token
	return payload
}

// turn refreshes after the grace has passed and demands a new token.
func (c *client) turn() {
	c.w.Helper()
	c.w.clock.step(c.w.policy.Grace + time.Second)
	if !c.refresh().Rotated {
		c.w.Fatal("refresh after the grace: got rotated false, want true")
	}
}

// wants demands an error for a token.
func (c *client) wants(tok secret.Text, want error) {
	c.w.Helper()
	if _, err := c.send(tok, ""); !errors.Is(err, want) {
		c.w.Fatalf("refresh: got error %v, want %v", err, want)
	}
}

// same demands the given successor for a token, without a turn.
func (c *client) same(tok secret.Text, attempt string, want secret.Text) {
	c.w.Helper()
	payload, err := c.send(tok, attempt)
	if err != nil {
		c.w.Fatalf("refresh: got error %v, want the same successor", err)
	}
	if got := handed(payload.Credential); got.Reveal() != want.Reveal() {
		c.w.Fatal("refresh: got another successor")
	}
	if payload.Rotated {
		c.w.Fatal("refresh: got rotated true, want false")
	}
}

// authenticates demands the result of a protected read with the newest access token.
func (c *client) authenticates(want error) {
	c.w.Helper()
	caller := c.caller
	caller.AccessToken = c.access
	if _, err := c.w.svc.Authenticate(c.w.Context(), caller); !errors.Is(err, want) {
		c.w.Fatalf("access token: got %v, want %v", err, want)
	}
}

// inLedger demands what the ledger says of the session.
func (c *client) inLedger(ended bool, reason session.Reason) ledger.Entry {
	c.w.Helper()
	entry, err := c.w.ledger.Find(c.w.Context(), c.w.user.ID, c.id)
	c.w.must(err)
	if entry.Ended() != ended || entry.Reason != reason {
		c.w.Fatalf("ledger: got ended %t reason %q, want %t %q", entry.Ended(), entry.Reason, ended, reason)
	}
	return entry
}
