package main_test

import (
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/logtest"
	sessions "github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// TestDeleteUserIsFinished: a deletion that the database cuts off after the
// account is gone has forgotten what it could, says how to go on, and does the
// rest then.
func TestDeleteUserIsFinished(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"PAWL_DATABASE_URL": "sqlite:" + dir + "/pawl.db"}
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "bob@example.com")
	db, err := database.Open(t.Context(), env["PAWL_DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close(db) })
	bob := lived(t, db, "bob@example.com")
	do := func(statement string) {
		t.Helper()
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	left := func(what, query string, want int) {
		t.Helper()
		var got int
		if err := db.Raw(query).Scan(&got).Error; err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", what, got, err, want)
		}
	}
	const live, located = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL", "SELECT count(*) FROM audit_events WHERE address IS NOT NULL"
	fails := func(account, pattern string) []string {
		t.Helper()
		cmd := exec.Command("pawl", "user", "delete", account)
		cmd.Dir, cmd.Env = dir, list(env)
		text, err := cmd.CombinedOutput()
		found := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		if err == nil || found == nil {
			t.Fatalf("pawl user delete %s: got %q, %v, want an error with %q", account, text, err, pattern)
		}
		return found
	}

	do("CREATE TRIGGER broken BEFORE UPDATE OF revoked_at ON sessions BEGIN SELECT raise(abort, 'broken'); END")
	next := fails("bob@example.com", `finish it with: pawl user delete (\S+)`)
	left("sessions that live", live, 1)
	left("events that tell where the user was", located, 0)
	if next[1] != bob.String() {
		t.Fatalf("got the id %s, want %s", next[1], bob)
	}
	do("DROP TRIGGER broken")
	do("UPDATE audit_events SET address = '192.0.2.9'") // as if that had failed too
	fails("bob@example.com", "there is no account with this email")
	fails(uuid.NewString(), "there is no account with this id")
	operate(t, dir, env, "", "user", "delete", next[1])
	left("sessions that live", live, 0)
	left("events that tell where the user was", located, 0)
	operate(t, dir, env, "", "user", "delete", next[1])
}

// lived gives the user a session and an event, and returns their id.
func lived(t *testing.T, db *gorm.DB, email string) uuid.UUID {
	t.Helper()
	u, err := user.New(db, time.Now).ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	err = ledger.New(db, time.Now).Begin(t.Context(), sessions.State{
		Session: sessions.Session{
			ID: uuid.New(), UserID: u.ID, Delivery: sessions.DeliveryBody,
			CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(time.Hour), IPAddress: "192.0.2.9",
		},
		Role: string(u.Role), SecretHash: sessions.NewSecret().Hash(), Generation: 1, TurnedAt: now,
	}, sessions.KeyID{1}, u.CredentialVersion)
	if err != nil {
		t.Fatal(err)
	}
	events := audit.New(audit.Config{DB: db, Log: logtest.New(t), Now: time.Now})
	events.Record(audit.Event{Name: audit.LoginSucceeded, UserID: u.ID, Address: "192.0.2.9", UserAgent: "phone"})
	if err := events.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return u.ID
}
