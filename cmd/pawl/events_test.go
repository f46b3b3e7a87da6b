package main_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/secret"
	sessions "github.com/pawlauth/pawl/internal/session"
)

// TestEventsAreTold: each thing that happens leaves its event in the log and in
// the table.
func TestEventsAreTold(t *testing.T) {
	t.Parallel()
	p := newPlant(t, behindProxy("PAWL_SESSION_CAP", "2", "PAWL_REFRESH_BINDING", "ip", "PAWL_ARGON2_CONCURRENCY", "1",
		"PAWL_REVOCATION_STALE_AFTER", "500ms", "PAWL_REVOCATION_FAIL", "open", "PAWL_LOGIN_NETWORK_RATE", "off"))
	p.peopleDoThings()
	p.thievesDoThings()
	p.operatorsDoThings()
	p.keysTurn()
	p.storesFail()
	p.server.stop()

	var told []struct{ Name audit.Name }
	out := operate(t, p.dir, p.env, "", "audit", "list", "--json", "--limit", "10000")
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		t.Fatal(err)
	}
	for _, name := range audit.Names() {
		operators := strings.HasPrefix(string(name), "user") // their commands log nowhere
		switch name {
		case audit.SessionShared: // takes three graces: see TestFollowersAreTold
			continue
		case audit.SessionExpired: // takes a minute here: see TestExpiryIsTold
			continue
		case audit.ConfigRefused: // there is no server, and no table: see TestBadSettings
			continue
		}
		if !slices.ContainsFunc(told, func(e struct{ Name audit.Name }) bool { return e.Name == name }) {
			t.Errorf("the table has no %s", name)
		}
		if !operators && !strings.Contains(p.server.all.String(), `"msg":"`+string(name)+`"`) {
			t.Errorf("the log has no %s", name)
		}
	}
}

// enter begins a session from the nth network.
func (p *plant) enter(n int) *guest {
	p.t.Helper()
	a := demands(p.t, p.url, "LoginPayload", demoUser, strings.TrimSpace(demoPassword), "BODY", from(n)...)
	return &guest{network: n, refresh: a.text("login", "refreshToken"), access: a.text("login", "accessToken.token")}
}

// guest is a client that stays in its network.
type guest struct {
	network         int
	refresh, access string
}

// turn sends a refresh and takes the tokens over where there are any.
func (p *plant) turn(s *guest, token string) (code string) {
	p.t.Helper()
	a, err := query(p.url, refreshBody(token), from(s.network)...)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(a.Errors) > 0 {
		return a.Errors[0].Extensions.Code
	}
	s.refresh, s.access = a.text("refreshToken", "refreshToken"), a.text("refreshToken", "accessToken.token")
	return ""
}

// wants compares a code with what was to come.
func (p *plant) wants(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func (p *plant) peopleDoThings() {
	p.t.Helper()
	for range 3 {
		p.enter(1) // the first is evicted by the third
	}
	burn(p.t, p.url, "nobody@example.com")
	demands(p.t, p.url, "TooManyAttemptsError", "nobody@example.com", "not the password", "BODY", from(1)...)
	var crowd sync.WaitGroup
	for i := range 40 { // of whom one is served and four wait
		crowd.Go(func() {
			_, _ = query(p.url, credentials(fmt.Sprintf("u%d@example.com", i), "not the password", "BODY"), from(1)...)
		})
	}
	crowd.Wait()
	s := p.enter(1)
	a, err := query(p.url, `mutation { changePassword(input: {currentPassword: "correct horse battery staple", newPassword: "correct horse battery staples"}) { __typename } }`,
		from(1, "Authorization", "Bearer "+s.access)...)
	if err != nil || a.text("changePassword", "__typename") != "ChangePasswordPayload" {
		p.t.Fatalf("changePassword: got %s (%v)", a.body, err)
	}
	operate(p.t, p.dir, p.env, demoPassword, "user", "passwd", demoUser)
	a, err = query(p.url, "{"+strings.Repeat("__typename ", 600)+"}")
	if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "OPERATION_TOO_COMPLEX" {
		p.t.Fatalf("a wide document: got %s (%v)", a.body, err)
	}
	if a, err = query(p.url, "{ __typename }", "Origin", "https://evil.example.org"); err != nil || a.status != 403 {
		p.t.Fatalf("another page: got %s (%v)", a.body, err)
	}
}

func (p *plant) thievesDoThings() {
	p.t.Helper()
	s := p.enter(1)
	old := s.refresh
	p.wants("refresh", p.turn(s, old), "")
	p.wants("the old token", p.turn(s, old), "REFRESH_TOKEN_REUSED")
	s = p.enter(1)
	s.network = 2
	p.wants("a token from elsewhere", p.turn(s, s.refresh), "REFRESH_TOKEN_INVALID")
	s = p.enter(1)
	p.wants("a forged token", p.turn(s, p.forge(s.refresh)), "REFRESH_TOKEN_INVALID")
	p.wants("the owner's, after that", p.turn(s, s.refresh), "")
}

// forge makes a token of a session, as somebody could who has the key.
func (p *plant) forge(text string) string {
	p.t.Helper()
	names, err := filepath.Glob(filepath.Join(p.env["PAWL_KEYS_DIR"], "refresh-*.key"))
	if err != nil || len(names) != 1 {
		p.t.Fatalf("got keys %q (%v), want one", names, err)
	}
	file, err := os.ReadFile(names[0])
	if err != nil {
		p.t.Fatal(err)
	}
	material, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(file)))
	if block, _ := pem.Decode(file); block != nil {
		material, err = block.Bytes, nil
	}
	if err != nil {
		p.t.Fatal(err)
	}
	ring, err := sessions.NewKeyring(sessions.Key{Material: material})
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := ring.Parse(secret.New(text))
	if err != nil {
		p.t.Fatal(err)
	}
	token.Secret = sessions.NewSecret()
	forged, err := ring.Mint(token)
	if err != nil {
		p.t.Fatal(err)
	}
	return forged.Reveal()
}

func (p *plant) operatorsDoThings() {
	p.t.Helper()
	line := "imported@example.com," + bcryptHash + "\n"
	operate(p.t, p.dir, p.env, line, "user", "import", "-")
	for _, args := range []string{"role imported@example.com ADMIN", "unlock imported@example.com", "disable imported@example.com", "enable imported@example.com", "delete imported@example.com"} {
		operate(p.t, p.dir, p.env, "", append([]string{"user"}, strings.Fields(args)...)...)
	}
}

// keysTurn lets a key go from its publication to its revocation, and the one
// before it to its end.
func (p *plant) keysTurn() {
	p.t.Helper()
	look := func(name audit.Name) {
		p.t.Helper()
		if err := p.server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			p.t.Fatal(err)
		}
		p.logged(name)
	}
	operate(p.t, p.dir, p.env, "", "keys", "rotate", "access")
	look(audit.KeyPublished)
	names, err := filepath.Glob(filepath.Join(p.env["PAWL_KEYS_DIR"], "access-*.pem"))
	if err != nil || len(names) != 2 {
		p.t.Fatalf("got %q (%v), want two keys", names, err)
	}
	for i, year := range []string{"2020", "2021"} {
		if err := os.Rename(names[i], filepath.Join(p.env["PAWL_KEYS_DIR"], "access-"+year+"0101T000000Z.pem")); err != nil {
			p.t.Fatal(err)
		}
	}
	look(audit.KeyRetired)
	key, err := pawl.KeyID(p.env["PAWL_KEYS_DIR"], "access-20210101T000000Z.pem")
	if err != nil {
		p.t.Fatal(err)
	}
	operate(p.t, p.dir, p.env, "", "keys", "revoke", "--", key)
	look(audit.KeyRevoked)
}

func (p *plant) storesFail() {
	p.t.Helper()
	s := p.enter(1)
	p.wants("refresh", p.turn(s, s.refresh), "")
	// The stream has news of another time, and then it has none.
	later := fmt.Sprint(time.Now().Add(time.Minute).UnixMilli(), "-0")
	if err := p.hot.XAdd(p.t.Context(), &redis.XAddArgs{Stream: "pawl:revocations", ID: later, Values: []string{"ids", uuid.NewString()}}).Err(); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(time.Second) // the server reads it
	if err := p.hot.FlushAll(p.t.Context()).Err(); err != nil {
		p.t.Fatal(err)
	}
	p.wants("refresh after FLUSHALL", p.turn(s, s.refresh), "") // session.recovered
	p.enter(1)
	s = p.enter(1) // evicts the first one: news on the stream
	p.logged(audit.FeedReset)

	p.redis.Set(faultproxy.Weather{Cut: true})
	demands(p.t, p.url, "UNAVAILABLE", demoUser, "not the password", "BODY", from(1)...)
	p.logged(audit.FeedStale)
	p.postgres.Set(faultproxy.Weather{Cut: true})
	for deadline := time.Now().Add(patience); !p.server.said(`"msg":"`+string(audit.AccessFailOpen)+`"`) && time.Now().Before(deadline); {
		p.reads(&session{access: s.access}, `{ me { id } }`, "", "with no store at all")
	}
	p.redis.Set(faultproxy.Weather{})
	p.postgres.Set(faultproxy.Weather{})
	p.logged(audit.FeedRecovered)
	p.events(string(audit.AccessFailOpen)) // what waited for the database is written
}

// logged waits for an event in the log.
func (p *plant) logged(name audit.Name) {
	p.t.Helper()
	if !p.server.said(`"msg":"` + string(name) + `"`) {
		p.server.await(`"msg":"` + string(name) + `"`)
	}
}

// said reports whether the log has a text by now.
func (p *process) said(text string) bool {
	for {
		select {
		case line, ok := <-p.logs:
			if ok {
				p.all.WriteString(line + "\n")
				continue
			}
		default:
		}
		return strings.Contains(p.all.String(), text)
	}
}

// TestFollowersAreTold: somebody who takes each successor of somebody else's token
// leaves an event with both, and the session ends where that is set.
func TestFollowersAreTold(t *testing.T) {
	t.Parallel()
	p := newPlant(t, behindProxy("PAWL_REUSE_GRACE", "4s", "PAWL_SHARED_SESSION", "end"))
	owner := p.enter(1)
	thief := &guest{network: 2, refresh: owner.refresh}
	var code string
	for deadline := time.Now().Add(patience); code == ""; {
		spent := owner.refresh
		for owner.refresh == spent { // until the grace is over
			p.wants("the owner's refresh", p.turn(owner, spent), "")
			if time.Now().After(deadline) {
				t.Fatal("nobody told of the follower")
			}
		}
		code = p.turn(thief, spent)
	}
	p.wants("the follower's refresh", code, "REFRESH_TOKEN_REUSED")
	p.wants("the owner's next refresh", p.turn(owner, owner.refresh), "REFRESH_TOKEN_INVALID")
	p.server.await(`"msg":"session.shared"`)
	p.server.stop()
	out := operate(t, p.dir, p.env, "", "audit", "list", "--json", "--name", "session.shared")
	for _, want := range []string{`"198.18.0.1"`, `"198.18.0.2"`, `"ended"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the event: got %s, want it with %s", out, want)
		}
	}
}

// TestExpiryIsTold: a token that comes after its session's time leaves an event.
func TestExpiryIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, list(map[string]string{"PAWL_ADDR": "127.0.0.1:0", "PAWL_ACCESS_TTL": "1s", "PAWL_IDLE_TTL": "2s", "PAWL_ABSOLUTE_TTL": "2s", "PAWL_REUSE_GRACE": "0s"}), "dev")
	url := "http://" + p.await(`msg=listening address=(\S+)`)
	p.await("msg=server.ready")
	login, err := query(url, loginBody)
	if err != nil {
		t.Fatal(err)
	}
	token := login.text("login", "refreshToken")
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		a, err := query(url, refreshBody(token))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("refresh: got %s (%v), want the session to expire", a.body, err)
		}
		if len(a.Errors) > 0 {
			if a.Errors[0].Extensions.Reason != "EXPIRED" {
				t.Fatalf("refresh: got %s, want EXPIRED", a.body)
			}
			break
		}
		token = a.text("refreshToken", "refreshToken")
	}
	p.stop()
	out := operate(t, dir, map[string]string{"PAWL_DATABASE_URL": "sqlite:" + filepath.Join(dir, ".pawl", "pawl.db")}, "", "audit", "list", "--name", "session.expired")
	if !strings.Contains(out, login.text("login", "session.id")) || !strings.Contains(p.all.String(), "msg=session.expired") {
		t.Errorf("got events\n%s\nwant session.expired of %s, and in the log", out, login.text("login", "session.id"))
	}
}
