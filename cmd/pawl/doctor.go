package main

import (
	"context"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
)

type doctorCmd struct {
	productionFlags `embed:""`
	jsonFlag        `embed:""`
}

// Run looks at everything that serve would need, goes on where serve would
// stop, and changes nothing that stays. A problem is an exit 1, so that a script
// can ask.
func (c *doctorCmd) Run(io streams) error {
	redis.SetLogger(quietRedis{slog.New(slog.DiscardHandler)})
	ctx, stop := untilSignal()
	defer stop()
	found := c.examine(ctx, time.Now)
	err := c.print(io, found, func(w *tabwriter.Writer) {
		_, _ = fmt.Fprintln(w, "LEVEL\tCHECK\tFOUND")
		for _, f := range found {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", f.Level, f.Check, f)
		}
	})
	problems := 0
	for _, f := range found {
		if f.Level == problem {
			problems++
		}
	}
	if err == nil && problems > 0 {
		err = fmt.Errorf("problems to mend: %d", problems)
	}
	return err
}

func (c *doctorCmd) examine(ctx context.Context, now func() time.Time) []finding {
	var r reader
	s := c.read(&r)
	found := []finding{{fine, "settings", "all can be read", ""}}
	if len(r.bad) > 0 {
		found = nil
	}
	for _, bad := range r.bad {
		found = append(found, finding{problem, bad.setting, bad.problem, ""})
	}
	for _, about := range aboutSettings() {
		if r.good(about.settings...) {
			found = append(found, about.look(s, now)...)
		}
	}
	if r.good("PAWL_KEYS_DIR") {
		found = append(found, examineKeys(s.keysDir, now)...)
	}
	if r.good("PAWL_DATABASE_URL") {
		found = append(found, examineDatabase(ctx, s.databaseURL, s.redisURL.IsEmpty())...)
	}
	if r.good("PAWL_REDIS_URL", "PAWL_SESSION_STORE") {
		found = append(found, examineRedis(ctx, s)...)
	}
	return found
}
