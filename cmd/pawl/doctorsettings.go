package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// aboutSetting is a judgement of settings that can be read.
type aboutSetting struct {
	settings []string // those that it needs to be good
	look     func(settings, func() time.Time) []finding
}

// aboutSettings are what doctor thinks of settings with which serve would start.
func aboutSettings() []aboutSetting {
	one := func(look func(settings) finding) func(settings, func() time.Time) []finding {
		return func(s settings, _ func() time.Time) []finding { return []finding{look(s)} }
	}
	return []aboutSetting{
		{[]string{"PAWL_ISSUER"}, one(issuerIsFound)},
		{[]string{"PAWL_ALLOWED_ORIGINS"}, one(originsAreSafe)},
		{[]string{"PAWL_ALLOWED_ORIGINS", "PAWL_ISSUER", "PAWL_COOKIE_SAMESITE"}, one(cookieArrives)},
		{[]string{"PAWL_ADDR", "PAWL_TRUSTED_PROXIES", "PAWL_TLS_CERT", "PAWL_TLS_KEY"}, one(proxiesAreKnown)},
		{[]string{"PAWL_TLS_CERT", "PAWL_TLS_KEY"}, certificateLasts},
		{[]string{"PAWL_EXPLORER"}, one(func(s settings) finding {
			return unless(s.explorer, "PAWL_EXPLORER", "the explorer is off", "the explorer is on: it is made for development", "set it to off")
		})},
		{[]string{"PAWL_INTROSPECTION"}, one(func(s settings) finding {
			return unless(s.introspection, "PAWL_INTROSPECTION", "introspection is off", "introspection is on: anybody may ask for the schema", "set it to off")
		})},
		{[]string{"PAWL_REVOCATION_FAIL"}, one(func(s settings) finding {
			return unless(s.failOpen, "PAWL_REVOCATION_FAIL", "access tokens that nobody can check are refused",
				"while no store answers, the access tokens of ended sessions are accepted until they expire", "set it to closed")
		})},
		{[]string{"PAWL_LOGIN_NETWORK_RATE"}, one(func(s settings) finding {
			return unless(s.loginRate.Off(), "PAWL_LOGIN_NETWORK_RATE", "the gate of the network is on",
				"one address may guess at passwords without end", "set it, unless something in front of Pawl counts logins")
		})},
		{[]string{"PAWL_LOGIN_ACCOUNT_SCHEDULE"}, one(func(s settings) finding {
			return unless(s.loginSchedule.Off(), "PAWL_LOGIN_ACCOUNT_SCHEDULE", "the gate of the account is on",
				"many addresses may guess at one account without end", "set it, unless something in front of Pawl counts logins")
		})},
		{[]string{"PAWL_LOGIN_SUCCESS_RATE"}, one(func(s settings) finding {
			return unless(s.loginSuccessRate.Off(), "PAWL_LOGIN_SUCCESS_RATE", "logins of one account have a rate",
				"one account may begin and end sessions without end", "set it, unless something in front of Pawl counts logins")
		})},
		{[]string{"PAWL_LOGIN_MIN_DURATION"}, one(func(s settings) finding {
			return unless(s.loginMin == 0, "PAWL_LOGIN_MIN_DURATION", "the time that a login takes has a floor",
				"the time that a login takes may tell who has an account", "set it to 300ms")
		})},
		{[]string{"PAWL_REFRESH_NETWORK_RATE"}, one(func(s settings) finding {
			return unless(s.refreshRate.Off(), "PAWL_REFRESH_NETWORK_RATE", "failed refreshes are counted",
				"one address may send refreshes that fail without end", "set it, unless something in front of Pawl counts them")
		})},
	}
}

// unless is a warning where it is so, and good news where it is not.
func unless(isSo bool, check, otherwise, found, do string) finding {
	if isSo {
		return finding{warning, check, found, do}
	}
	return finding{fine, check, otherwise, ""}
}

// browsersServed looks whether there is any page that may sign in.
func browsersServed(s settings) finding {
	const check = "PAWL_ALLOWED_ORIGINS"
	if len(s.allowedOrigins) == 0 {
		return finding{warning, check, check + " is empty: browsers are refused, only clients with BODY delivery are served", "list the pages that may sign in"}
	}
	return finding{fine, check, fmt.Sprintf("pages that may use the cookie, listed: %d", len(s.allowedOrigins)), ""}
}

// originsAreSafe looks for pages that somebody on the way can change.
func originsAreSafe(s settings) finding {
	var foreign, local []string
	for i, origin := range s.allowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "https" {
			continue
		}
		if loopback(net.JoinHostPort(u.Hostname(), "80")) {
			local = append(local, fmt.Sprint(i+1))
		} else {
			foreign = append(foreign, fmt.Sprint(i+1))
		}
	}
	switch {
	case len(foreign) > 0:
		return finding{problem, "PAWL_ALLOWED_ORIGINS", "pages without TLS may use the cookie, and anybody on the way can change them: item " + strings.Join(foreign, ", "),
			"serve them over HTTPS, and list them with https://"}
	case len(local) > 0:
		return finding{warning, "PAWL_ALLOWED_ORIGINS", "pages on each user's own machine may use the cookie, as in development: item " + strings.Join(local, ", "), "take them away"}
	}
	return browsersServed(s)
}

// cookieArrives looks whether browsers send the cookie from the pages that are
// listed. Pawl is taken to be where its issuer is.
func cookieArrives(s settings) finding {
	const check = "PAWL_COOKIE_SAMESITE"
	issuer, err := url.Parse(s.access.Issuer)
	var others []string
	for i, origin := range s.allowedOrigins {
		if u, pageErr := url.Parse(origin); err == nil && pageErr == nil && issuer.Hostname() != "" && otherSite(u.Hostname(), issuer.Hostname()) {
			others = append(others, fmt.Sprint(i+1))
		}
	}
	anywhere := s.sameSite == http.SameSiteNoneMode
	switch {
	case !anywhere && len(others) > 0:
		return finding{warning, check, "browsers do not send the cookie from pages of other sites than PAWL_ISSUER's: item " + strings.Join(others, ", ") + " of PAWL_ALLOWED_ORIGINS",
			"serve Pawl on the site of the pages, or set it to none"}
	case anywhere && len(others) == 0 && len(s.allowedOrigins) > 0:
		return finding{warning, check, "browsers send the cookie from every site, although the pages seem to be of PAWL_ISSUER's", "set it to strict"}
	case anywhere:
		return finding{fine, check, "browsers send the cookie from every site, Secure and Partitioned; PAWL_ALLOWED_ORIGINS alone tells the pages apart", ""}
	}
	return finding{fine, check, "browsers send the cookie over HTTPS and from its own site alone", ""}
}

// otherSite reports whether two hosts are surely of two sites: their last two
// labels differ, or one of them is an address and they are not the same.
func otherSite(a, b string) bool {
	_, aErr := netip.ParseAddr(a)
	_, bErr := netip.ParseAddr(b)
	if aErr == nil || bErr == nil {
		return a != b
	}
	end := func(host string) []string {
		labels := strings.Split(strings.ToLower(host), ".")
		return labels[max(0, len(labels)-2):]
	}
	return !slices.Equal(end(a), end(b))
}

// issuerIsFound looks whether services can find the keys where the issuer is.
func issuerIsFound(s settings) finding {
	const check = "PAWL_ISSUER"
	u, err := url.Parse(s.access.Issuer)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return finding{warning, check, "it is not an https URL without query and fragment: services that look for the keys below it find none",
			"set it to the URL under which Pawl is reached"}
	}
	return finding{fine, check, "an https URL; services must find /.well-known/jwks.json below it", ""}
}

// widest is the shortest prefix that still is somebody's own network: fc00::/7.
const widest = 7

// proxiesAreKnown looks whether Pawl can tell clients apart, and speaks TLS or
// stands behind somebody who does.
func proxiesAreKnown(s settings) finding {
	const check = "PAWL_TRUSTED_PROXIES"
	all := slices.IndexFunc(s.trustedProxies, func(p netip.Prefix) bool { return p.Bits() < widest })
	switch {
	case all >= 0:
		return finding{problem, check, fmt.Sprintf("item %d is half the internet or more: anybody may choose the address that the gates count", all+1),
			"list the proxies' own networks"}
	case len(s.trustedProxies) > 0:
		return finding{fine, check, fmt.Sprintf("networks of proxies: %d", len(s.trustedProxies)), ""}
	case loopback(s.addr):
		return finding{warning, check, "it is empty and PAWL_ADDR is this machine's alone: behind a proxy, all clients have one address, and the gates count them as one",
			"list the proxy's network, as 127.0.0.1/32"}
	case s.certificate == nil:
		return finding{warning, check, "it is empty, as PAWL_TLS_CERT is: browsers keep the cookie over HTTPS alone",
			"put a proxy in front that ends TLS and list its network, or set PAWL_TLS_CERT and PAWL_TLS_KEY"}
	}
	return finding{fine, check, "none: clients reach Pawl by themselves, over TLS", ""}
}

// certificateLasts looks how long the server's own certificate is good for, where
// it has one. One that expired cannot be read as a setting.
func certificateLasts(s settings, now func() time.Time) []finding {
	const check, soon = "PAWL_TLS_CERT", 14 * 24 * time.Hour
	if s.certificate == nil {
		return nil
	}
	expires := s.certificate.Expires()
	if expires.Sub(now()) < soon {
		return []finding{{warning, check, "the certificate expires at " + when(expires), "renew it; a running server follows the files"}}
	}
	return []finding{{fine, check, "the certificate is good until " + when(expires), ""}}
}
