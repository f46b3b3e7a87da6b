package main_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// TestLostRedisReply: the token has turned, and the reply is lost. The script is
// sent again, and its caller gets the tokens, although there is no grace; on two
// servers, in turns.
func TestLostRedisReply(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	other, second := p.twinThrough(t)
	page, app, phone := p.login("COOKIE"), p.login("BODY"), p.login("BODY")
	for round := range 6 {
		node := []*plant{p, second}[round%2]
		for _, s := range []*session{page, app} {
			node.redis.Swallow(1, "rotated", round < 4) // or it stays open, and silent
			node.turns(s, "when the reply was lost")
			node.lost(node.redis)
		}
	}
	// Where Redis is gone for good, the same attempt on the other server is
	// answered with what the lost reply said.
	for round := range 4 {
		nodes := []*plant{p, second}
		node, rescue := nodes[round%2], nodes[1-round%2]
		attempt := rand.Text()
		node.turns(app, "before the loss") // its connection to Redis stands
		node.redis.Swallow(1000, "", true) // every reply from now on
		a, err := query(node.url, attemptBody(phone.refresh, attempt))
		if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAVAILABLE" {
			t.Fatalf("refresh when all replies are lost: got %s (%v), want UNAVAILABLE", a.body, err)
		}
		a, err = query(rescue.url, attemptBody(phone.refresh, attempt))
		if err != nil || len(a.Errors) > 0 || a.Data["refreshToken"]["rotated"] != false {
			t.Fatalf("the same attempt on the other server: got %s (%v), want the turn that was made", a.body, err)
		}
		phone.refresh = a.text("refreshToken", "refreshToken")
		node.redis.Swallow(0, "", false)
	}
	p.turns(page, "at the end")
	p.turns(app, "at the end")
	other.stop()
	p.server.stop()
}

// twinThrough is another server on the same stores, with a proxy of its own to
// Redis.
func (p *plant) twinThrough(t *testing.T) (*process, *plant) {
	t.Helper()
	env := maps.Clone(p.env)
	twin := &plant{t: t, redis: faultproxy.New(t, p.store.Addr()), dir: p.dir, env: env}
	env["PAWL_REDIS_URL"] = twin.redis.Through(p.store.URL())
	server, url := serveOne(t, p.dir, env)
	twin.server, twin.url = server, url
	return server, twin
}

// lost demands that a proxy lost the replies that it was asked to.
func (p *plant) lost(proxy *faultproxy.Proxy) {
	p.t.Helper()
	if left := proxy.Left(); left != 0 {
		p.t.Fatalf("got %d replies that were not lost, want none", left)
	}
}

func attemptBody(token, attempt string) string {
	return strings.Replace(refreshBody(token), `"})`, `", attemptId: "`+attempt+`"})`, 1)
}

// phone is an app on a network that loses answers.
type phone struct {
	*plant
	air    *faultproxy.Proxy
	client *http.Client
}

// lose sends a refresh that is carried out and whose answer never arrives.
func (f *phone) lose(token, attempt string) {
	f.t.Helper()
	body, err := json.Marshal(map[string]string{"query": attemptBody(token, attempt)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.air.Swallow(1, `"rotated"`, true)
	response, err := f.client.Post("http://"+f.air.Addr()+"/graphql", "application/json", bytes.NewReader(body))
	if err == nil {
		text, _ := io.ReadAll(response.Body)
		f.t.Fatalf("an answer that should be lost arrived: %s", text)
	}
	f.lost(f.air)
}

// get repeats an attempt, and demands the answer to one that was made before.
func (f *phone) get(token, attempt, when string) (successor string) {
	f.t.Helper()
	a, err := query(f.url, attemptBody(token, attempt))
	successor = a.text("refreshToken", "refreshToken")
	if err != nil || successor == "" || a.Data["refreshToken"]["rotated"] != false {
		f.t.Fatalf("the same attempt %s: got %s (%v), want the turn that was made", when, a.body, err)
	}
	return successor
}

// TestPhoneLosesAnswers: a phone repeats its attempt long after the grace, loses
// the answer again and again, and gets the same successor each time, also when
// Redis lost everything and when the server was started anew.
func TestPhoneLosesAnswers(t *testing.T) {
	t.Parallel()
	const grace = time.Second
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": grace.String(), "PAWL_RETRY_WINDOW": "24h"})
	f := &phone{plant: p, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}}
	reach := func() { f.air = faultproxy.New(t, strings.TrimPrefix(p.url, "http://")) }
	reach()
	s := p.login("BODY")
	first, attempt := s.refresh, rand.Text()
	f.lose(first, attempt)
	turned := time.Now()
	ledger := "SELECT generation::text FROM sessions WHERE id = $1::text::uuid"
	p.ledgerSays(ledger, s.id, "2")
	time.Sleep(time.Until(turned.Add(grace + 200*time.Millisecond))) // a plain retry is reuse from here on

	want := ""
	same := func(when string) {
		t.Helper()
		for range 3 {
			f.lose(first, attempt)
		}
		got := f.get(first, attempt, when)
		if want == "" {
			want = got
		}
		if got != want || got == first {
			t.Fatalf("the same attempt %s: got another successor than before", when)
		}
	}
	flush := func() {
		t.Helper()
		if err := p.hot.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	restart := func() {
		t.Helper()
		p.server.stop()
		p.server, p.url = serveOne(t, p.dir, p.env)
		reach()
	}
	same("after the grace")
	flush()
	same("after FLUSHALL")
	restart()
	same("after a restart")
	restart()
	flush()
	same("after a restart and FLUSHALL")

	// The next intent is another attempt, with the successor. It turns as soon as
	// the grace of the recovery is over.
	second := want
	for deadline := time.Now().Add(patience); ; {
		a, err := query(p.url, attemptBody(second, rand.Text()))
		if err != nil || len(a.Errors) > 0 {
			t.Fatalf("the next intent: got %s (%v), want tokens", a.body, err)
		}
		successor := a.text("refreshToken", "refreshToken")
		if a.Data["refreshToken"]["rotated"] == true && successor != second {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the next intent never turned: %s", a.body)
		}
	}
	p.server.stop()
}

// TestRetryWindowEnds: what the phone relies on is the window alone. After it,
// the same attempt is a replay.
func TestRetryWindowEnds(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s", "PAWL_RETRY_WINDOW": "500ms"})
	s, attempt := p.login("BODY"), rand.Text()
	if a, err := query(p.url, attemptBody(s.refresh, attempt)); err != nil || a.Data["refreshToken"]["rotated"] != true {
		t.Fatalf("refresh: got %s (%v), want a turn", a.body, err)
	}
	time.Sleep(600 * time.Millisecond)
	a, err := query(p.url, attemptBody(s.refresh, attempt))
	if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "REFRESH_TOKEN_REUSED" {
		t.Errorf("the same attempt after the window: got %s (%v), want REFRESH_TOKEN_REUSED", a.body, err)
	}
	p.server.stop()
}
