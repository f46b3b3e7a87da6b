package throttle_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]throttle.Rate{
		"off": {}, "30/2s": {30, 2 * time.Second}, "600/100ms": {600, 100 * time.Millisecond}, "1/24h": {1, 24 * time.Hour},
		"5/1m30s": {5, 90 * time.Second}, "1000000/1ms": {1_000_000, time.Millisecond}, "1/0.5s": {1, 500 * time.Millisecond},
	} {
		got, err := throttle.ParseRate(text)
		if err != nil || got != want {
			t.Errorf("ParseRate(%q): got %+v and error %v, want %+v", text, got, err, want)
		}
		if again, err := throttle.ParseRate(got.String()); err != nil || again != got {
			t.Errorf("ParseRate(%q): got %+v and error %v, want %+v again", got.String(), again, err, got)
		}
	}
	for text, say := range map[string]string{
		"": "like 30/2s, or off", "30": "like 30/2s, or off", "30/2": "needs a unit", "30/0": "needs a unit", "30/0s": "above 0",
		"30/-2s": "above 0", "0/2s": "from 1", "-1/2s": "from 1", "x/2s": "from 1", "1000001/1s": "from 1", "1.5/2s": "from 1",
		"30/2x": "not a duration", "30/": "not a duration", "30/1us": "whole milliseconds", "30/1h0m0.0001s": "whole milliseconds",
		"1/9000h": "longer than 8784h", "1000/10h": "longer than 8784h to fill", "OFF": "like 30/2s", "30/2s/1": "not a duration", "30 /2s": "from 1",
		"30/9999999999h": "not a duration", "99999999999999999999/1s": "from 1",
	} {
		if got, err := throttle.ParseRate(text); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("ParseRate(%q): got %+v and error %v, want one that says %q", text, got, err, say)
		}
	}
}

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"off": "off", "5:30s": "5:30s", "5:30s,10:60s,20:5m,50:1h,100:24h": "5:30s,10:1m,20:5m,50:1h,100:24h",
		"1:1ms, 2:1h30m": "1:1ms,2:1h30m", "3:90s,4:90s": "3:1m30s,4:1m30s", "1:36h10s": "1:36h0m10s",
	} {
		got, err := throttle.ParseSchedule(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseSchedule(%q): got %s and error %v, want %s", text, got, err, want)
		}
		if again, err := throttle.ParseSchedule(want); err != nil || !slices.Equal(again, got) {
			t.Errorf("ParseSchedule(%q): got %s and error %v, want %s again", want, again, err, got)
		}
	}
	var steps []string
	for i := range 33 {
		steps = append(steps, fmt.Sprintf("%d:1s", i+1))
	}
	for text, say := range map[string]string{
		"": "or off", "5": "like 5:30s", "5:30": "needs a unit", "5:0": "needs a unit", "5:0s": "above 0", "5:-30s": "above 0",
		"0:30s": "must be 1 to", "-5:30s": "must be 1 to", "1000001:30s": "must be 1 to", "x:30s": "not a number", "5.5:30s": "not a number",
		"10:1m,5:30s": "in order", "5:30s,5:1m": "each number once", "5:1m,10:30s": "shorter pause", "5:30s,": "or off",
		"5:1000000h": "longer than 8784h", "5:1us": "whole milliseconds", "5:30s;10:60s": "not a duration", "Off": "or off",
		strings.Join(steps, ","): "more than 32",
	} {
		if got, err := throttle.ParseSchedule(text); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("ParseSchedule(%q): got %s and error %v, want one that says %q", text, got, err, say)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"30/2s", "off", "600/100ms", "5:30s,10:60s,20:5m,50:1h,100:24h", "1:1h0.5s", "1/-1s", ":", "/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if rate, err := throttle.ParseRate(text); err == nil {
			again, err := throttle.ParseRate(rate.String())
			if err != nil || again != rate {
				t.Errorf("ParseRate(%q) as %q: got %+v and error %v, want %+v again", text, rate, again, err, rate)
			}
			if err := rate.Check(); err != nil {
				t.Errorf("ParseRate(%q): got a rate with %v, want a good one", text, err)
			}
			for _, b := range throttle.Networks("gate", netip.IPv6Loopback(), rate) {
				if err := b.Rate.Check(); err != nil {
					t.Errorf("ParseRate(%q): got a bucket with %v, want good ones", text, err)
				}
			}
		}
		if schedule, err := throttle.ParseSchedule(text); err == nil {
			again, err := throttle.ParseSchedule(schedule.String())
			if err != nil || !slices.Equal(again, schedule) {
				t.Errorf("ParseSchedule(%q) as %q: got %v and error %v, want %v again", text, schedule, again, err, schedule)
			}
			if err := schedule.Check(); err != nil {
				t.Errorf("ParseSchedule(%q): got a schedule with %v, want a good one", text, err)
			}
		}
	})
}

func TestNetworks(t *testing.T) {
	rate := throttle.Rate{Burst: 30, Every: 2 * time.Second}
	wide := throttle.Rate{Burst: 300, Every: 200 * time.Millisecond}
	for addr, want := range map[string][]throttle.Bucket{
		"192.0.2.1":        {{"login:{192.0.2.1}", rate}},
		"::ffff:192.0.2.1": {{"login:{192.0.2.1}", rate}},
		"2001:db8:1:2:3:4:5:6": {
			{"login:{2001:db8:1::/48}:2001:db8:1:2::/64", rate}, {"login:{2001:db8:1::/48}", wide},
		},
		"2001:DB8:1:2::9%eth0": {
			{"login:{2001:db8:1::/48}:2001:db8:1:2::/64", rate}, {"login:{2001:db8:1::/48}", wide},
		},
		"::1": {{"login:{::/48}:::/64", rate}, {"login:{::/48}", wide}},
	} {
		if got := throttle.Networks("login", netip.MustParseAddr(addr), rate); !slices.Equal(got, want) {
			t.Errorf("Networks(%s): got %v, want %v", addr, got, want)
		}
	}
	if got, want := throttle.Networks("login", netip.Addr{}, rate), []throttle.Bucket{{"login:{unknown}", rate}}; !slices.Equal(got, want) {
		t.Errorf("Networks without an address: got %v, want %v", got, want)
	}
	if got := throttle.Networks("login", netip.IPv6Loopback(), throttle.Rate{}); len(got) != 0 {
		t.Errorf("Networks at a rate that is off: got %v, want none", got)
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9%eth0": "2001:db8:1:2::/64",
	} {
		if got := throttle.Network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Network(%s): got %q, want %q", addr, got, want)
		}
	}
	if got := throttle.Network(netip.Addr{}); got != "" {
		t.Errorf("Network without an address: got %q, want none", got)
	}
}
