package main_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/database/databasetest"
)

const origin = "https://app.example.org"

// jar is the one cookie that all tabs of a browser share.
type jar struct {
	mu     sync.Mutex
	cookie string
}

func (j *jar) get() string { j.mu.Lock(); defer j.mu.Unlock(); return j.cookie }

// deliver is the moment an answer arrives.
func (j *jar) deliver(a answer) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if set := a.header.Get("Set-Cookie"); set != "" {
		j.cookie, _, _ = strings.Cut(set, ";")
	}
}

// refreshCookie is a refresh as a page sends it.
func refreshCookie(url, cookie string) (answer, error) {
	return query(url, `mutation { refreshToken { rotated session { id } } }`, "Origin", origin, "Cookie", cookie)
}

// TestTabs wakes ten tabs in three waves over two servers. Each tab sends the
// cookie that it finds, and answers arrive in any order.
func TestTabs(t *testing.T) {
	dir, env := environment(t)
	env["PAWL_REDIS_URL"], env["PAWL_DATABASE_URL"] = redisURL(t), databasetest.PostgresURL(t)
	env["PAWL_ALLOWED_ORIGINS"] = origin
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	one, first := serveOne(t, dir, env)
	two, second := serveOne(t, dir, env)
	urls := []string{first, second}

	login, err := query(first, strings.Replace(loginBody, "BODY", "COOKIE", 1), "Origin", origin)
	if err != nil {
		t.Fatal(err)
	}
	var browser jar
	browser.deliver(login)

	const tabs, waves = 10, 3
	began := time.Now()
	answers := make(chan answer, tabs*waves)
	all, late := []answer{}, []answer{}
	for range waves {
		var wave sync.WaitGroup
		for tab := range tabs {
			cookie := browser.get()
			wave.Go(func() {
				a, err := refreshCookie(urls[tab%2], cookie)
				if err != nil || len(a.Errors) > 0 {
					t.Errorf("a tab was refused: %s (%v)", a.body, err)
				}
				answers <- a
			})
		}
		wave.Wait()
		// Some answers of this wave arrive now, the others during the next ones.
		for range tabs {
			a := <-answers
			all, late = append(all, a), append(late, a)
		}
		rand.Shuffle(len(late), func(i, k int) { late[i], late[k] = late[k], late[i] })
		for range tabs / 2 {
			browser.deliver(late[0])
			late = late[1:]
		}
	}
	took := time.Since(began)
	for _, a := range late {
		browser.deliver(a)
	}
	turned, seen := 0, map[string]int{}
	for _, a := range all {
		if set, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";"); set != "" {
			seen[set]++
		}
		if a.Data["refreshToken"]["rotated"] == true {
			turned++
		}
	}
	const grace = 10 * time.Second // the default
	switch {
	case took >= grace:
		t.Logf("the waves took %s: more than the grace, in which there is one turn", took)
	case len(all) != tabs*waves || turned != 1 || len(seen) != 1:
		t.Errorf("got %d answers with %d turns and the cookies %v, want %d with one of each", len(all), turned, seen, tabs*waves)
	}
	if a, err := refreshCookie(second, browser.get()); err != nil || len(a.Errors) > 0 {
		t.Errorf("after the waves: got %s (%v), want tokens", a.body, err)
	}
	if out := operate(t, dir, env, "", "session", "list", "demo@example.com", "--json"); strings.Count(out, `"delivery"`) != 1 {
		t.Errorf("got sessions %s, want one", out)
	}
	one.stop()
	two.stop()
}
