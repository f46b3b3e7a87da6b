package model

import (
	"fmt"
	"slices"
	"strings"
)

// Result is what a search came to.
type Result struct {
	States    int
	Violation string   // empty when there is none
	Trace     []string // the shortest way there
}

// String shows the violation with its way.
func (r Result) String() string {
	if r.Violation == "" {
		return fmt.Sprintf("%d states, no violation", r.States)
	}
	return fmt.Sprintf("%d states, %s after %d steps:\n  %s", r.States, r.Violation, len(r.Trace), strings.Join(r.Trace, "\n  "))
}

// explorer looks at every state that can be reached, nearest first, and stops at
// the first violation.
type explorer[S comparable] struct {
	seen   map[S]struct{}
	states []S
	parent []int32
	at     int32
	what   string // the violation, empty before
	last   string // the step that leads to it from the state at

	tracing bool // how one step was made, in words
	target  S
	step    string
}

// explore expands state after state, and gives up after limit; 0 looks at all.
func (e *explorer[S]) explore(start S, limit int, expand func(S)) Result {
	e.seen = make(map[S]struct{})
	e.reach(start, "start")
	for e.what == "" && int(e.at) < len(e.states) && (limit == 0 || len(e.states) <= limit) {
		if expand(e.states[e.at]); e.what == "" {
			e.at++
		}
	}
	result := Result{States: len(e.states), Violation: e.what}
	if e.what != "" {
		result.Trace = append(e.trace(expand), e.last)
	}
	return result
}

// trace is the way to the state at: each step is made once more, for its words.
func (e *explorer[S]) trace(expand func(S)) []string {
	var steps []string
	e.tracing = true
	for at := e.at; at != 0; at = e.parent[at] {
		e.target, e.step = e.states[at], ""
		expand(e.states[e.parent[at]])
		steps = append(steps, e.step)
	}
	slices.Reverse(steps)
	return steps
}

// reach notes a state that follows from the one that is being expanded.
func (e *explorer[S]) reach(state S, format string, args ...any) {
	if e.tracing {
		if state == e.target && e.step == "" {
			e.step = fmt.Sprintf(format, args...)
		}
		return
	}
	if _, known := e.seen[state]; known {
		return
	}
	e.seen[state] = struct{}{}
	e.states = append(e.states, state)
	e.parent = append(e.parent, e.at)
}

// violation notes what the state that is being expanded leads to.
func (e *explorer[S]) violation(what, format string, args ...any) {
	if e.what == "" {
		e.what, e.last = what, fmt.Sprintf(format, args...)
	}
}
