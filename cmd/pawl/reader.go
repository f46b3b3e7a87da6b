package main

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pawlauth/pawl/internal/server"
	"github.com/pawlauth/pawl/internal/throttle"
)

// reader turns text into values and remembers the settings that were wrong.
type reader struct {
	err error           // the first of them
	bad []*settingError // one for each setting, in the order in which they were read
}

// choices are the words a setting may have.
type choices[T any] []struct {
	word  string
	value T
}

var onOff = choices[bool]{{"on", true}, {"off", false}} //nolint:gochecknoglobals // a table, never written

// settingError names a setting and what to do about it, never its value.
type settingError struct{ setting, problem string }

func (e *settingError) Error() string { return e.setting + ": " + e.problem }

// refuse remembers what is wrong with a setting, the first thing of each.
func (r *reader) refuse(setting, problem string) {
	if !r.good(setting) {
		return
	}
	e := &settingError{setting, problem}
	r.bad = append(r.bad, e)
	if r.err == nil {
		r.err = e
	}
}

// good reports whether none of the settings was refused. What several settings
// come to together is judged only where each is good alone.
func (r *reader) good(settings ...string) bool {
	return !slices.ContainsFunc(r.bad, func(e *settingError) bool { return slices.Contains(settings, e.setting) })
}

func oneOf[T any](r *reader, setting, text string, words choices[T]) (value T) {
	names := make([]string, len(words))
	for i, c := range words {
		if c.word == text {
			return c.value
		}
		names[i] = c.word
	}
	r.refuse(setting, "must be one of: "+strings.Join(names, ", "))
	return value
}

// rate reads how often a network may do something.
func (r *reader) rate(setting, text string) throttle.Rate {
	rate, err := throttle.ParseRate(text)
	if err != nil {
		r.refuse(setting, "must be how many at once and how long until one more, as in 30/2s, or off")
	}
	return rate
}

// schedule reads the pauses after failures.
func (r *reader) schedule(setting, text string) throttle.Schedule {
	schedule, err := throttle.ParseSchedule(text)
	if err != nil {
		r.refuse(setting, "must be growing numbers of failures with the pause after each, as in 5:30s,10:60s,20:5m, or off")
	}
	return schedule
}

// duration reads a duration with units; a bare number is refused, 0 too.
func (r *reader) duration(setting, text string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || !unicode.IsLetter(rune(text[len(text)-1])) {
		r.refuse(setting, "must be a duration with units, as in 90s, 15m or 168h")
		return 0
	}
	if d < least || d > most {
		r.refuse(setting, fmt.Sprintf("must be between %s and %s", short(least), short(most)))
	}
	return d
}

// short spells a duration as people do: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (r *reader) number(setting, text string, least, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		r.refuse(setting, fmt.Sprintf("must be a whole number from %d to %d", least, most))
		return least
	}
	return n
}

// size reads a number of bytes with a binary unit.
func (r *reader) size(setting, text string, least, most int64) int64 {
	for _, unit := range []struct {
		name  string
		shift int
	}{{"KiB", 10}, {"MiB", 20}, {"B", 0}} {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64>>unit.shift {
			break
		}
		if n <<= unit.shift; n < least || n > most {
			r.refuse(setting, fmt.Sprintf("must be between %dKiB and %dMiB", least>>10, most>>20))
		}
		return n
	}
	r.refuse(setting, "must be a size with units, as in 64KiB or 1MiB")
	return least
}

func (r *reader) addr(setting, text string) string {
	_, port, err := net.SplitHostPort(text)
	if _, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil {
		r.refuse(setting, "must be host:port, as in localhost:8080 or :8080")
	}
	return text
}

// maxName is the most bytes of an issuer or audience: they are in every access
// token.
const maxName = 256

// name reads a text that must be there, is short and has no blanks.
func (r *reader) name(setting, text string) string {
	switch {
	case text == "":
		r.refuse(setting, "must be set")
	case len(text) > maxName:
		r.refuse(setting, fmt.Sprintf("must have at most %d bytes", maxName))
	case strings.ContainsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }):
		r.refuse(setting, "must not contain blanks or control characters")
	}
	return text
}

// list splits at commas; blanks around the items are dropped.
func list(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

func (r *reader) origins(setting, text string, webview bool) []string {
	items := list(text)
	for i, origin := range items {
		if err := server.CheckOrigin(origin, webview); err != nil {
			r.refuse(setting, fmt.Sprintf("item %d: %v", i+1, err))
		}
	}
	return items
}

func (r *reader) prefixes(setting, text string) []netip.Prefix {
	var prefixes []netip.Prefix
	for i, item := range list(text) {
		p, err := netip.ParsePrefix(item)
		if err != nil || p.Addr().Is4In6() {
			r.refuse(setting, fmt.Sprintf("item %d: must be a network, as in 10.0.0.0/8 or 192.0.2.1/32", i+1))
			continue
		}
		if p != p.Masked() {
			r.refuse(setting, fmt.Sprintf("item %d: has address bits beyond its length", i+1))
		}
		prefixes = append(prefixes, p)
	}
	return prefixes
}

// translators reads the prefixes of translators.
func (r *reader) translators(setting, text string) []netip.Prefix {
	prefixes := r.prefixes(setting, text)
	for i, p := range prefixes {
		if err := server.CheckNAT64Prefix(p); err != nil {
			r.refuse(setting, fmt.Sprintf("item %d: %s", i+1, err))
		}
	}
	return prefixes
}
