package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// behindProxy are settings of a server that believes X-Forwarded-For of these
// tests. The five guesses that are free are hashed at once on any machine.
func behindProxy(more ...string) map[string]string {
	settings := map[string]string{
		"PAWL_TRUSTED_PROXIES": "127.0.0.0/8", "PAWL_LOGIN_MIN_DURATION": "0s", "PAWL_ARGON2_CONCURRENCY": "16", "PAWL_REUSE_GRACE": "0s",
	}
	for i := 0; i < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	return settings
}

// from is the header of a client in the nth network, and others.
func from(n int, more ...string) []string {
	return append([]string{"X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", n>>8, n&255)}, more...)
}

// credentials is a login; the texts may have any characters.
func credentials(email, password, delivery string) string {
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	return `mutation { login(input: {email: ` + quoted(email) + `, password: ` + quoted(password) + `, refreshTokenDelivery: ` + delivery + `}) {
		__typename ... on UserError { message } ... on TooManyAttemptsError { retryAfter }
		... on LoginPayload { accessToken { token } refreshToken session { id } } } }`
}

// kind is the type of a login's result, or the code of its error.
func kind(a answer) string {
	if len(a.Errors) > 0 {
		return a.Errors[0].Extensions.Code
	}
	return a.text("login", "__typename")
}

// demands sends a login and compares the kind of its answer.
func demands(t *testing.T, url, want, email, password, delivery string, headers ...string) answer {
	t.Helper()
	a, err := query(url, credentials(email, password, delivery), headers...)
	if err != nil || kind(a) != want {
		t.Fatalf("login of %s: got %s (%v), want %s", email, a.body, err, want)
	}
	return a
}

// burn uses up the free guesses of the lane of unknown devices.
func burn(t *testing.T, url, email string) {
	t.Helper()
	for i := range 5 {
		demands(t, url, "InvalidCredentialsError", email, "not the password", "BODY", from(i)...)
	}
}

const demoUser = "demo@example.com"

// TestGuessesAtOnce: of 200 guesses at one account over two servers, from 200
// networks, five reach the password. Then the right one is refused as well, until
// an operator unlocks the account.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t, behindProxy())
	second, other := p.twin()
	urls := []string{p.url, other}
	living, row := p.login("BODY"), p.accountRow()
	var looked, refused, unanswered atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for i := range 200 {
		all.Go(func() {
			a, err := query(urls[i%2], credentials(demoUser, "not the password", "BODY"), from(i)...)
			switch {
			case err == nil && kind(a) == "InvalidCredentialsError":
				looked.Add(1)
			case err == nil && kind(a) == "TooManyAttemptsError" && a.header.Get("Retry-After") != "":
				refused.Add(1)
			case err == nil && kind(a) == "UNAVAILABLE": // a store that is late on a busy machine
				unanswered.Add(1)
			default:
				t.Errorf("guess %d: got %s (%v)", i, a.body, err)
			}
		})
	}
	all.Wait()
	t.Logf("took %s, %d unanswered", time.Since(began), unanswered.Load())
	if got := looked.Load(); got > 5 || got < 5 && unanswered.Load() == 0 {
		t.Errorf("got %d guesses that reached the password, %d that were refused and %d unanswered, want 5 of 200", got, refused.Load(), unanswered.Load())
	}
	if after := p.accountRow(); after != row {
		t.Errorf("guesses changed the account from %s to %s", row, after)
	}
	p.turns(living, "of a session that was there before the guesses")
	right := strings.TrimSpace(demoPassword)
	if looked.Load() == 5 {
		a := demands(t, other, "TooManyAttemptsError", " DEMO@example.com", right, "BODY", from(900)...)
		if wait, _ := a.Data["login"]["retryAfter"].(float64); wait < 1 || wait > 30 {
			t.Errorf("got a wait of %v s, want up to 30", wait)
		}
	}
	if out := operate(t, p.dir, p.env, "", "user", "unlock", demoUser); !strings.HasPrefix(out, "unlocked") {
		t.Errorf("user unlock: got %q", out)
	}
	for _, url := range urls {
		demands(t, url, "LoginPayload", demoUser, right, "BODY", from(901)...)
	}
	if events := p.events("user.unlocked"); len(events) != 1 || events[0].UserID == "" {
		t.Errorf("got events %+v, want one user.unlocked with the user", events)
	}
	second.stop()
	p.server.stop()
}

// accountRow is the demo user's row, with a digest of its hash.
func (p *plant) accountRow() (row string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.database)
	if err == nil {
		defer func() { _ = conn.Close(context.Background()) }()
		err = conn.QueryRow(p.t.Context(), "SELECT (to_jsonb(u) - 'password_hash')::text || md5(password_hash) FROM users u WHERE email = $1", demoUser).Scan(&row)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return row
}

// TestHangingUpIsNotFree: of guesses whose senders hang up, sooner or later, as
// few reach the password as of any others.
func TestHangingUpIsNotFree(t *testing.T) {
	t.Parallel()
	p := newPlant(t, behindProxy())
	body, err := json.Marshal(map[string]string{"query": credentials(demoUser, "not the password", "BODY")})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.18.0.%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
			time.Sleep(time.Duration(i) * 4 * time.Millisecond)
			_ = conn.Close()
		})
	}
	all.Wait()
	// Nobody is left then who could give a charge back. Not all may have arrived.
	p.server.awaits(5, `"login refused"`, 3*time.Second)
	for i := 0; ; i++ { // what is left of the free guesses
		a, err := query(p.url, credentials(demoUser, "not the password", "BODY"), from(100+i)...)
		if err == nil && kind(a) == "TooManyAttemptsError" {
			break
		}
		if err != nil || kind(a) != "InvalidCredentialsError" || i == 5 {
			t.Fatalf("guess %d: got %s (%v), want the account to be closed soon", i, a.body, err)
		}
	}
	p.server.stop()
	if got := strings.Count(p.server.all.String(), `"login refused"`); got != 5 {
		t.Errorf("got %d guesses that reached the password, want 5", got)
	}
}

// awaits reads the log until so many of its lines have a text, or for so long.
func (p *process) awaits(lines int, text string, most time.Duration) {
	for timeout := time.After(most); lines > 0; {
		select {
		case line, ok := <-p.logs:
			if !ok {
				return
			}
			p.all.WriteString(line + "\n")
			if strings.Contains(line, text) {
				lines--
			}
		case <-timeout:
			return
		}
	}
}

// event is a line of pawl audit list --json.
type event struct {
	Name, UserID, SessionID, Address, UserAgent string
	Earlier                                     struct{ Address, UserAgent string }
}

// events are those of a name that the database has, once there are any.
func (p *plant) events(name string) (found []event) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); len(found) == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out := operate(p.t, p.dir, p.env, "", "audit", "list", "--json", "--name", name)
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			p.t.Fatalf("audit list: %v in %s", err, out)
		}
	}
	return found
}

// TestGatesWithoutRedis: while the gates cannot be asked, no password is looked
// at. That of the user who is tried would take the server minutes.
func TestGatesWithoutRedis(t *testing.T) {
	t.Parallel()
	const tries = 4
	p := newPlant(t, behindProxy())
	line := `{"email":"dear@example.com","password_hash":"$argon2id$v=19$m=262144,t=10,p=1$c2FsdHNhbHRzYWx0$` + strings.Repeat("aGFz", 8) + `"}`
	operate(t, p.dir, p.env, line+"\n", "user", "import", "-")
	for _, weather := range storms() {
		p.redis.Set(weather)
		busy := p.processorTime()
		for range tries {
			began := time.Now()
			demands(t, p.url, "UNAVAILABLE", "dear@example.com", "not the password", "BODY", from(1)...)
			if took := time.Since(began); took > hangs {
				t.Errorf("with Redis %s: the answer took %s, want 3 s at most", weather, took)
			}
		}
		if spent := p.processorTime() - busy; spent > tries*time.Second {
			t.Errorf("with Redis %s: %d logins took the processor %s: passwords were looked at", weather, tries, spent)
		}
	}
	p.redis.Set(faultproxy.Weather{})
	p.server.stop()
}

// processorTime is what the server has had of the processor so far.
func (p *plant) processorTime() time.Duration {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.server.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("the system does not tell the processor time of a process: %v", err)
	}
	_, after, _ := strings.Cut(string(text), ") ") // its name may have blanks
	fields := strings.Fields(after)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // of 100 ticks, on every Linux
}
