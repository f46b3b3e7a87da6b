package bench_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/redistest"
)

const (
	loadUsers   = 16
	loadClients = 2 * loadUsers
	loadCap     = 3 // sessions per user

	// Twelve intervals are measured, after two that warm up. A whole hour passes
	// for what has ended: see growth.pass.
	warmUp, intervals = 2, 12
)

// TestLoadHeld: an hour's traffic leaves the server and its stores as large as
// the design says, and no larger. It takes 20 seconds, or PAWL_LOAD_DURATION:
//
//	PAWL_LOAD_DURATION=1h scripts/with-services go test ./bench -run TestLoadHeld -v -timeout 2h
func TestLoadHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	duration := 20 * time.Second
	if text := os.Getenv("PAWL_LOAD_DURATION"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil || duration <= 0 {
			t.Fatal("PAWL_LOAD_DURATION must be a duration such as 1h")
		}
	}
	l := newLoad(t)
	g := newGrowth(l, max(0, time.Hour-duration)/(warmUp+intervals))
	l.enter()
	began := time.Now()
	for i := range warmUp + intervals {
		for bursts := 0; bursts == 0 || time.Since(began) < duration*time.Duration(i+1)/(warmUp+intervals); bursts++ {
			burst := time.Now()
			l.burst()
			time.Sleep(time.Until(burst.Add(min(duration/50, 2*time.Second)))) // steady, not all at once
		}
		g.look(i >= warmUp)
		g.pass()
	}
	l.leave()
	g.judge()
}

// load is a crowd of clients on one server. Between bursts all are at rest, with
// their connections open.
type load struct {
	t       *testing.T
	rig     *rig
	server  *program
	redis   *redistest.Proc
	users   []account
	clients []*visitor
	door    chan struct{} // of those who log in: more at a time would be refused

	// What the crowd did.
	logins, turns, refused atomic.Int64
}

// account is a user. All have one password.
type account struct {
	id, email string
	attempts  bool // its clients send attempt ids
}

// visitor is a client of one user, with a session or without.
type visitor struct {
	*client
	number  int
	account *account
	spent   []string // refresh tokens of this session, the oldest first
}

func newLoad(t *testing.T) *load {
	t.Helper()
	redis := redistest.Server(t, "maxmemory-policy noeviction")
	seedStream(t, redis)
	rig := prepare(t, redis.URL(), "PAWL_ADMIN_ADDR=127.0.0.1:0", fmt.Sprint("PAWL_SESSION_CAP=", loadCap),
		"PAWL_REUSE_GRACE=0s", "PAWL_ACCESS_TTL=1m", "PAWL_IDLE_TTL=5m", "PAWL_ABSOLUTE_TTL=10m",
		// Everybody comes from one address here.
		"PAWL_LOGIN_NETWORK_RATE=off", "PAWL_REFRESH_NETWORK_RATE=off", "PAWL_LOGIN_ACCOUNT_SCHEDULE=off")
	l := &load{t: t, rig: rig, redis: redis, users: make([]account, loadUsers+1), door: make(chan struct{}, 2)}
	l.database(func(ctx context.Context, conn *pgx.Conn) error {
		for i := range l.users {
			l.users[i].email, l.users[i].attempts = fmt.Sprintf("u%d@example.com", i), i%2 == 1
			err := conn.QueryRow(ctx, `INSERT INTO users (id, email, normalized_email, password_hash, role, status, credential_version, created_at, updated_at)
				SELECT gen_random_uuid(), $1, $1, password_hash, role, status, credential_version, created_at, updated_at
				FROM users WHERE email = $2 RETURNING id::text`, l.users[i].email, email).Scan(&l.users[i].id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	l.server = rig.serve(t)
	return l
}

// enter connects everybody: two clients of each user, and one of the last.
func (l *load) enter() {
	l.t.Helper()
	for i := range loadClients + 1 {
		l.clients = append(l.clients, &visitor{client: l.server.connect(l.t), number: i, account: &l.users[i/2]})
	}
}

// leave closes all connections.
func (l *load) leave() {
	for _, v := range l.clients {
		_ = v.conn.Close()
	}
}

// burst is everybody's next few minutes, in a moment.
func (l *load) burst() {
	l.t.Helper()
	var work sync.WaitGroup
	for _, v := range l.clients[:loadClients] {
		work.Go(func() { v.visit(l) })
	}
	work.Go(func() { l.clients[loadClients].relogin(l) })
	work.Wait()
	if l.t.Failed() {
		l.t.FailNow()
	}
	for _, v := range l.clients {
		v.number++ // does something else next time
	}
}

// visit is a few refreshes, and then one of six ways to go on.
func (v *visitor) visit(l *load) {
	if v.refresh == "" && !v.enter(l) {
		return
	}
	for range 10 {
		if !v.next(l) {
			return
		}
	}
	v.post(v.access, me)
	switch v.number % 6 {
	case 0:
		v.logout()
		v.forget()
	case 1: // the session is left behind, and evicted by later ones
		v.forget()
	case 2: // somebody has copied an old token: the session ends
		if body := v.turn(v.spent[0], v.attempt()); strings.Contains(body, "REFRESH_TOKEN_REUSED") {
			v.forget()
		}
	case 3: // a typing error in another window
		refresh, access := v.refresh, v.access
		v.knock(l, "not the password")
		v.refresh, v.access = refresh, access
	default: // stays
	}
}

// relogin is a client that never keeps a session: each is evicted soon.
func (v *visitor) relogin(l *load) {
	for range 12 {
		if v.enter(l) {
			v.next(l)
		}
		v.forget()
	}
}

// enter begins a session.
func (v *visitor) enter(l *load) bool {
	v.forget()
	body := v.knock(l, password)
	if v.refresh == "" {
		l.refuse(body)
		return false
	}
	l.logins.Add(1)
	return true
}

func (v *visitor) knock(l *load, password string) (body string) {
	l.door <- struct{}{}
	defer func() { <-l.door }()
	return v.login(v.account.email, password)
}

// next refreshes. A store that is late on a busy machine, and what a client
// without grace comes to by that, is no failure here.
func (v *visitor) next(l *load) bool {
	body := v.turn(v.refresh, v.attempt())
	token := between(body, `"refreshToken":"`, `"`)
	switch {
	case token != "" && token != v.refresh:
		l.turns.Add(1)
		v.spent = append(v.spent, v.refresh)
		v.refresh, v.access = token, between(body, `"token":"`, `"`)
		return true
	case !strings.Contains(body, "UNAVAILABLE"):
		v.forget()
	}
	l.refuse(body)
	return false
}

func (l *load) refuse(body string) {
	if l.refused.Add(1) == 1 {
		l.t.Logf("the first that was refused: %s", body)
	}
}

func (v *visitor) attempt() string {
	if !v.account.attempts {
		return ""
	}
	return rand.Text()
}

func (v *visitor) forget() { v.refresh, v.access, v.spent = "", "", nil }

// database does something in the server's database, past it.
func (l *load) database(do func(context.Context, *pgx.Conn) error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, l.rig.database)
	if err == nil {
		err = do(ctx, conn)
		_ = conn.Close(ctx)
	}
	if err != nil {
		l.t.Fatalf("PostgreSQL: %v", err)
	}
}
