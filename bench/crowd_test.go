package bench_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	crowd   = 200 // logins at once
	inside  = 8   // clients that refresh meanwhile
	refresh = 40 * time.Millisecond
)

// BenchmarkUnderLogins is what 200 logins at once cost the server and those who
// refresh meanwhile, 200 times a second. Whoever is sent away comes back half a
// second to a second later, as clients do. Refreshes of a server at rest are measured in the
// same run, because only the difference means something.
func BenchmarkUnderLogins(b *testing.B) {
	rig := prepare(b, shared(b), "PAWL_REUSE_GRACE=0s", "PAWL_LOGIN_ACCOUNT_SCHEDULE=off", "PAWL_TRUSTED_PROXIES=127.0.0.0/8")
	var rest, busy []time.Duration
	var most, all float64
	for b.Loop() {
		p := rig.serve(b)
		clients := make([]*client, inside)
		for i := range clients {
			clients[i] = p.login(b)
		}
		done := make(chan struct{})
		time.AfterFunc(3*time.Second, func() { close(done) })
		rest = append(rest, refreshes(clients, done)...)

		doors := make([]*client, crowd)
		for i := range doors {
			doors[i] = p.connect(b)
		}
		done = make(chan struct{})
		began := time.Now()
		go func() {
			logins(b, doors)
			all = max(all, time.Since(began).Seconds())
			close(done)
		}()
		busy = append(busy, refreshes(clients, done)...)
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(memory(p.pid, "VmHWM"), " kB"), 64)
		most = max(most, kib/1024)
		for _, c := range slices.Concat(doors, clients) {
			_ = c.conn.Close()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(most, "MiB-most")
	b.ReportMetric(all, "s-until-all-are-in")
	for name, took := range map[string][]time.Duration{"rest": rest, "busy": busy} {
		slices.Sort(took)
		for percent, share := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
			at := took[min(len(took)-1, int(share*float64(len(took))))]
			b.ReportMetric(float64(at.Microseconds())/1000, "ms-"+name+"-"+percent)
		}
	}
}

// logins are people from as many networks who log in until they are let in.
func logins(b *testing.B, doors []*client) {
	var work sync.WaitGroup
	for i, c := range doors {
		c.forwarded = fmt.Sprintf("198.18.0.%d", i)
		work.Go(func() {
			for {
				body := c.login(email, password)
				switch {
				case c.refresh != "" || b.Failed():
					return
				case !strings.Contains(body, "UNAVAILABLE"):
					b.Errorf("login: %s", body)
					return
				}
				time.Sleep(500*time.Millisecond + rand.N(500*time.Millisecond))
			}
		})
	}
	work.Wait()
}

// refreshes is how long refreshes took until done. Each client sends the next
// one at its time, whether the last one was late or not: what a late one made
// wait counts as well.
func refreshes(clients []*client, done <-chan struct{}) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var work sync.WaitGroup
	for i, c := range clients {
		work.Go(func() {
			due := time.Now().Add(refresh * time.Duration(i) / time.Duration(len(clients)))
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Until(due)):
				}
				body := c.turn(c.refresh, "")
				next := between(body, `"refreshToken":"`, `"`)
				if next == "" {
					c.tb.Errorf("no turn: %s", body)
					return
				}
				c.refresh = next
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
				due = due.Add(refresh)
			}
		})
	}
	work.Wait()
	return took
}
