package server_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/server"
)

func TestBearer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		values  []string
		token   string
		invalid bool
	}{
		{"none", nil, "", false},
		{"plain", []string{"Bearer a.b-c_d~e+f/g=="}, "a.b-c_d~e+f/g==", false},
		{"any case", []string{"bEARER abc"}, "abc", false},
		{"more spaces", []string{"Bearer   abc"}, "abc", false},
		{"other scheme", []string{"Basic abc"}, "", false},
		{"longer scheme", []string{"Bearers abc"}, "", false},
		{"no scheme", []string{""}, "", false},
		{"no token", []string{"Bearer"}, "", true},
		{"empty token", []string{"Bearer "}, "", true},
		{"two headers", []string{"Bearer abc", "Bearer abc"}, "", true},
		{"two headers, other scheme", []string{"Basic abc", "Bearer abc"}, "", true},
		{"joined", []string{"Bearer abc, Bearer abc"}, "", true},
		{"two tokens", []string{"Bearer abc def"}, "", true},
		{"only padding", []string{"Bearer =="}, "", true},
		{"padding inside", []string{"Bearer a=b"}, "", true},
		{"not ascii", []string{"Bearer ä"}, "", true},
		{"as long as can be", []string{"Bearer " + strings.Repeat("a", server.MaxBearer)}, strings.Repeat("a", server.MaxBearer), false},
		{"too long", []string{"Bearer " + strings.Repeat("a", server.MaxBearer+1)}, "", true},
	} {
		token, invalid := server.Bearer(http.Header{"Authorization": tt.values})
		if token.Reveal() != tt.token || invalid != tt.invalid {
			t.Errorf("%s: got %q invalid %t, want %q invalid %t", tt.name, token.Reveal(), invalid, tt.token, tt.invalid)
		}
	}
}

func FuzzBearer(f *testing.F) {
	f.Add("Bearer abc", "")
	f.Add("bearer", "Bearer x")
	f.Add("Basic eDp5", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		values := []string{one}
		if two != "" {
			values = append(values, two)
		}
		token, invalid := server.Bearer(http.Header{"Authorization": values})
		if invalid && !token.IsEmpty() {
			t.Errorf("%q: a token although it is invalid", values)
		}
		if token.Len() > server.MaxBearer || strings.ContainsAny(token.Reveal(), " \t\r\n,;\"") {
			t.Errorf("%q: token %q", values, token.Reveal())
		}
		if len(values) > 1 && !invalid {
			t.Errorf("%q: two headers must be invalid", values)
		}
		if !token.IsEmpty() && !strings.HasSuffix(strings.TrimRight(one, " "), token.Reveal()) {
			t.Errorf("%q: token %q is not what was sent", values, token.Reveal())
		}
	})
}

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fd00::/8"),
}

func TestClientAddress(t *testing.T) {
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"peer", "203.0.113.9:1234", nil, "203.0.113.9"},
		{"peer is not trusted", "203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		{"through a proxy", "10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"through two", "10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"a forged left end", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:1", []string{"1.1.1.1", "198.51.100.1,10.0.0.2"}, "198.51.100.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nothing forwarded", "10.0.0.1:1", nil, "10.0.0.1"},
		{"garbage first", "10.0.0.1:1", []string{"198.51.100.1, garbage"}, "10.0.0.1"},
		{"garbage after a hop", "10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty entry", "10.0.0.1:1", []string{"198.51.100.1, "}, "10.0.0.1"},
		{"port", "10.0.0.1:1", []string{"198.51.100.1:8080"}, "198.51.100.1"},
		{"brackets and port", "10.0.0.1:1", []string{"[2001:db8::1]:8080"}, "2001:db8::1"},
		{"brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"half a bracket", "10.0.0.1:1", []string{"[2001:db8::1"}, "10.0.0.1"},
		{"zone", "10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"mapped", "10.0.0.1:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"mapped peer", "[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"mapped proxy in between", "10.0.0.1:1", []string{"198.51.100.1, ::ffff:10.9.9.9"}, "198.51.100.1"},
		{"IPv6 proxy", "[fd00::1]:1", []string{"2001:db8::5"}, "2001:db8::5"},
		{"no peer", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		if got := server.ClientAddress(tt.peer, tt.forwarded, proxies).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The table of odd spellings: each stands alone behind a trusted peer, and is
// the client's address or none.
func TestForwardedSpellings(t *testing.T) {
	const none = "10.0.0.1" // the walk ends at the peer
	for entry, want := range map[string]string{
		"198.51.100.1":                    "198.51.100.1",
		" \t198.51.100.1\t ":              "198.51.100.1",
		"198.51.100.1:0":                  "198.51.100.1",
		"198.51.100.1:65535":              "198.51.100.1",
		"198.51.100.1:65536":              none,
		"198.51.100.1:":                   none,
		"198.51.100.1:port":               none,
		"198.51.100.1 :80":                none,
		"[198.51.100.1]":                  "198.51.100.1",
		"[198.51.100.1]:80":               none,
		"198.51.100.01":                   none,
		"198.51.100":                      none,
		"198.51.100.1/32":                 none,
		"3325256705":                      none,
		"0xc6336401":                      none,
		"2001:db8::1":                     "2001:db8::1",
		"2001:DB8:0:0::0001":              "2001:db8::1",
		"[2001:db8::1]":                   "2001:db8::1",
		"[2001:db8::1]:443":               "2001:db8::1",
		"[2001:db8::1]:":                  none,
		"[2001:db8::1":                    none,
		"2001:db8::1]":                    none,
		"[[2001:db8::1]]":                 none,
		"[]":                              none,
		"fe80::1%eth0":                    "fe80::1",
		"[fe80::1%eth0]:80":               "fe80::1",
		"[fe80::1%25eth0]":                "fe80::1",
		"fe80::1%":                        none,
		"198.51.100.1%eth0":               none,
		"::ffff:198.51.100.1":             "198.51.100.1",
		"[::ffff:198.51.100.1]:80":        "198.51.100.1",
		"::ffff:c633:6401":                "198.51.100.1",
		"::ffff:198.51.100.1%eth0":        "198.51.100.1",
		"::198.51.100.1":                  "::c633:6401",
		"":                                none,
		" ":                               none,
		"unknown":                         none,
		"_hidden":                         none,
		"localhost":                       none,
		`"198.51.100.1"`:                  none,
		"for=198.51.100.1":                none,
		"198.51.100.1;proto=https":        none,
		"198.51.100.1\x00":                none,
		"198.51.100.1\u00a0":              none,
		"１９８.51.100.1":                    none,
		strings.Repeat("9", 4096):         none,
		strings.Repeat(",", 4096):         none,
		strings.Repeat("[", 4096):         none,
		strings.Repeat("10.0.0.9,", 1024): none, // the last entry is empty
		"1.1.1.1" + strings.Repeat(",10.0.0.9", 1024): "1.1.1.1",
	} {
		if got := server.ClientAddress("10.0.0.1:1234", []string{entry}, proxies).String(); got != want {
			t.Errorf("%.60q: got %s, want %s", entry, got, want)
		}
	}
}

// Several header lines are one list, in their order (RFC 9110, section 5.3).
func TestForwardedLines(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{[]string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{[]string{"198.51.100.1", "203.0.113.5"}, "203.0.113.5"},
		{[]string{"198.51.100.1", ""}, "10.0.0.1"},
		{[]string{"", "198.51.100.1"}, "198.51.100.1"},
		{[]string{"198.51.100.1", "garbage", "10.0.0.2"}, "10.0.0.2"},
		{[]string{"198.51.100.1,10.0.0.3", "10.0.0.2"}, "198.51.100.1"},
		{[]string{"10.0.0.4", "10.0.0.3", "10.0.0.2"}, "10.0.0.4"},
	} {
		if got := server.ClientAddress("10.0.0.1:1", tt.lines, proxies).String(); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.lines, got, tt.want)
		}
	}
}

// The caller's address is that of the header's lines, all of them, and of a
// trusted peer alone.
func TestForwardedReachesTheCaller(t *testing.T) {
	for trusted, want := range map[string]string{"192.0.2.0/24": "198.51.100.1", "10.0.0.0/8": "192.0.2.1"} {
		var got netip.Addr
		cfg := config(t)
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(trusted)} // httptest comes from 192.0.2.1
		s := open(t, cfg, func(_ http.ResponseWriter, r *http.Request) { got = auth.CallerFrom(r.Context()).Address })
		do(s, "POST", "/graphql", "X-Forwarded-For", "203.0.113.5", "X-Forwarded-For", "198.51.100.1, 192.0.2.7")
		if got.String() != want {
			t.Errorf("with %s trusted: got %s, want %s", trusted, got, want)
		}
	}
}

// Nobody else's header says where a client is.
func TestOtherAddressHeadersAreIgnored(t *testing.T) {
	for _, name := range []string{
		"Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Fastly-Client-Ip",
		"X-Forwarded", "X-Original-Forwarded-For", "X_forwarded_for", "X-Forwarded-Host", "Via",
	} {
		var got netip.Addr
		cfg := config(t)
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // of httptest
		s := open(t, cfg, func(_ http.ResponseWriter, r *http.Request) { got = auth.CallerFrom(r.Context()).Address })
		do(s, "POST", "/graphql", name, "198.51.100.1")
		if got != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%s: got %s, want the peer", name, got)
		}
	}
}

// FuzzClientAddress holds what may be concluded from headers that anybody sent:
// the address is the peer's or stands in the header, nothing left of an entry
// that is not a trusted proxy counts, and spellings of one address are one.
func FuzzClientAddress(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1, 10.0.0.2", "")
	f.Add("[fd00::1%eth0]:1", "[2001:db8::1]:80", "x")
	f.Add("203.0.113.9:1", "1.1.1.1", "2.2.2.2")
	f.Add("10.0.0.1:1", "1.1.1.1,::ffff:10.0.0.2", "[::ffff:10.0.0.3]:5")
	f.Add("@", ",,", "%")
	f.Fuzz(func(t *testing.T, peer, first, second string) {
		lines := []string{first, second}
		got := server.ClientAddress(peer, lines, proxies)
		if got.IsValid() && (got.Is4In6() || got.Zone() != "") {
			t.Errorf("%q %q: %s is not plain", peer, lines, got)
		}
		direct := server.ClientAddress(peer, nil, proxies)
		if want := walk(direct, strings.Split(first+","+second, ",")); got != want {
			t.Errorf("%q %q: got %s, want %s", peer, lines, got, want)
		}
		if joined := server.ClientAddress(peer, []string{first + "," + second}, proxies); joined != got {
			t.Errorf("%q %q: two lines are %s, one line is %s", peer, lines, got, joined)
		}
		if forged := server.ClientAddress(peer, append([]string{"192.0.2.66, 10.1.1.1"}, lines...), proxies); forged != got &&
			(!isProxy(got) || !isProxy(direct)) {
			t.Errorf("%q %q: more on the left made %s of %s", peer, lines, forged, got)
		}
	})
}

// walk is the rule once more, from the entries as a list: alone reads one entry.
func walk(client netip.Addr, entries []string) netip.Addr {
	for i := len(entries) - 1; i >= 0 && isProxy(client); i-- {
		hop := alone(entries[i])
		if !hop.IsValid() {
			break
		}
		client = hop
	}
	return client
}

// alone is the address of one entry, asked for behind a proxy that nobody else is.
func alone(entry string) netip.Addr {
	marker := netip.MustParseAddr("192.0.2.77")
	got := server.ClientAddress("192.0.2.77:1", []string{entry}, []netip.Prefix{netip.PrefixFrom(marker, 32)})
	if got == marker {
		return netip.Addr{}
	}
	return got
}

func isProxy(addr netip.Addr) bool {
	for _, p := range proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func TestUserAgent(t *testing.T) {
	for _, tt := range []struct{ sent, want string }{
		{"Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"},
		{"a\x00b\x1b[31mc\td\x7f", "ab[31mcd"},
		{"a\xffb\xc3", "ab"},
		{"a\u202eb\u2028c", "abc"},
		{strings.Repeat("x", 300), strings.Repeat("x", 256)},
		{strings.Repeat("ü", 200), strings.Repeat("ü", 128)},
		{"x" + strings.Repeat("ü", 200), "x" + strings.Repeat("ü", 127)},
	} {
		var got string
		s := open(t, config(t), func(_ http.ResponseWriter, r *http.Request) {
			got = auth.CallerFrom(r.Context()).UserAgent
		})
		do(s, "POST", "/graphql", "User-Agent", tt.sent)
		if got != tt.want || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want %q", tt.sent, got, tt.want)
		}
	}
}
