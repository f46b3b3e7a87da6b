package audit_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/logtest"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 60 * time.Second

// start is when the tests happen.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)

// clock is a time that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: start} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// named are the lines with this message.
func (l *lines) named(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for _, text := range strings.Split(strings.TrimSpace(l.String()), "\n") {
		var line map[string]any
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("log line: got %q, want JSON: %v", text, err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

// open returns a log over db (nil for none), its clock, and what it writes.
func open(t testing.TB, db *gorm.DB, capacity int) (*audit.Log, *clock, *lines) {
	t.Helper()
	c, out := newClock(), &lines{}
	logger := logtest.New(t, slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return audit.New(audit.Config{DB: db, Log: logger, Now: c.now, Capacity: capacity}), c, out
}

// list reads events and fails the test where that fails.
func list(t *testing.T, db *gorm.DB, f audit.Filter) []audit.Entry {
	t.Helper()
	entries, err := audit.List(t.Context(), db, f)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func flush(t *testing.T, l *audit.Log) {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got no %s within %s", what, patience)
		}
	}
}

// hide takes the table away, as a database that does not answer does; the
// returned function brings it back.
func hide(t *testing.T, db *gorm.DB) (back func()) {
	t.Helper()
	rename := func(from, to string) {
		if err := db.WithContext(t.Context()).Exec("ALTER TABLE " + from + " RENAME TO " + to).Error; err != nil {
			t.Fatal(err)
		}
	}
	rename("audit_events", "audit_hidden")
	return func() { rename("audit_hidden", "audit_events") }
}
