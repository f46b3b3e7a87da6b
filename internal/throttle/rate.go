package throttle

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	off = "off"
	day = 24 * time.Hour
	// longest bounds how long a bucket may take to fill and how long a pause may be.
	longest  = 366 * day
	maxBurst = 1_000_000
)

// Rate says how a bucket fills: it holds Burst units and gets one back per Every
// (the generic cell rate algorithm, ITU-T I.371, of which a token bucket is the
// other face). The zero value is off.
type Rate struct {
	Burst int
	Every time.Duration // whole microseconds
}

// ParseRate reads "30/2s" (30 units, one back every 2 seconds) or "off". The
// burst is 1 to 1,000,000; the interval whole milliseconds; a bucket must fill
// within 366 days.
func ParseRate(text string) (Rate, error) {
	if text == off {
		return Rate{}, nil
	}
	burst, every, found := strings.Cut(text, "/")
	if !found {
		return Rate{}, fmt.Errorf("rate %q: want a burst and the time in which one unit comes back, like 30/2s, or off", text)
	}
	n, err := strconv.Atoi(burst)
	if err != nil || n < 1 || n > maxBurst {
		return Rate{}, fmt.Errorf("rate %q: the burst %q must be a whole number from 1 to %d, or the rate off", text, burst, maxBurst)
	}
	d, err := parseDuration(every)
	if err != nil {
		return Rate{}, fmt.Errorf("rate %q: %w", text, err)
	}
	rate := Rate{Burst: n, Every: d}
	if err := rate.Check(); err != nil {
		return Rate{}, fmt.Errorf("rate %q: %w", text, err)
	}
	return rate, nil
}

// Off reports whether the rate allows everything.
func (r Rate) Off() bool { return r == Rate{} }

// Check refuses a rate that is neither off nor one that a bucket can have.
func (r Rate) Check() error {
	switch {
	case r.Off():
		return nil
	case r.Burst < 1:
		return errors.New("a rate needs a burst of at least 1")
	case r.Every < time.Microsecond || r.Every%time.Microsecond != 0:
		return errors.New("a rate needs an interval of whole microseconds above 0")
	case r.Every > longest/time.Duration(r.Burst):
		return fmt.Errorf("a bucket of this rate takes longer than %s to fill", formatDuration(longest))
	}
	return nil
}

// String is the spelling that [ParseRate] reads.
func (r Rate) String() string {
	if r.Off() {
		return off
	}
	return strconv.Itoa(r.Burst) + "/" + formatDuration(r.Every)
}

// wide is the rate of a network of many: ten times of everything.
func (r Rate) wide() Rate { return Rate{Burst: 10 * r.Burst, Every: r.Every / 10} }

// Networks are the buckets that a request from addr spends from at a gate: one
// per IPv4 address; for IPv6, where one customer has a /64 and often more, one
// per /64 and one with ten times the rate per /48. IPv4 in IPv6 counts as IPv4,
// a zone counts for nothing, and all requests without an address share one
// bucket. The gate's name keeps the buckets of gates apart that share a store.
//
// All buckets of one call have the text in braces in common, so that a Redis
// Cluster keeps them in one slot. Addresses stand there in clear, for as long as
// the bucket is not full.
func Networks(gate string, addr netip.Addr, rate Rate) []Bucket {
	switch customer := Network(addr); {
	case rate.Off():
		return nil
	case customer == "":
		return []Bucket{{Key: gate + ":{unknown}", Rate: rate}}
	case addr.Unmap().Is4():
		return []Bucket{{Key: gate + ":{" + customer + "}", Rate: rate}}
	default:
		site := gate + ":{" + masked(addr, 48) + "}"
		return []Bucket{
			{Key: site + ":" + customer, Rate: rate},
			{Key: site, Rate: rate.wide()},
		}
	}
}

// Network is what an address has in common with those of the same customer: an
// IPv4 address is its own, an IPv6 address counts as its /64, written as a prefix.
// IPv4 in IPv6 counts as IPv4, a zone counts for nothing, and no address is the
// empty text.
func Network(addr netip.Addr) string {
	switch addr = addr.Unmap(); {
	case !addr.IsValid():
		return ""
	case addr.Is4():
		return addr.String()
	}
	return masked(addr, 64)
}

// masked is the network of an IPv6 address. A prefix has no zone.
func masked(addr netip.Addr, bits int) string {
	return netip.PrefixFrom(addr, bits).Masked().String()
}

// parseDuration reads a positive duration of whole milliseconds with its unit.
func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q needs a unit, like 30s, 5m or 24h", text)
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration like 30s, 5m or 24h", text)
	case d <= 0:
		return 0, fmt.Errorf("%q must be above 0", text)
	case d%time.Millisecond != 0:
		return 0, fmt.Errorf("%q must be whole milliseconds", text)
	case d > longest:
		return 0, fmt.Errorf("%q is longer than %s", text, formatDuration(longest))
	}
	return d, nil
}

// formatDuration is the spelling of a duration without the parts that are zero:
// 5m, where Go says 5m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
