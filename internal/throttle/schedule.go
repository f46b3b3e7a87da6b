package throttle

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxSteps    = 32
	maxFailures = 1_000_000
)

// Step is a pause that follows every failure from the given one on.
type Step struct {
	Failures int
	Pause    time.Duration // whole microseconds
}

// Schedule is a list of steps, each with more failures and no shorter a pause
// than the one before. The empty schedule is off.
type Schedule []Step

// ParseSchedule reads "5:30s,10:60s" (30 seconds after each failure from the
// fifth on, 60 from the tenth on) or "off". A schedule has at most 32 steps, of 1
// to 1,000,000 failures and whole milliseconds up to 366 days.
func ParseSchedule(text string) (Schedule, error) {
	if text == off {
		return nil, nil
	}
	var schedule Schedule
	for item := range strings.SplitSeq(text, ",") {
		step, err := parseStep(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", text, err)
		}
		schedule = append(schedule, step)
	}
	if err := schedule.Check(); err != nil {
		return nil, fmt.Errorf("schedule %q: %w", text, err)
	}
	return schedule, nil
}

func parseStep(item string) (Step, error) {
	failures, pause, found := strings.Cut(item, ":")
	if !found {
		return Step{}, fmt.Errorf("step %q: want failures and a pause, like 5:30s, or off for all", item)
	}
	n, err := strconv.Atoi(failures)
	if err != nil {
		return Step{}, fmt.Errorf("step %q: %q is not a number of failures", item, failures)
	}
	d, err := parseDuration(pause)
	if err != nil {
		return Step{}, fmt.Errorf("step %q: %w", item, err)
	}
	return Step{Failures: n, Pause: d}, nil
}

// Off reports whether the schedule allows everything.
func (s Schedule) Off() bool { return len(s) == 0 }

// Check refuses a schedule that is neither off nor one that a lane can follow.
func (s Schedule) Check() error {
	if len(s) > maxSteps {
		return fmt.Errorf("%d steps are more than %d", len(s), maxSteps)
	}
	before := Step{}
	for _, step := range s {
		switch {
		case step.Failures < 1 || step.Failures > maxFailures:
			return fmt.Errorf("step %s: the failures must be 1 to %d", step, maxFailures)
		case step.Pause < time.Microsecond || step.Pause%time.Microsecond != 0 || step.Pause > longest:
			return fmt.Errorf("step %s: the pause must be above 0 and at most %s", step, formatDuration(longest))
		case step.Failures <= before.Failures:
			return fmt.Errorf("step %s must come before %s: steps are in order of failures, each number once", step, before)
		case step.Pause < before.Pause:
			return fmt.Errorf("step %s is a shorter pause than %s: more failures never make it shorter", step, before)
		}
		before = step
	}
	return nil
}

// CheckCharge refuses a lane or a schedule that a [Store] cannot count with.
func CheckCharge(lane Lane, schedule Schedule) error {
	if err := CheckAccount(lane.Account); err != nil {
		return err
	}
	if err := schedule.Check(); err != nil {
		return errors.Join(errors.New("throttle: the schedule cannot be followed"), err)
	}
	return nil
}

// String is the spelling that [ParseSchedule] reads.
func (s Schedule) String() string {
	if s.Off() {
		return off
	}
	items := make([]string, len(s))
	for i, step := range s {
		items[i] = step.String()
	}
	return strings.Join(items, ",")
}

// String is the spelling of a step in a schedule.
func (s Step) String() string { return strconv.Itoa(s.Failures) + ":" + formatDuration(s.Pause) }

// pause is how long it takes after the n-th failure until another may be made.
func (s Schedule) pause(n int64) time.Duration {
	pause := time.Duration(0)
	for _, step := range s {
		if int64(step.Failures) <= n {
			pause = step.Pause
		}
	}
	return pause
}
