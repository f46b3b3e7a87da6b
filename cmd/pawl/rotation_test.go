package main_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/secret"
)

// pair is two servers on one folder of keys.
type pair struct {
	*plant
	servers []*process
	urls    []string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := newPlant(t, map[string]string{"PAWL_LOGIN_NETWORK_RATE": "off"})
	other, url := p.twin()
	return &pair{p, []*process{p.server, other}, []string{p.url, url}}
}

// reload makes the servers look at their keys, and waits until each of them has
// told of something.
func (p *pair) reload(told string) {
	p.t.Helper()
	for _, server := range p.servers {
		if err := server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, server := range p.servers {
		server.await(told)
	}
}

// listed are the ids of the keys in a state.
func (p *pair) listed(kind, state string) []string {
	p.t.Helper()
	var rows []struct{ Kind, ID, State string }
	if err := json.Unmarshal([]byte(operate(p.t, p.dir, p.env, "", "keys", "list", "--json")), &rows); err != nil {
		p.t.Fatal(err)
	}
	var ids []string
	for _, r := range rows {
		if r.Kind == kind && r.State == state {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (p *pair) inUse(kind string) string {
	p.t.Helper()
	ids := p.listed(kind, "in use")
	if len(ids) != 1 {
		p.t.Fatalf("got %s keys %v in use, want one", kind, ids)
	}
	return ids[0]
}

// published are the ids of a server's key set.
func (p *pair) published(url string) []string {
	p.t.Helper()
	response, err := http.Get(url + "/.well-known/jwks.json")
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	var set struct {
		Keys []struct{ Kid, D string }
	}
	if err == nil {
		err = json.Unmarshal(body, &set)
	}
	if err != nil || response.Header.Get("Cache-Control") != "public, max-age=300" {
		p.t.Fatalf("key set: got %s, %v (%v), want one that is kept for five minutes", body, response.Header, err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	return ids
}

// activate lets the time of the published keys come: it is in their names.
func (p *pair) activate() {
	p.t.Helper()
	for _, pattern := range []string{"access-*.pem", "refresh-*.key"} {
		names, err := filepath.Glob(filepath.Join(p.env["PAWL_KEYS_DIR"], pattern))
		if err != nil || len(names) != 2 {
			p.t.Fatalf("got %v (%v), want two", names, err)
		}
		kind, _, _ := strings.Cut(pattern, "*")
		now := filepath.Join(p.env["PAWL_KEYS_DIR"], kind+time.Now().UTC().Format("20060102T150405Z")+filepath.Ext(pattern))
		if err := os.Rename(names[1], now); err != nil {
			p.t.Fatal(err)
		}
	}
}

// refreshKey is the id of the key of a refresh token.
func refreshKey(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "pawl_rt1_"))
	if err != nil || len(raw) < 7 {
		t.Fatalf("got no refresh token (%v)", err)
	}
	return hex.EncodeToString(raw[1:7])
}

// works demands that a session refreshes and reads on both servers.
func (p *pair) works(s *session, when string) {
	p.t.Helper()
	for _, url := range p.urls {
		a, err := query(url, refreshBody(s.refresh))
		if err != nil || len(a.Errors) > 0 {
			p.t.Fatalf("refresh %s: got %s (%v), want tokens", when, a.body, err)
		}
		s.refresh, s.access = a.text("refreshToken", "refreshToken"), a.text("refreshToken", "accessToken.token")
		for _, other := range p.urls {
			if a, err := query(other, `{ me { id } }`, "Authorization", "Bearer "+s.access); err != nil || len(a.Errors) > 0 {
				p.t.Fatalf("me %s: got %s (%v), want the user", when, a.body, err)
			}
		}
	}
}

// code is the first error of an answer.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code + "/" + a.Errors[0].Extensions.Reason
}

// TestKeysOfRunningServers: a whole rotation of both kinds under two running
// servers, in which no request fails; then the old keys are revoked.
func TestKeysOfRunningServers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	oldAccess, oldRefresh := p.inUse("access"), p.inUse("refresh")
	old, honest := p.login("BODY"), p.login("BODY")
	stop, ended := make(chan struct{}), sync.WaitGroup{}
	halt := sync.OnceFunc(func() { close(stop); ended.Wait() })
	defer halt()
	ended.Go(func() {
		for failed := false; !failed; time.Sleep(5 * time.Millisecond) {
			select {
			case <-stop:
				return
			default:
			}
			for i := range p.urls {
				a, err := query(p.urls[i], refreshBody(honest.refresh))
				b, err2 := query(p.urls[1-i], `{ me { id } }`, "Authorization", "Bearer "+a.text("refreshToken", "accessToken.token"))
				if honest.refresh = a.text("refreshToken", "refreshToken"); err != nil || err2 != nil || a.code() != "" || b.code() != "" {
					t.Errorf("while keys rotate: got %q (%v) and %q (%v), want no failure", a.code(), err, b.code(), err2)
					failed = true
				}
			}
		}
	})

	for _, kind := range []string{"access", "refresh"} {
		out := operate(t, p.dir, p.env, "", "keys", "rotate", kind)
		if !strings.Contains(out, "The next step may come at 20") {
			t.Errorf("got %s, want it with the time of the next step", out)
		}
	}
	for _, server := range p.servers { // by themselves
		server.await(`"msg":"key.published".*"kind":"refresh"`)
	}
	for _, url := range p.urls {
		if got, want := p.published(url), append([]string{oldAccess}, p.listed("access", "published")...); !slices.Equal(got, want) || len(want) != 2 {
			t.Errorf("got the key set %v, want %v", got, want)
		}
	}
	before := p.login("BODY")
	if got, want := []string{keyOf(t, secret.New(before.access)), refreshKey(t, before.refresh)}, []string{oldAccess, oldRefresh}; !slices.Equal(got, want) {
		t.Errorf("a login before the time: got keys %v, want %v", got, want)
	}
	p.works(old, "with a published key")

	p.activate()
	p.reload(`"msg":"key.activated".*"kind":"refresh"`)
	fresh := p.login("BODY")
	newAccess, newRefresh := p.inUse("access"), p.inUse("refresh")
	if got, want := []string{keyOf(t, secret.New(fresh.access)), refreshKey(t, fresh.refresh)}, []string{newAccess, newRefresh}; !slices.Equal(got, want) || newAccess == oldAccess || newRefresh == oldRefresh {
		t.Errorf("a login after the time: got keys %v, want %v and not %s, %s", got, want, oldAccess, oldRefresh)
	}
	stale := old.access
	for _, s := range []*session{old, before, fresh} {
		p.works(s, "after the activation")
	}
	if refreshKey(t, old.refresh) != oldRefresh || keyOf(t, secret.New(old.access)) != newAccess {
		t.Error("an old session: want its refresh key for life, and access tokens of the new key")
	}
	p.reads(&session{access: stale}, `{ me { id } }`, "", "with a token of the old key")
	halt()

	p.revokeAll(oldRefresh, newAccess, old, fresh)
	p.breakFolder(fresh)
	for _, server := range p.servers {
		server.stop()
	}
	out := operate(t, p.dir, p.env, "", "audit", "list", "--json", "--limit", "10000")
	for name, want := range map[string]int{"key.published": 4, "key.activated": 5 + 1, "key.revoked": 4 + 2, "session.reuse_detected": 0, "session.token_forged": 0} {
		if got := strings.Count(out, `"name": "`+name+`"`); got != want {
			t.Errorf("%s: got %d events, want %d", name, got, want)
		}
	}
}

// revokeAll revokes the refresh key of old and the access key that is in use.
func (p *pair) revokeAll(refresh, access string, old, fresh *session) {
	p.t.Helper()
	out := operate(p.t, p.dir, p.env, "", "keys", "revoke", "--", refresh)
	if !strings.Contains(out, "sessions ended: 3") || !strings.Contains(out, "at once") || !strings.Contains(out, "counted anew") {
		p.t.Errorf("keys revoke: got %s, want three sessions ended at once", out)
	}
	wantOver := func(when string) {
		p.t.Helper()
		for _, url := range p.urls {
			ended(p.t, url, old.refresh)
			a, err := query(url, `{ me { id } }`, "Authorization", "Bearer "+old.access)
			if err != nil || a.code() != "UNAUTHENTICATED/SESSION_REVOKED" {
				p.t.Errorf("access token of a session of the revoked key %s: got %s (%v), want SESSION_REVOKED", when, a.body, err)
			}
		}
	}
	wantOver("at once")
	p.reload(`"msg":"key.revoked".*"kind":"refresh"`)
	wantOver("when the servers have loaded")
	p.works(fresh, "after the revocation of another key")

	operate(p.t, p.dir, p.env, "", "keys", "revoke", "--", access)
	p.reload(`"msg":"key.revoked".*"kind":"access"`)
	for _, url := range p.urls {
		a, err := query(url, `{ me { id } }`, "Authorization", "Bearer "+fresh.access)
		if err != nil || a.code() != "UNAUTHENTICATED/TOKEN_INVALID" {
			p.t.Errorf("access token of a revoked key: got %s (%v), want TOKEN_INVALID", a.body, err)
		}
		if slices.Contains(p.published(url), access) {
			p.t.Error("got the revoked key in the key set")
		}
	}
	p.works(fresh, "after the revocation of the access key")
}

// breakFolder makes the folder unusable for a while.
func (p *pair) breakFolder(s *session) {
	p.t.Helper()
	key := filepath.Join(p.env["PAWL_KEYS_DIR"], "refresh-20200101T000000Z.key")
	if err := os.WriteFile(key, []byte("nothing"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.reload(`"level":"ERROR".*"problem":"refresh-20200101T000000Z.key: is neither base64`)
	p.works(s, "with a folder that cannot be used")
	p.login("BODY")
	if err := os.Remove(key); err != nil {
		p.t.Fatal(err)
	}
	p.reload(`the folder of the keys can be used again`)
	for _, server := range p.servers {
		if got := strings.Count(server.all.String(), "cannot be used"); got != 1 {
			p.t.Errorf("got the problem told %d times, want once", got)
		}
	}
}
