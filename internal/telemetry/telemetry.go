// Package telemetry owns the metrics: their names, what they say, and the
// handler that Prometheus reads them from. It counts what it is told and asks
// for the rest when it is read. It decides nothing, and nothing that a client
// chose ever becomes part of a metric: labels are words of this program.
package telemetry

import (
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/session"
)

// Metrics is everything that one server measures. It is safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	now       func() time.Time
	refreshes counters
	refresh   prometheus.Histogram
	logins    counters
	login     prometheus.Histogram
	ended     counters
	inFlight  prometheus.Gauge
	store     operations
	database  operations
}

// New makes metrics that all stand at zero. statements are the words that
// [Metrics.Statement] will be told.
func New(statements []string, now func() time.Time) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := &Metrics{
		registry:  r,
		now:       now,
		refreshes: newCounters(r, "pawl_refresh_total", "Refreshes, by what they came to.", "outcome", words(session.Outcomes())),
		refresh:   newHistogram(r, "pawl_refresh_duration_seconds", "Time that refreshes took, refused ones too."),
		logins:    newCounters(r, "pawl_login_total", "Logins, by what they came to.", "outcome", words(auth.LoginOutcomes())),
		login:     newHistogram(r, "pawl_login_duration_seconds", "Time that logins took, without the wait for PAWL_LOGIN_MIN_DURATION."),
		ended:     newCounters(r, "pawl_sessions_ended_total", "Sessions that this server ended, by the reason.", "reason", words(session.Reasons())),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pawl_http_requests_in_flight", Help: "GraphQL requests that are being answered.",
		}),
		store:    newOperations(r, "store", "operation", storeOperations()),
		database: newOperations(r, "database", "statement", statements),
	}
	r.MustRegister(m.inFlight)
	return m
}

// Observer counts what the verbs come to.
func (m *Metrics) Observer() auth.Observer {
	return auth.Observer{
		Refresh: func(outcome session.Outcome, took time.Duration) {
			m.refreshes.add(string(outcome))
			m.refresh.Observe(took.Seconds())
		},
		Login: func(outcome auth.LoginOutcome, took time.Duration) {
			m.logins.add(string(outcome))
			m.login.Observe(took.Seconds())
		},
		Ended: func(reason session.Reason) { m.ended.add(string(reason)) },
	}
}

// Statement counts a statement of the database, as internal/database tells it.
func (m *Metrics) Statement(word string, took time.Duration, err error) {
	m.database.observe(word, took, err)
}

// Watch adds what is asked for when the metrics are read: the work behind the
// requests, and what is known of revocations. Call it once.
func (m *Metrics) Watch(service *auth.Service, feed revocation.Feed, revoked *revocation.Set) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func(auth.Stats) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(service.Stats())) }))
	}
	gauge("pawl_revocation_feed_age_seconds", "Age of the newest complete news of ended sessions; +Inf before the first.",
		func() float64 { return m.age(feed.Current()) })
	gauge("pawl_revocation_set_sessions", "Ended sessions whose access tokens are refused without asking a store.",
		func() float64 { return float64(revoked.Len()) })
	counter("pawl_stale_lookups_total", "Questions to the stores for one session while the feed was stale.",
		func(s auth.Stats) uint64 { return s.StaleLookups })
	gauge("pawl_checkpoints_waiting", "Sessions whose progress is to be written to the database.",
		func() float64 { return float64(service.Stats().CheckpointsWaiting) })
	counter("pawl_checkpoints_dropped_total", "Checkpoints for which there was no room.",
		func(s auth.Stats) uint64 { return s.CheckpointsDropped })
	gauge("pawl_audit_waiting", "Events that are to be written to the database.",
		func() float64 { return float64(service.Stats().AuditWaiting) })
	counter("pawl_audit_dropped_total", "Events for which there was no room; the log has them.",
		func(s auth.Stats) uint64 { return s.AuditDropped })
	gauge("pawl_repairs_waiting", "Ends of sessions that one of the stores has yet to take.",
		func() float64 { return float64(service.Stats().RepairsWaiting) })
	counter("pawl_repairs_paid_total", "Ends of sessions that a store took later than the other.",
		func(s auth.Stats) uint64 { return s.RepairsPaid })
	counter("pawl_repairs_dropped_total", "Ends of sessions for which there was no room to wait.",
		func(s auth.Stats) uint64 { return s.RepairsDropped })
}

// age is how many seconds ago a time was; a zero one never was.
func (m *Metrics) age(at time.Time) float64 {
	if at.IsZero() {
		return math.Inf(1)
	}
	return max(0, m.now().Sub(at).Seconds())
}

// InFlight counts the requests that next is answering.
func (m *Metrics) InFlight(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerInFlight(m.inFlight, next)
}

// Handler answers with all metrics, in the formats of Prometheus. It belongs on
// a listener that only the operator reaches.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)})
}

func words[W ~string](list []W) []string {
	texts := make([]string, len(list))
	for i, word := range list {
		texts[i] = string(word)
	}
	return texts
}
