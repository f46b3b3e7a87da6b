package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/explorer"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/refreshcookie"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/server"
	"github.com/pawlauth/pawl/internal/telemetry"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/user"
)

// readyLook is the time between two looks whether the revocations are known.
const readyLook = 5 * time.Millisecond

// node is one running server. dev and serve differ in settings and hooks.
type node struct {
	settings
	log *slog.Logger

	// prepare works on the database before the schema is checked; optional.
	prepare func(context.Context, *gorm.DB, *password.Hasher) error
	// held is the lease on the database, where it was taken before; optional.
	held *ledger.Lease
	// leased is the lease that was taken here, nil before and where none is needed.
	leased    atomic.Pointer[ledger.Lease]
	wasHalted atomic.Bool
	// ready is called once, when requests are answered. port is the public one.
	ready func(port int)

	// reload makes the server look at its keys at once; optional.
	reload <-chan os.Signal

	keys         *liveKeys
	cookie       *refreshcookie.Cookie
	deviceCookie *refreshcookie.Cookie
	hasher       *password.Hasher
	metrics      *telemetry.Metrics
	events       atomic.Pointer[audit.Log] // nil before the database is open
	web          *server.Server
}

// run serves until ctx ends, and returns nil after an orderly end: requests in
// flight first, then what is still to be written, then the stores.
func (n *node) run(ctx context.Context) error {
	redis.SetLogger(quietRedis{n.log})
	if err := n.build(); err != nil {
		return err
	}
	public, err := server.Listen(ctx, n.addr)
	if err != nil {
		return &settingError{"PAWL_ADDR", "cannot listen there: " + plain(err)}
	}
	defer func() { _ = public.Close() }()
	if err := n.face(public.Port()); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var web sync.WaitGroup
	if n.adminAddr != "" {
		admin, err := server.Listen(ctx, n.adminAddr)
		if err != nil {
			return &settingError{"PAWL_ADMIN_ADDR", "cannot listen there: " + plain(err)}
		}
		n.log.Info("listening for operators", "address", admin[0].Addr().String())
		web.Go(func() {
			if err := server.ServeAdmin(ctx, admin, n.metrics.Handler(n.log), n.log); err != nil {
				stop(err)
			}
		})
	}
	web.Go(func() {
		if err := n.web.Serve(ctx, public); err != nil {
			stop(err)
		}
	})
	n.log.Info("listening", "address", public[0].Addr().String(), "tls", n.certificate != nil)
	err = n.work(ctx, public.Port(), func() { stop(nil); web.Wait() })
	stop(err)
	web.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	n.log.Info("stopped")
	return err
}

// build makes what needs neither network nor store.
func (n *node) build() error {
	n.keys = &liveKeys{dir: n.keysDir, config: n.access, now: time.Now}
	_, err := n.keys.load()
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	if n.hasher, err = password.New(n.argon2, n.hashConcurrency); err != nil {
		return &settingError{"PAWL_ARGON2_MEMORY", err.Error()}
	}
	travels := refreshcookie.Config{Secure: n.secureCookie, SameSite: n.sameSite}
	n.cookie, n.deviceCookie = refreshcookie.New(travels), refreshcookie.NewDevice(travels)
	n.metrics = telemetry.New(database.Statements(), time.Now)
	return nil
}

// face makes the public side for the port that was opened.
func (n *node) face(port int) (err error) {
	if n.developer && n.allowedOrigins == nil {
		n.allowedOrigins = devOrigins(port)
	}
	warn(n.log, browsersServed(n.settings))
	config := server.Config{
		JWKS:             func() []byte { return n.keys.signing.Load().JWKS() },
		Cookie:           n.cookie,
		DeviceCookie:     n.deviceCookie,
		RootToExplorer:   n.developer,
		AllowedOrigins:   n.allowedOrigins,
		WebviewOrigins:   n.webviewOrigins,
		TrustedProxies:   n.trustedProxies,
		NAT64Prefixes:    n.nat64Prefixes,
		CrossSiteCookies: n.sameSite == http.SameSiteNoneMode,
		Certificate:      n.certificate,
		Halted:           n.halted,
		CrossOrigin:      func(c auth.Caller) { n.tell(audit.RequestCrossOriginRejected, c) },
		Log:              n.log,
	}
	if n.explorer {
		if config.Explorer, err = explorer.New(); err != nil {
			return err
		}
	}
	n.web, err = server.New(config)
	return err
}

// work opens the stores and answers requests until ctx ends. drain stops the
// listeners and returns when the requests in flight are answered.
func (n *node) work(ctx context.Context, port int, drain func()) error {
	db, err := openDatabase(ctx, n.databaseURL)
	if err != nil {
		return ended(ctx, err)
	}
	defer func() { _ = database.Close(db) }()
	if err := database.Observe(db, time.Now, n.metrics.Statement); err != nil {
		return err
	}
	hot, err := openHotState(n.redisURL, n.sentinelPass, n.log, func() { n.tell(audit.FeedReset, auth.Caller{}) })
	if err != nil {
		return err
	}
	defer func() { _ = hot.close() }()
	hot.store = n.metrics.Store(hot.store)
	if err := waitForStores(ctx, n.log, db, hot.store); err != nil {
		return ended(ctx, err)
	}
	if err := n.checkDatabase(ctx, db); err != nil {
		return ended(ctx, err)
	}
	lost, release, err := n.lease(ctx, db)
	if err != nil {
		return ended(ctx, err)
	}
	defer release()
	warnRedis(ctx, n.settings, n.log)
	events := audit.New(audit.Config{DB: db, Log: n.log, Now: time.Now})
	n.events.Store(events)
	service, err := n.service(db, hot, events)
	if err != nil {
		return err
	}
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	var written sync.WaitGroup
	written.Go(func() { events.Run(behind) })
	written.Go(func() { n.keys.follow(ctx, n.reload, events, service.Withdraw, n.log) })
	events.Record(audit.Event{Name: audit.ServerStarted})
	ran := make(chan error, 1)
	go func() { ran <- service.Run(behind) }()
	err = n.answer(ctx, service, events, port, ran, lost)
	drain()
	events.Record(audit.Event{Name: audit.ServerStopped})
	stop()
	err = errors.Join(err, <-ran)
	written.Wait()
	return err
}

// answer opens the API as soon as the revocations are known, and returns when
// ctx ends, or something without which requests must not be answered.
func (n *node) answer(ctx context.Context, service *auth.Service, events *audit.Log, port int, ran chan error, lost <-chan struct{}) error {
	handler, err := graph.NewHandler(graph.Config{
		Auth: service, Cookie: n.cookie, DeviceCookie: n.deviceCookie, MaxBody: n.maxBody,
		Introspection: n.introspection, Suggestions: n.developer, Refused: n.refused,
		Log: n.log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	look := time.NewTicker(readyLook)
	defer look.Stop()
	for open := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-lost:
			return errors.New("another server took the lease on the database: this one stops, because two servers with sessions in memory would disagree")
		case err := <-ran:
			ran <- nil // for whoever waits for the end
			return fmt.Errorf("the work behind the requests ended: %w", err)
		case <-look.C:
		}
		if !open && service.Ready() {
			open = true
			look.Stop()
			n.web.Open(n.metrics.InFlight(handler))
			events.Record(audit.Event{Name: audit.ServerReady})
			n.ready(port)
		}
	}
}

// refused records what GraphQL refused.
func (n *node) refused(ctx context.Context, code string) {
	name := audit.RequestOperationLimit
	if code == "CROSS_ORIGIN_REQUEST" {
		name = audit.RequestCrossOriginRejected
	}
	n.tell(name, auth.CallerFrom(ctx))
}

// tell records an event of a caller's, or of nobody's.
func (n *node) tell(name audit.Name, c auth.Caller) {
	events := n.events.Load()
	if events == nil {
		return
	}
	e := audit.Event{Name: name, UserAgent: c.UserAgent}
	if c.Address.IsValid() {
		e.Address = c.Address.String()
	}
	events.Record(e)
}

func (n *node) service(db *gorm.DB, hot hotState, events *audit.Log) (*auth.Service, error) {
	revoked := revocation.NewSet(time.Now)
	service, err := auth.New(auth.Config{
		Users:            user.New(db, time.Now),
		Ledger:           ledger.New(db, time.Now),
		Store:            hot.store,
		Keys:             &n.keys.keys,
		Hasher:           n.hasher,
		Feed:             hot.feed,
		Revoked:          revoked,
		Policy:           n.policy,
		Audit:            events,
		Throttle:         hot.gates,
		LoginRate:        n.loginRate,
		LoginSchedule:    n.loginSchedule,
		Refreshes:        throttle.NewMemory(time.Now),
		LoginSuccessRate: n.loginSuccessRate,
		RefreshRate:      n.refreshRate,
		ReconcileEvery:   n.reconcile,
		StaleAfter:       n.staleAfter,
		FailOpen:         n.failOpen,
		LoginMinDuration: n.loginMin,
		PasswordContext:  n.passwordWords,
		Observer:         n.metrics.Observer(),
		Log:              n.log,
		Now:              time.Now,
	})
	if err != nil {
		return nil, err
	}
	n.metrics.Watch(service, hot.feed, revoked)
	return service, nil
}
