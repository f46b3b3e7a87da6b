package server

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pawlauth/pawl/internal/secret"
)

const (
	// MaxBearer is the longest access token that is looked at, in bytes.
	MaxBearer = 4 << 10
	// MaxUserAgent is what is kept of a user agent, in bytes.
	MaxUserAgent = 256
)

// Bearer is the access token of the Authorization header (RFC 6750, section
// 2.1). No header, and one with another scheme, is no token. More than one
// header, a mis-spelled token and one over [MaxBearer] are invalid.
func Bearer(header http.Header) (token secret.Text, invalid bool) {
	values := header["Authorization"]
	switch {
	case len(values) == 0:
		return secret.Text{}, false
	case len(values) > 1:
		return secret.Text{}, true
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return secret.Text{}, false
	}
	rest = strings.Trim(rest, " ")
	if rest == "" || len(rest) > MaxBearer || !token68(rest) {
		return secret.Text{}, true
	}
	return secret.New(rest), false
}

// token68 reports whether s is spelled as RFC 9110, section 11.2, demands.
func token68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return body != ""
}

// ClientAddress is who sent the request. That is the peer (host:port), unless
// it is a trusted proxy; then the X-Forwarded-For entries are walked from the
// right past further trusted proxies, and the first other one wins. An entry
// that is no address ends the walk at the last good one. IPv4 in IPv6 is IPv4;
// ports, brackets and zones are dropped. The zero address stands for a peer
// that has none.
func ClientAddress(peer string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	client, ok := parseAddress(peer)
	if !ok || !contains(trusted, client) {
		return client
	}
	for i := len(forwarded) - 1; i >= 0; i-- {
		rest, more := forwarded[i], true
		for more {
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				entry, more = rest, false
			}
			hop, ok := parseAddress(strings.Trim(entry, " \t"))
			if !ok {
				return client
			}
			client = hop
			if !contains(trusted, client) {
				return client
			}
		}
	}
	return client
}

// parseAddress reads an address with or without port, brackets and zone.
func parseAddress(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// userAgent makes the header fit for a database, a log and a screen: valid
// UTF-8, no control or formatting characters, at most [MaxUserAgent] bytes.
func userAgent(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
	if len(s) <= MaxUserAgent {
		return s
	}
	end := MaxUserAgent
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
