package audit

import (
	"strconv"
	"time"
)

// Of an event that repeats at somebody's will the table takes so many in a
// window, and then one line that counts the others.
const (
	noiseWindow = 10 * time.Second
	noiseLimit  = 50
)

// window is what came of one noisy event since its start.
type window struct {
	start      time.Time
	passed     int
	suppressed uint64
}

func (w *window) over(now time.Time) bool {
	return now.Sub(w.start) >= noiseWindow || now.Before(w.start)
}

// admit reports whether the table takes the event, or only its count.
func (l *Log) admit(name Name, now time.Time) bool {
	if !name.noisy() {
		return true
	}
	w := l.noise[name]
	if w == nil || w.over(now) {
		l.sum(name, now)
		w = &window{start: now}
		l.noise[name] = w
	}
	if w.passed < noiseLimit {
		w.passed++
		return true
	}
	w.suppressed++
	return false
}

// sum ends the window of an event, and queues the count of what was left out.
func (l *Log) sum(name Name, now time.Time) {
	w := l.noise[name]
	delete(l.noise, name)
	if w == nil || w.suppressed == 0 {
		return
	}
	l.put(Event{Name: name, At: now, Details: map[string]string{
		"suppressed": strconv.FormatUint(w.suppressed, 10),
		"since":      w.start.UTC().Format(time.RFC3339),
	}}.bounded(now))
}

// sumUp ends the windows that are over, or all.
func (l *Log) sumUp(now time.Time, all bool) {
	for name, w := range l.noise {
		if all || w.over(now) {
			l.sum(name, now)
		}
	}
}
