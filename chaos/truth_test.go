package chaos_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// truth is what the servers count themselves, beside what clients had from them.
// Counters end with a process, so each life of a server is kept for itself.
type truth struct {
	mu      sync.Mutex
	lives   map[lifeOf]*life
	excuses map[string][]excuse // by session
	wrong   []string            // counters that fell short of what clients had
}

// excuse is who may have spent the tokens of a session twice, and since when.
type excuse struct {
	who   string
	since time.Time
}

// lifeOf is one process of a server.
type lifeOf struct {
	node int
	life int64
}

// life is what one process counted until it was read last.
type life struct {
	said map[string]float64 // by the whole name of a metric, labels too
	saw  map[string]float64 // what clients had from it; see answersOf
	had  map[string]float64 // the same, before it was read last
}

// answersOf are the words for a kind of answer to a refresh.
func answersOf() map[string][]string {
	return map[string][]string{
		"tokens":                     {"rotated", "unchanged", "replayed", "retried", "recovered"},
		"turned, retried, recovered": {"rotated", "retried", "recovered"},
		"reuse":                      {"reuse"},
		"sessions that ended":        {"tombstone", "unknown", "expired"},
	}
}

// impossible are words that nobody's behaviour here explains.
func impossible() []string {
	return []string{"malformed", "unknown_key", "retired_key", "session_changed", "forged", "absent", "rejected", "expired", "binding", "failed", "other"}
}

func (u *truth) life(of lifeOf) *life {
	if u.lives == nil {
		u.lives = map[lifeOf]*life{}
	}
	if u.lives[of] == nil {
		u.lives[of] = &life{said: map[string]float64{}, saw: map[string]float64{}, had: map[string]float64{}}
	}
	return u.lives[of]
}

// saw notes an answer to a refresh that came from one life of a server.
func (u *truth) saw(node int, at int64, a answer) {
	kinds := []string{}
	switch {
	case a.verdict == granted && a.Data.RefreshToken.Rotated:
		kinds = []string{"tokens", "turned, retried, recovered"}
	case a.verdict == granted:
		kinds = []string{"tokens"}
	case a.code == "REFRESH_TOKEN_REUSED":
		kinds = []string{"reuse"}
	case a.code == "REFRESH_TOKEN_INVALID":
		kinds = []string{"sessions that ended"}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, kind := range kinds {
		u.life(lifeOf{node, at}).saw[kind]++
	}
}

// explain notes who may have spent the tokens of a session twice.
func (u *truth) explain(sessionID, who string, since time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.excuses == nil {
		u.excuses = map[string][]excuse{}
	}
	for _, known := range u.excuses[sessionID] {
		if known.who == who {
			return
		}
	}
	u.excuses[sessionID] = append(u.excuses[sessionID], excuse{who, since})
}

// explains is who spent a token of a session twice at a time.
func (u *truth) explains(sessionID string, at time.Time) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range u.excuses[sessionID] {
		if !at.Before(e.since) {
			return e.who
		}
	}
	return "nobody"
}

// read asks a server for its metrics; one that does not answer is left alone.
// What clients had before the question must be in the answer.
func (u *truth) read(at int, n *node) {
	of := lifeOf{at, n.life.Load()}
	u.mu.Lock()
	had := maps.Clone(u.life(of).saw)
	u.mu.Unlock()
	text, err := get(n.admin + "/metrics")
	if err != nil || n.life.Load() != of.life {
		return
	}
	said := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.ParseFloat(value, 64); err == nil && strings.HasPrefix(name, "pawl_") {
			said[name] = number
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.life(of)
	l.said, l.had = said, had
	for kind, words := range answersOf() {
		if got := refreshes(said, words...); got < had[kind] && len(u.wrong) < 10 {
			u.wrong = append(u.wrong, fmt.Sprintf("%s server %d counted %.0f of %s, clients had %.0f from it",
				time.Now().Format("15:04:05.000"), at, got, kind, had[kind]))
		}
	}
}

func refreshes(said map[string]float64, words ...string) (sum float64) {
	for _, word := range words {
		sum += said[`pawl_refresh_total{outcome="`+word+`"}`]
	}
	return sum
}

// watch reads the metrics of both servers until everybody goes home.
func (r *rig) watch() {
	for r.nap(time.Second) {
		for i, n := range r.nodes {
			r.truth.read(i, n)
		}
	}
}

// sum adds up all lives, of metrics whose names begin so.
func (u *truth) sum(prefix string) (sum float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.lives {
		for name, value := range l.said {
			if strings.HasPrefix(name, prefix) {
				sum += value
			}
		}
	}
	return sum
}

// had adds up what clients had of a kind of answer before the servers were read.
func (u *truth) had(kind string) (sum float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.lives {
		sum += l.had[kind]
	}
	return sum
}

func (u *truth) outcome(words ...string) (sum float64) {
	for _, word := range words {
		sum += u.sum(`pawl_refresh_total{outcome="` + word + `"}`)
	}
	return sum
}

// reuses are the reports of reuse in the logs of all lives, by who explains them.
func (r *rig) reuses() (map[string]int, error) {
	by := map[string]int{}
	for _, n := range r.nodes {
		file, err := os.Open(n.log)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var line struct {
				Time                  time.Time
				Msg, Outcome, Session string
			}
			if !strings.Contains(lines.Text(), `"outcome":"reuse"`) || json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "refresh" {
				continue
			}
			who := r.truth.explains(line.Session, line.Time)
			if who == "nobody" {
				r.count.story("nobody explains this report of reuse: %s", lines.Text())
			}
			by[who]++
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return by, nil
}

// confess prints what the servers counted, and fails where that cannot be.
func (r *rig) confess(row func(name, format string, args ...any)) {
	u := &r.truth
	for i, n := range r.nodes {
		u.read(i, n)
	}
	for _, kind := range slices.Sorted(maps.Keys(answersOf())) {
		row("refreshes by the servers' metrics, by clients: "+kind, "%.0f, %.0f", u.outcome(answersOf()[kind]...), u.had(kind))
	}
	for _, wrong := range u.wrong {
		r.t.Error(wrong)
	}
	by, err := r.reuses()
	if err != nil {
		r.t.Error(err)
	}
	logged, unexplained := 0, by["nobody"]
	for _, who := range slices.Sorted(maps.Keys(by)) {
		row("  reports of reuse explained by "+who, "%d", by[who])
		logged += by[who]
	}
	unexplained += max(0, int(u.outcome("reuse"))-logged) // each is logged before it is counted
	row("  reports of reuse that no thief explains (must be 0)", "%d", unexplained)
	strange := u.outcome(impossible()...)
	row("outcomes that nothing here explains (must be 0)", "%.0f", strange)
	if unexplained != 0 || strange != 0 {
		r.t.Errorf("reports of reuse that no thief explains, outcomes that nothing explains: got %d, %.0f, want none", unexplained, strange)
	}
	row("store errors, database errors", "%.0f, %.0f", u.sum("pawl_store_errors_total"), u.sum("pawl_database_errors_total"))
	row("recovered, recovering, stale look-ups", "%.0f, %.0f, %.0f", u.outcome("recovered"), u.outcome("recovering"), u.sum("pawl_stale_lookups_total"))
	row("repairs paid, repairs dropped, checkpoints dropped", "%.0f, %.0f, %.0f",
		u.sum("pawl_repairs_paid_total"), u.sum("pawl_repairs_dropped_total"), u.sum("pawl_checkpoints_dropped_total"))
}
