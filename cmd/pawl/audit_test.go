package main_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/database"
)

// TestAudit shows events that servers wrote.
func TestAudit(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/audit",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitline": waitLine, "record": record, "sql": sql},
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, promptEnd, logDir+"="+os.Getenv(logDir), "PAWL_DATABASE_URL=sqlite:"+env.WorkDir+"/pawl.db")
			return nil
		},
		RequireExplicitExec: true,
	})
}

// onDatabase works on the script's database.
func onDatabase(ts *testscript.TestScript, work func(context.Context, *gorm.DB) error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := database.Open(ctx, ts.Getenv("PAWL_DATABASE_URL"))
	ts.Check(err)
	defer func() { _ = database.Close(db) }()
	ts.Check(work(ctx, db))
}

// sql STATEMENT changes the database.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENT")
	}
	onDatabase(ts, func(ctx context.Context, db *gorm.DB) error { return db.WithContext(ctx).Exec(args[0]).Error })
}

// record NAME [KEY=VALUE]... writes an event; keys that are no field of it are
// details.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: record NAME [KEY=VALUE]...")
	}
	e := audit.Event{Name: audit.Name(args[0]), Details: map[string]string{}}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "user":
			e.UserID = uuid.MustParse(value)
		case "session":
			e.SessionID = uuid.MustParse(value)
		case "address":
			e.Address = value
		case "user_agent":
			e.UserAgent = value
		case "ago":
			ago, err := time.ParseDuration(value)
			ts.Check(err)
			e.At = time.Now().Add(-ago)
		case "earlier_address":
			e.Earlier = audit.Presenter{At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Address: value, UserAgent: "owner/1"}
		default:
			e.Details[key] = value
		}
	}
	onDatabase(ts, func(ctx context.Context, db *gorm.DB) error {
		log := audit.New(audit.Config{DB: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		log.Record(e)
		return log.Flush(ctx)
	})
}
