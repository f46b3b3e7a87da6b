package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/memstore"
	"github.com/pawlauth/pawl/internal/session/sessiontest"
	"github.com/pawlauth/pawl/internal/telemetry"
)

func metrics() *telemetry.Metrics { return telemetry.New([]string{"select"}, time.Now) }

// read is what Prometheus would read.
func read(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(logtest.New(t)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// wants demands lines of the metrics.
func wants(t *testing.T, m *telemetry.Metrics, lines ...string) {
	t.Helper()
	got := read(t, m)
	for _, line := range lines {
		if !strings.Contains(got, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("got %q, want the line %q", regexp.MustCompile(`(?m)^`+name+`.*$`).FindAllString(got, -1), line)
		}
	}
}

// TestStore: what is measured is still the store.
func TestStore(t *testing.T) {
	sessiontest.Run(t, func(_ *testing.T, now func() time.Time) session.Store { return metrics().Store(memstore.New(now)) })
}

// hung is a store that does not answer.
type hung struct{ session.Store }

func (hung) Find(context.Context, uuid.UUID, uuid.UUID) (session.State, error) {
	return session.State{}, errors.New("no answer")
}

func TestStoreIsMeasured(t *testing.T) {
	m := metrics()
	good := m.Store(memstore.New(time.Now))
	_, err := good.Find(t.Context(), uuid.New(), uuid.New())
	if !errors.Is(err, session.ErrMissing) {
		t.Fatal(err)
	}
	wants(t, m, `pawl_store_duration_seconds_count{operation="find"} 1`, `pawl_store_errors_total{operation="find"} 0`)
	_, _ = m.Store(hung{good}).Find(t.Context(), uuid.New(), uuid.New())
	wants(t, m, `pawl_store_duration_seconds_count{operation="find"} 2`, `pawl_store_errors_total{operation="find"} 1`,
		`pawl_store_errors_total{operation="rotate"} 0`)
}

func TestObserver(t *testing.T) {
	m := metrics()
	o := m.Observer()
	o.Refresh(session.Rotated, 3*time.Millisecond)
	o.Login(auth.LoginInvalid, 2*time.Second)
	o.Ended(session.ReasonReuse)
	m.Statement("select", time.Millisecond, errors.New("down"))
	wants(t, m,
		`pawl_refresh_total{outcome="rotated"} 1`, `pawl_refresh_total{outcome="reuse"} 0`,
		`pawl_refresh_duration_seconds_bucket{le="0.0025"} 0`, `pawl_refresh_duration_seconds_bucket{le="0.005"} 1`,
		`pawl_login_total{outcome="invalid"} 1`, `pawl_login_duration_seconds_sum 2`,
		`pawl_sessions_ended_total{reason="reuse"} 1`, `pawl_sessions_ended_total{reason="logout"} 0`,
		`pawl_database_errors_total{statement="select"} 1`)
}

// A word that nobody announced must not become a label.
func TestUnknownWordsAreOther(t *testing.T) {
	m := metrics()
	o := m.Observer()
	o.Refresh("ada@example.com", 0)
	o.Login("ada@example.com", 0)
	o.Ended("ada@example.com")
	m.Statement("ada@example.com", 0, nil)
	wants(t, m, `pawl_refresh_total{outcome="other"} 1`, `pawl_login_total{outcome="other"} 1`,
		`pawl_sessions_ended_total{reason="other"} 1`, `pawl_database_duration_seconds_count{statement="other"} 1`)
	if strings.Contains(read(t, m), "example.com") {
		t.Error("a label holds a word that is not the program's")
	}
}

// Every word that the sources define starts at zero.
func TestEveryWordIsAnnounced(t *testing.T) {
	got := read(t, metrics())
	for _, source := range []struct{ file, pattern, metric string }{
		{"../session/store.go", `\bOutcome += "(\w+)"`, `pawl_refresh_total{outcome=%q} 0`},
		{"../session/session.go", `\bReason += "(\w+)"`, `pawl_sessions_ended_total{reason=%q} 0`},
		{"../auth/observer.go", `\bLoginOutcome += "(\w+)"`, `pawl_login_total{outcome=%q} 0`},
	} {
		text, err := os.ReadFile(source.file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(source.pattern).FindAllSubmatch(text, -1)
		if len(found) < 6 {
			t.Errorf("%s: found %d words", source.file, len(found))
		}
		for _, match := range found {
			word := string(match[1])
			if word == string(session.Missing) || word == string(session.Ahead) {
				continue // no refresh comes to that in the end
			}
			if line := fmt.Sprintf(source.metric, word); !strings.Contains(got, line) {
				t.Errorf("%s: no line %s: is the word in its list?", source.file, line)
			}
		}
	}
}

func TestInFlight(t *testing.T) {
	m := metrics()
	h := m.InFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { wants(t, m, "pawl_http_requests_in_flight 1") }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/graphql", nil))
	wants(t, m, "pawl_http_requests_in_flight 0")
}

// BenchmarkRefreshHook is what measuring adds to a refresh: the clock twice, the
// outcome, and the store's operation with its clock.
func BenchmarkRefreshHook(b *testing.B) {
	m := metrics()
	o := m.Observer()
	s := m.Store(instant{})
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for pb.Next() {
			started := time.Now()
			_, _ = s.Rotate(ctx, session.Presented{}, session.Policy{})
			o.Refresh(session.Rotated, time.Since(started))
		}
	})
}

// instant is a store that costs nothing.
type instant struct{ session.Store }

func (instant) Rotate(context.Context, session.Presented, session.Policy) (session.Verdict, error) {
	return session.Verdict{}, nil
}
