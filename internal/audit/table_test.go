package audit_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

// TestRoundTrip: the table gives back what was recorded.
func TestRoundTrip(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, c, _ := open(t, db, 0)
		full := audit.Event{
			Name: audit.SessionReuseDetected, At: start.Add(1500 * time.Microsecond), UserID: uuid.New(), SessionID: uuid.New(),
			Address: "203.0.113.9", UserAgent: `thief/1 "O'Hara" é 🚀 ?`,
			Earlier: audit.Presenter{At: start.Add(-time.Minute), Address: "2001:db8::1", UserAgent: "owner/1"},
			Details: map[string]string{"generation": "7", "quoted \"?\"": "it's {\"a\": 1}"},
		}
		empty := audit.Event{Name: audit.ServerStarted, At: time.Unix(-5, 0)} // no time that can be: now
		log.Record(full)
		log.Record(empty)
		c.add(time.Hour)
		log.Record(audit.Event{Name: audit.UserAdded, Address: "a\x00b\xff\n", Earlier: audit.Presenter{At: time.Unix(-5, 0)}})
		flush(t, log)
		got := list(t, db, audit.Filter{OldestFirst: true})
		full.At = start.Add(time.Millisecond)
		empty.At, empty.Details = start, map[string]string{}
		want := []audit.Entry{
			{Severity: audit.Info, Event: empty},
			{Severity: audit.Critical, Event: full},
			{Severity: audit.Info, Event: audit.Event{Name: audit.UserAdded, At: start.Add(time.Hour), Address: "a\uFFFDb\uFFFD\uFFFD", Details: map[string]string{}}},
		}
		if len(got) != len(want) {
			t.Fatalf("got %d events, want %d", len(got), len(want))
		}
		for i := range want {
			want[i].ID = got[i].ID
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("got %+v, want %+v", got[i], want[i])
			}
			if seconds, nanos := got[i].ID.Time().UnixTime(); got[i].ID.Version() != 7 || got[i].ID.Variant() != uuid.RFC4122 ||
				!time.Unix(seconds, nanos).Equal(want[i].At) {
				t.Errorf("id %s: got version %d and time %v, want 7 and %v", got[i].ID, got[i].ID.Version(), time.Unix(seconds, nanos), want[i].At)
			}
		}
	})
}

// TestFilter: every condition finds its events, alone and together, in both orders.
func TestFilter(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, c, _ := open(t, db, 0)
		ann, bob, s1, s2 := uuid.New(), uuid.New(), uuid.New(), uuid.New()
		for _, e := range []audit.Event{ // a second apart; the digit is the event
			{Name: audit.LoginSucceeded, UserID: ann, Details: map[string]string{"n": "0"}},
			{Name: audit.SessionCreated, UserID: ann, SessionID: s1, Details: map[string]string{"n": "1"}},
			{Name: audit.SessionCreated, UserID: bob, SessionID: s2, Details: map[string]string{"n": "2"}},
			{Name: audit.SessionRevoked, UserID: ann, SessionID: s1, Details: map[string]string{"n": "3"}},
			{Name: audit.ServerStopped, Details: map[string]string{"n": "4"}},
		} {
			log.Record(e)
			c.add(time.Second)
		}
		flush(t, log)
		all := list(t, db, audit.Filter{OldestFirst: true})
		if len(all) != 5 {
			t.Fatalf("got %d events, want 5", len(all))
		}
		for _, c := range []struct {
			name   string
			filter audit.Filter
			want   string
		}{
			{"all, newest first", audit.Filter{}, "43210"},
			{"all, oldest first", audit.Filter{OldestFirst: true}, "01234"},
			{"since", audit.Filter{Since: start.Add(2 * time.Second)}, "432"},
			{"since, to the millisecond", audit.Filter{Since: start.Add(2*time.Second + time.Millisecond)}, "43"},
			{"user", audit.Filter{User: ann}, "310"},
			{"session", audit.Filter{Session: s1}, "31"},
			{"name", audit.Filter{Name: audit.SessionCreated}, "21"},
			{"user and name", audit.Filter{User: bob, Name: audit.SessionCreated}, "2"},
			{"nobody's", audit.Filter{User: uuid.New()}, ""},
			{"limit", audit.Filter{Limit: 2}, "43"},
			{"limit, oldest first", audit.Filter{Limit: 2, OldestFirst: true}, "01"},
			{"older than", audit.Filter{After: all[3].ID}, "210"},
			{"younger than", audit.Filter{After: all[1].ID, OldestFirst: true}, "234"},
			{"everything at once", audit.Filter{User: ann, Session: s1, Name: audit.SessionRevoked, Since: start, After: all[0].ID, OldestFirst: true, Limit: 9}, "3"},
		} {
			var got strings.Builder
			for _, e := range list(t, db, c.filter) {
				got.WriteString(e.Details["n"])
			}
			if got.String() != c.want {
				t.Errorf("%s: got %q, want %q", c.name, got.String(), c.want)
			}
		}
	})
}

// TestOrderWithinAMillisecond: events of one server keep their order.
func TestOrderWithinAMillisecond(t *testing.T) {
	db := databasetest.SQLite(t)
	log, _, _ := open(t, db, 0)
	for i := range 300 {
		log.Record(audit.Event{Name: audit.UserAdded, Details: map[string]string{"n": strconv.Itoa(i)}})
	}
	flush(t, log)
	for i, e := range list(t, db, audit.Filter{OldestFirst: true, Limit: 300}) {
		if want := strconv.Itoa(i); e.Details["n"] != want {
			t.Fatalf("event %d: got %q, want %q", i, e.Details["n"], want)
		}
	}
}

// TestScrub: nothing tells any more where a deleted user was, also not what is
// written afterwards; everybody else's events stay.
func TestScrub(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, c, _ := open(t, db, 0)
		users := user.New(db, c.now)
		gone, err := users.Add(t.Context(), "gone@example.com", secret.Text{}, user.RoleUser)
		if err != nil {
			t.Fatal(err)
		}
		stays, err := users.Add(t.Context(), "stays@example.com", secret.Text{}, user.RoleUser)
		if err != nil {
			t.Fatal(err)
		}
		record := func() {
			for _, id := range []uuid.UUID{gone.ID, stays.ID, uuid.Nil} {
				log.Record(audit.Event{
					Name: audit.SessionReuseDetected, UserID: id, SessionID: uuid.New(), Address: "where", UserAgent: "what",
					Earlier: audit.Presenter{At: start, Address: "where", UserAgent: "what"}, Details: map[string]string{"generation": "7"},
				})
			}
		}
		record()
		flush(t, log)
		record() // waits while the user is deleted
		if err := users.Delete(t.Context(), gone.ID); err != nil {
			t.Fatal(err)
		}
		if err := audit.Scrub(t.Context(), db, gone.ID); err != nil {
			t.Fatal(err)
		}
		flush(t, log)
		entries := list(t, db, audit.Filter{})
		if len(entries) != 6 {
			t.Fatalf("got %d events, want 6", len(entries))
		}
		for _, e := range entries {
			want := "where what where what"
			if e.UserID == gone.ID {
				want = "   "
			}
			got := strings.Join([]string{e.Address, e.UserAgent, e.Earlier.Address, e.Earlier.UserAgent}, " ")
			if got != want || !e.Earlier.At.Equal(start) || e.Details["generation"] != "7" || e.SessionID == uuid.Nil {
				t.Errorf("user %s: got %+v, want %q and everything else", e.UserID, e, want)
			}
		}
	})
}

// TestDeleteOld: old events go, the oldest first, so many at a time, and old by
// both clocks.
func TestDeleteOld(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, c, _ := open(t, db, 0)
		c.add(time.Since(c.now()) - audit.Retention - 3*time.Hour - 30*time.Minute)
		first := c.now().Truncate(time.Millisecond)
		for range 6 { // an hour apart: four are old by the database's clock
			log.Record(audit.Event{Name: audit.UserAdded})
			c.add(time.Hour)
		}
		flush(t, log)
		for _, step := range []struct {
			name       string
			at         time.Time
			want, left int64
		}{
			{"the log's clock is at the first", first.Add(audit.Retention), 0, 6},
			{"it is past the first", first.Add(audit.Retention + time.Millisecond), 1, 5},
			{"years ahead of the database's", first.Add(20 * audit.Retention), 3, 2},
			{"again", first.Add(20 * audit.Retention), 0, 2},
		} {
			c.add(step.at.Sub(c.now()))
			got, err := log.DeleteOld(t.Context(), 3)
			if err != nil || got != step.want {
				t.Errorf("%s: got %d, %v, want %d", step.name, got, err, step.want)
			}
			left := list(t, db, audit.Filter{OldestFirst: true})
			oldest := first.Add(time.Duration(6-step.left) * time.Hour)
			if int64(len(left)) != step.left || !left[0].At.Equal(oldest) {
				t.Errorf("%s: got %d left, want %d, the oldest of %v", step.name, len(left), step.left, oldest)
			}
		}
	})
	log, _, _ := open(t, nil, 0)
	if got, err := log.DeleteOld(t.Context(), 3); got != 0 || err != nil {
		t.Errorf("without database: got %d, %v, want 0", got, err)
	}
}
