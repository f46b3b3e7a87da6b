package server_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/server"
)

// callerOf is the address of a client that comes through a trusted proxy.
func callerOf(t *testing.T, client string, nat64 ...string) string {
	t.Helper()
	var got netip.Addr
	cfg := config(t)
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // of httptest
	for _, p := range nat64 {
		cfg.NAT64Prefixes = append(cfg.NAT64Prefixes, netip.MustParsePrefix(p))
	}
	s := open(t, cfg, func(_ http.ResponseWriter, r *http.Request) { got = auth.CallerFrom(r.Context()).Address })
	do(s, "POST", "/graphql", "X-Forwarded-For", client)
	return got.String()
}

// An IPv4 client is itself, whatever translated its address.
func TestTranslatedClients(t *testing.T) {
	const v4 = "198.51.100.7" // c6 33 64 07
	for _, tt := range []struct {
		name, client, want string
	}{
		{"IPv4", v4, v4},
		{"mapped", "::ffff:198.51.100.7", v4},
		{"the well-known prefix", "64:ff9b::198.51.100.7", v4},
		{"another below it", "64:ff9b::c633:6408", "198.51.100.8"},
		{"beside it", "64:ff9b:0:0:0:1:c633:6407", "64:ff9b::1:c633:6407"},
		{"one's own translator, 96 bits", "64:ff9b:1::198.51.100.7", v4},
		{"another one's own, 96 bits", "64:ff9b:1:fffe::198.51.100.7", v4},
		{"one's own translator, 48 bits", "64:ff9b:1:c633:64:700::", v4},
		{"beside one's own", "64:ff9b:2::198.51.100.7", "64:ff9b:2::c633:6407"},
		{"6to4", "2002:c633:6407::1", v4},
		{"another network of the same 6to4", "2002:c633:6407:ffff:1:2:3:4", v4},
		{"Teredo", "2001:0:5ef5:79fd:8000:f227:39cc:9bf8", v4},
		{"the same by another server", "2001:0:c000:201:0:1:39cc:9bf8", v4},
		{"beside Teredo", "2001:1::39cc:9bf8", "2001:1::39cc:9bf8"},
		{"IPv6", "2001:db8::c633:6407", "2001:db8::c633:6407"},
		{"compatible", "::198.51.100.7", "::c633:6407"},
		{"loopback", "::1", "::1"},
	} {
		if got := callerOf(t, tt.client); got != tt.want {
			t.Errorf("%s: %s is %s, want %s", tt.name, tt.client, got, tt.want)
		}
	}
}

// The examples of RFC 6052, section 2.4, for 192.0.2.33 behind prefixes of one's
// own, and a longer prefix inside of a shorter one.
func TestPrefixesOfOnesOwn(t *testing.T) {
	const v4 = "192.0.2.33"
	for prefix, client := range map[string]string{
		"2001:db8::/32":            "2001:db8:c000:221::",
		"2001:db8:100::/40":        "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":        "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56":    "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64":    "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96":    "2001:db8:122:344::192.0.2.33",
		"64:ff9b:1:abcd::/64":      "64:ff9b:1:abcd:c0:2:2100::",
		"2002:c633:6407:1::/96":    "2002:c633:6407:1::192.0.2.33",
		"2001:0:5ef5:79fd::/64":    "2001:0:5ef5:79fd:c0:2:2100:0",
		"2001:db8:122:3ff::/96":    "2001:db8:122:3ff::c000:221",
		"2001:db8:aaaa:bbbb::/64":  "2001:db8:aaaa:bbbb:ffc0:2:21ff:ffff", // the bits that are no part of it do not count
		"2001:db8:aaaa:bb00::/56":  "2001:db8:aaaa:bbc0:ff00:221:ffff:ffff",
		"2001:db8:aaaa:cccc::/96":  "2001:db8:aaaa:cccc::c000:0221",
		"2001:db8:cc00::/40":       "2001:db8:ccc0:2:21::",
		"2001:db8:dddd:0:0:1::/96": "2001:db8:dddd:0:0:1:c000:221",
	} {
		if got := callerOf(t, client, prefix); got != v4 {
			t.Errorf("%s: %s is %s, want %s", prefix, client, got, v4)
		}
		if got := callerOf(t, "2a00::1", prefix); got != "2a00::1" {
			t.Errorf("%s: another is %s, want itself", prefix, got)
		}
	}
	if got := callerOf(t, "2001:db8:122:344::192.0.2.33", "2001:db8::/32", "2001:db8:122:344::/96", "2001:db8:122::/48"); got != v4 {
		t.Errorf("the longest prefix: got %s, want %s", got, v4)
	}
}

// Whom to believe is decided by the address that is there: nobody becomes a
// trusted proxy because an address below a prefix holds that of one.
func TestTranslatedClientsAreNoProxies(t *testing.T) {
	for client, want := range map[string]string{
		"198.51.100.9, 64:ff9b::192.0.2.1": "192.0.2.1", "198.51.100.9, 2002:c000:201::1": "192.0.2.1",
	} {
		if got := callerOf(t, client); got != want {
			t.Errorf("%s: got %s, want %s, and nothing left of it believed", client, got, want)
		}
	}
}

func TestCheckNAT64Prefix(t *testing.T) {
	for prefix, ok := range map[string]bool{
		"64:ff9b::/96": true, "2001:db8::/32": true, "2001:db8:100::/40": true, "2001:db8:122::/48": true, "2001:db8:122:300::/56": true,
		"2001:db8:122:344::/64": true, "2001:db8:122:344::/96": true, "::ffff:0:0:0/96": false,
		"2001:db8::/33": false, "2001:db8::/128": false, "2001:db8::/80": false, "::/0": false, "2000::/3": false,
		"10.0.0.0/8": false, "192.0.2.0/32": false, "::ffff:0:0/96": false, "::/96": false, "::/64": false, "2001:db8:0:0:100::/96": false,
	} {
		if err := server.CheckNAT64Prefix(netip.MustParsePrefix(prefix)); (err == nil) != ok {
			t.Errorf("%s: got %v, want good %t", prefix, err, ok)
		}
		cfg := config(t)
		cfg.NAT64Prefixes = []netip.Prefix{netip.MustParsePrefix(prefix)}
		if _, err := server.New(cfg); (err == nil) != ok {
			t.Errorf("a server with %s: got %v, want good %t", prefix, err, ok)
		}
	}
}

// FuzzTranslated: any address is some client's, and an IPv4 address stays itself.
func FuzzTranslated(f *testing.F) {
	for _, client := range []string{"64:ff9b::1", "64:ff9b:1::", "2002::", "2001::", "::1", "192.0.2.1", "2001:db8:1::"} {
		addr := netip.MustParseAddr(client)
		f.Add(addr.AsSlice())
	}
	prefixes := []netip.Prefix{}
	for _, bits := range []int{32, 40, 48, 56, 64, 96} {
		prefixes = append(prefixes, netip.PrefixFrom(netip.MustParseAddr("2001:db8:1::"), bits).Masked())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		got := server.Translated(addr, prefixes)
		if !got.IsValid() || addr.Is4() && got != addr || got.Is6() && got != addr || got.Is4() && server.Translated(got, prefixes) != got {
			t.Errorf("%s is %s", addr, got)
		}
	})
}
