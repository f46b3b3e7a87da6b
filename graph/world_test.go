package graph_test

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/refreshcookie"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/memstore"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

const goodPassword = "correct horse battery staple"

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

// world is the API over real stores.
type world struct {
	testing.TB
	rig
	db       *gorm.DB
	clock    *clock
	users    *user.Users
	accounts *auth.Accounts
	cookie   *refreshcookie.Cookie
	ada      user.User
	admin    user.User
}

// Two ways to call: a page that may use the cookie, and an app.
var (
	page = auth.Caller{Address: netip.MustParseAddr("192.0.2.1"), UserAgent: "browser", CookieAllowed: true}
	app  = auth.Caller{Address: netip.MustParseAddr("192.0.2.2"), UserAgent: "app", BodyAllowed: true}
)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		TB: t, db: databasetest.SQLite(t), clock: &clock{at: time.Date(2030, 5, 1, 12, 0, 0, 7_000_000, time.UTC)},
		cookie: refreshcookie.New(refreshcookie.Config{Secure: true}),
	}
	w.users = user.New(w.db, w.clock.now)
	rows, store := ledger.New(w.db, w.clock.now), memstore.New(w.clock.now)
	feed := revocation.NewLocal(w.clock.now)
	material := []byte("0123456789abcdef0123456789abcdef")
	devices, err := device.NewKeyring(w.clock.now, 0, material)
	w.must(err)
	w.accounts = &auth.Accounts{Users: w.users, Ledger: rows, Store: store, Feed: feed}
	key, err := token.GenerateKey(token.EdDSA)
	w.must(err)
	keys, err := token.NewKeyring(key)
	w.must(err)
	config := token.Config{Issuer: "https://auth.example.com", Audience: "app", TTL: 15 * time.Minute, Leeway: 15 * time.Second, CacheSize: 100}
	issuer, err := token.NewIssuer(keys, config, w.clock.now)
	w.must(err)
	verifier, err := token.NewVerifier(keys, config, w.clock.now)
	w.must(err)
	ring, err := session.NewKeyring(session.Key{Material: material})
	w.must(err)
	hasher, err := password.New(password.Params{MemoryKiB: 64, Time: 1, Parallelism: 1}, 16)
	w.must(err)
	log := logtest.New(t)
	live := new(atomic.Pointer[auth.Keys])
	live.Store(&auth.Keys{Refresh: ring, Issuer: issuer, Verifier: verifier, Devices: devices})
	service, err := auth.New(auth.Config{
		Users: w.users, Ledger: rows, Store: store, Keys: live, Hasher: hasher,
		Feed: feed, Revoked: revocation.NewSet(w.clock.now),
		Policy:   session.Policy{Idle: 168 * time.Hour, Absolute: 720 * time.Hour, Grace: 10 * time.Second, Retry: 24 * time.Hour, Cap: 20},
		Audit:    audit.New(audit.Config{Log: log, Now: w.clock.now}),
		Throttle: throttle.NewMemory(w.clock.now), Refreshes: throttle.NewMemory(w.clock.now),
		LoginRate: throttle.Rate{Burst: 30, Every: 2 * time.Second}, LoginSchedule: throttle.Schedule{{Failures: 5, Pause: 30 * time.Second}},
		RefreshRate:    throttle.Rate{Burst: 600, Every: 100 * time.Millisecond},
		ReconcileEvery: time.Second, Log: log, Now: w.clock.now,
	})
	w.must(err)
	hash, err := hasher.Hash(t.Context(), "", secret.New(goodPassword))
	w.must(err)
	w.ada, err = w.users.Add(t.Context(), "ada@example.com", hash, user.RoleUser)
	w.must(err)
	w.admin, err = w.users.Add(t.Context(), "admin@example.com", hash, user.RoleAdmin)
	w.must(err)

	w.log = &logBuffer{}
	w.handler, err = graph.NewHandler(graph.Config{
		Auth: service, Cookie: w.cookie, DeviceCookie: refreshcookie.NewDevice(refreshcookie.Config{Secure: true}), Introspection: true,
		Log: logtest.New(t, slog.NewJSONHandler(w.log, nil)), Now: w.clock.now,
	})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// client is one browser or app with what it holds.
type client struct {
	*world
	caller  auth.Caller
	access  string
	refresh string // of an app
	jar     []secret.Text
	devices []secret.Text
	id      string
}

func (w *world) client(caller auth.Caller) *client { return &client{world: w, caller: caller} }

// ask sends a document and takes the cookies of the answer over.
func (c *client) ask(query string, variables map[string]any) *answer {
	c.Helper()
	r := c.rig
	r.caller = c.caller
	r.caller.AccessToken = secret.New(c.access)
	r.caller.RefreshCookies, r.caller.DeviceCookies = c.jar, c.devices
	got := r.query(c.TB, query, variables, acceptGraphQL)
	for _, cookie := range (&http.Response{Header: got.header}).Cookies() {
		if cookie.Name == "__Host-pawl-device" {
			c.devices = []secret.Text{secret.New(cookie.Value)}
			continue
		}
		c.jar = nil
		if cookie.MaxAge > 0 {
			c.jar = []secret.Text{secret.New(cookie.Value)}
		}
	}
	return got
}

const loginDocument = `mutation($i:LoginInput!){login(input:$i){__typename ...on UserError{message}
 ...on LoginPayload{refreshToken deviceToken accessToken{token type expiresAt expiresIn} user{id email role createdAt}
 session{id current createdAt lastUsedAt idleExpiresAt expiresAt deviceName userAgent ipAddress delivery}}}}`

// login signs in and keeps the tokens.
func (c *client) login(email string) *answer {
	c.Helper()
	input := map[string]any{"email": email, "password": goodPassword}
	if c.caller.BodyAllowed {
		input["refreshTokenDelivery"] = "BODY"
	}
	got := c.ask(loginDocument, map[string]any{"i": input})
	if len(got.Errors) > 0 || got.text("login.__typename") != "LoginPayload" {
		c.Fatalf("login: got %s", got.raw)
	}
	c.keep(got, "login")
	c.id = got.text("login.session.id")
	return got
}

// keep takes the tokens of an answer over.
func (c *client) keep(got *answer, field string) {
	c.access = got.text(field + ".accessToken.token")
	if c.caller.BodyAllowed {
		c.refresh = got.text(field + ".refreshToken")
	}
}

const refreshDocument = `mutation($i:RefreshTokenInput){refreshToken(input:$i){rotated refreshToken accessToken{token} session{id}}}`

func (c *client) refreshWith(token string) *answer {
	c.Helper()
	variables := map[string]any{}
	if c.caller.BodyAllowed {
		variables["i"] = map[string]any{"refreshToken": token}
	}
	return c.ask(refreshDocument, variables)
}

// setCookies are the refresh cookies that an answer sets.
func (c *client) setCookies(got *answer) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(got.header["Set-Cookie"]), func(cookie string) bool {
		return strings.HasPrefix(cookie, "__Host-pawl-device=")
	}), "\n")
}
