package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
)

const (
	maxEvents = 100_000 // that are listed at a time

	tailEvery = time.Second
	// tailOverlap is how late an event may be written and still be shown.
	tailOverlap = time.Minute
	tailPage    = 1000
)

type auditListCmd struct {
	databaseFlag `embed:""`
	jsonFlag     `embed:""`
	User         string `env:"PAWL_USER" placeholder:"EMAIL" help:"Events of this user: an email, or a user id."`
	Session      string `env:"PAWL_SESSION" placeholder:"ID" help:"Events of this session."`
	Name         string `env:"PAWL_NAME" placeholder:"NAME" help:"Events of this name, as session.reuse_detected."`
	Since        string `env:"PAWL_SINCE" placeholder:"24h" help:"Events of this last time. Default: all that are kept."`
	Limit        string `env:"PAWL_LIMIT" default:"100" placeholder:"100" help:"How many, the newest. Default: 100."`
}

// Run lists events, the newest first.
func (c *auditListCmd) Run(io streams) error {
	filter, err := c.filter()
	if err != nil {
		return usageError{err}
	}
	return storeFlags{DatabaseURL: c.DatabaseURL}.operate(io, func(ctx context.Context, op *operator) error {
		if c.User != "" && filter.User == uuid.Nil {
			u, err := op.byEmail(ctx, c.User)
			if err != nil {
				return err
			}
			filter.User = u.ID
		}
		entries, err := audit.List(ctx, op.db, filter)
		if err != nil {
			return databaseError(err)
		}
		rows := make([]eventRow, len(entries))
		for i, e := range entries {
			rows[i] = newEventRow(e)
		}
		return c.print(io, rows, func(w *tabwriter.Writer) {
			_, _ = fmt.Fprintln(w, strings.Join(eventColumns(), "\t"))
			for _, r := range rows {
				_, _ = fmt.Fprintln(w, strings.Join(r.cells(), "\t"))
			}
		})
	})
}

// filter is what the flags ask for. An email is looked up later.
func (c *auditListCmd) filter() (f audit.Filter, err error) {
	f.Name = audit.Name(c.Name)
	if c.Name != "" && !slices.Contains(audit.Names(), f.Name) {
		return f, fmt.Errorf("--name: must be one of %s", names())
	}
	if f.Limit, err = strconv.Atoi(c.Limit); err != nil || f.Limit < 1 || f.Limit > maxEvents {
		return f, fmt.Errorf("--limit: must be a number from 1 to %d", maxEvents)
	}
	if c.Since != "" {
		since, err := time.ParseDuration(c.Since)
		if err != nil || since <= 0 {
			return f, errors.New("--since: must be a time with its unit, as 24h or 30m")
		}
		f.Since = time.Now().Add(-since)
	}
	if c.Session != "" {
		if f.Session, err = uuid.Parse(c.Session); err != nil || f.Session == uuid.Nil {
			return f, errors.New("--session: this is not a session id")
		}
	}
	if id, err := uuid.Parse(c.User); err == nil { // an account that was deleted has no email
		f.User = id
	}
	return f, nil
}

func names() string {
	words := make([]string, 0, len(audit.Names()))
	for _, name := range audit.Names() {
		words = append(words, string(name))
	}
	return strings.Join(words, ", ")
}

type auditTailCmd struct {
	databaseFlag `embed:""`
	JSON         bool   `name:"json" env:"PAWL_JSON" help:"Print one JSON object per line instead of a table."`
	Lines        string `short:"n" env:"PAWL_LINES" default:"20" placeholder:"20" help:"How many of the past events to begin with. Default: 20."`
}

// Run prints the newest events, the oldest of them first, and then those that
// are written, until it is told to stop.
func (c *auditTailCmd) Run(io streams) error {
	n, err := strconv.Atoi(c.Lines)
	if err != nil || n < 0 || n > maxEvents {
		return usageError{fmt.Errorf("--lines: must be a number from 0 to %d", maxEvents)}
	}
	return storeFlags{DatabaseURL: c.DatabaseURL}.operate(io, func(ctx context.Context, op *operator) error {
		t := &tail{db: op.db, json: c.JSON, out: io.out}
		if err := t.begin(ctx, n); err != nil {
			return ended(ctx, databaseError(err))
		}
		t.follow(ctx, io.err)
		return nil
	})
}

// tail prints events as they are written. Servers write behind, and their clocks
// differ: an event may appear after others that happened later.
type tail struct {
	db     *gorm.DB
	json   bool
	out    io.Writer
	newest time.Time          // of the events seen
	seen   map[uuid.UUID]bool // in the last look
}

// begin prints the newest n events.
func (t *tail) begin(ctx context.Context, n int) error {
	last, err := audit.List(ctx, t.db, audit.Filter{Limit: 1})
	if err != nil {
		return err
	}
	if len(last) > 0 {
		t.newest = last[0].At
	}
	if _, err := t.look(ctx); err != nil { // what is there already
		return err
	}
	if !t.json {
		t.line(eventColumns())
	}
	if n == 0 {
		return nil
	}
	past, err := audit.List(ctx, t.db, audit.Filter{Limit: n})
	for _, e := range slices.Backward(past) {
		t.show(e)
		t.seen[e.ID] = true
	}
	return err
}

// follow prints what is written until ctx ends, and says so once when the
// database stops answering.
func (t *tail) follow(ctx context.Context, complaints io.Writer) {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for silent := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		fresh, err := t.look(ctx)
		if err != nil && !silent && ctx.Err() == nil {
			_, _ = fmt.Fprintln(complaints, "pawl:", databaseError(err), "(still trying)")
		}
		silent = err != nil
		for _, e := range fresh {
			t.show(e)
		}
	}
}

// look returns the events that appeared since the last look, in the order of
// time. It reads again what is younger than tailOverlap, and counts from the
// newest event so that the servers' clocks need not be this machine's.
func (t *tail) look(ctx context.Context) (fresh []audit.Entry, err error) {
	filter := audit.Filter{OldestFirst: true, Limit: tailPage}
	newest, seen := t.newest, map[uuid.UUID]bool{}
	if now := time.Now(); newest.After(now) {
		filter.Since = now.Add(-tailOverlap)
	} else if !newest.IsZero() {
		filter.Since = newest.Add(-tailOverlap)
	}
	for more := true; more; {
		limited, cancel := context.WithTimeout(ctx, storeAnswer)
		page, err := audit.List(limited, t.db, filter)
		cancel()
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if !t.seen[e.ID] {
				fresh = append(fresh, e)
			}
			seen[e.ID], filter.After = true, e.ID
			if e.At.After(newest) {
				newest = e.At
			}
		}
		more = len(page) == tailPage
	}
	t.newest, t.seen = newest, seen
	return fresh, nil
}

func (t *tail) show(e audit.Entry) {
	row := newEventRow(e)
	if t.json {
		_ = json.NewEncoder(t.out).Encode(row)
		return
	}
	t.line(row.cells())
}

// line is one of a table whose other lines are not known yet.
func (t *tail) line(cells []string) {
	for i, width := range []int{20, 8, 29, 36, 36, 15} {
		_, _ = fmt.Fprintf(t.out, "%-*s  ", width, cells[i])
	}
	_, _ = fmt.Fprintln(t.out, cells[len(cells)-1])
}
