package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
)

// level is how good or bad a finding is.
type level string

const (
	fine    level = "ok"
	warning level = "warning" // a server runs with it, worse than it could
	problem level = "problem" // a server does not run with it, or must not
)

// finding is what one check of the configuration came to. doctor prints it;
// serve logs those that it comes across and that are not fine. It names
// settings and repeats no text of theirs.
type finding struct {
	Level level  `json:"level"`
	Check string `json:"check"` // what was looked at: a setting, or a store and what of it
	Found string `json:"found"`
	Do    string `json:"do"` // how to mend it; empty where Found says so, or nothing is to be done
}

// String is what was found and what to do about it.
func (f finding) String() string {
	if f.Do == "" {
		return f.Found
	}
	return f.Found + "; " + f.Do
}

// warn logs the findings that are not fine.
func warn(log *slog.Logger, found ...finding) {
	for _, f := range found {
		if f.Level != fine {
			log.Warn("the configuration has a weakness", "check", f.Check, "found", f.Found, "do", f.Do)
		}
	}
}

// lookTime is the longest that one look at a store may take.
const lookTime = 3 * time.Second

// look is one check of a store. An error means that the store did not say what
// the check asks for. A finding without level is nothing to tell.
type look struct {
	check string
	make  func(context.Context) (finding, error)
}

// examine makes the looks one after the other, each within lookTime. A store
// that stopped answering is not asked again.
func examine(ctx context.Context, looks []look) []finding {
	var found []finding
	for _, l := range looks {
		limited, cancel := context.WithTimeout(ctx, lookTime)
		f, err := l.make(limited)
		cancel()
		if err != nil {
			f = unanswered(err)
		}
		if f.Level != "" {
			f.Check = l.check
			found = append(found, f)
		}
		if err != nil && !replied(err) {
			break
		}
	}
	return found
}

// replied reports whether the error is the store's own word.
func replied(err error) bool {
	var pg *pgconn.PgError
	var reply redis.Error
	return errors.As(err, &pg) || errors.As(err, &reply)
}

// unanswered is a look that came to nothing.
func unanswered(err error) finding {
	why, do := plain(err), ""
	if errors.Is(err, context.DeadlineExceeded) {
		why = "nothing within " + short(lookTime)
	}
	if !replied(err) {
		do = "nothing else was asked"
	}
	return finding{problem, "", "no good answer: " + why, do}
}

// clocks compares a store's clock with this machine's. between is how long the
// question took, which the answer cannot be more precise than. worst is the
// level of clocks that are far apart.
func clocks(store string, theirs, asked time.Time, between time.Duration, worst level) finding {
	const near, far = 2 * time.Second, 10 * time.Second
	apart := max(0, theirs.Sub(asked.Add(between/2)).Abs()-between/2)
	if apart <= near {
		return finding{fine, "", fmt.Sprintf("the clock of %s and this machine's are less than %s apart", store, near), ""}
	}
	f := finding{warning, "", fmt.Sprintf("the clock of %s and this machine's are %s apart", store, apart.Round(time.Second)), "run NTP on both"}
	if apart > far {
		f.Level = worst
	}
	return f
}

// member is one of several servers that make up a store, and what was found there.
type member struct {
	name  string
	found []finding
}

// merge makes one list of what was found at several members: what is the same at
// all of them once, and what is not with their names.
func merge(members []member) []finding {
	if len(members) == 1 {
		return members[0].found
	}
	var order []finding
	where := map[finding][]string{}
	for _, m := range members {
		for _, f := range m.found {
			if where[f] == nil {
				order = append(order, f)
			}
			where[f] = append(where[f], m.name)
		}
	}
	rank := map[string]int{} // the checks in the members' order
	for _, f := range order {
		if _, known := rank[f.Check]; !known {
			rank[f.Check] = len(rank)
		}
	}
	slices.SortStableFunc(order, func(a, b finding) int { return rank[a.Check] - rank[b.Check] })
	for i, f := range order {
		at := strings.Join(where[f], ", ")
		if len(where[f]) == len(members) {
			at = fmt.Sprintf("all %d", len(members))
		}
		order[i].Found += " (" + at + ")"
	}
	return order
}
