package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// origins are the pages that are known, by their exact Origin header.
type origins map[string]page

// page is what is known about the page a request comes from. The zero value is
// a request without Origin.
type page struct {
	origin  string
	present bool // an Origin header came, whatever it says
	cookies bool // may use the refresh cookie
	webview bool // may carry refresh tokens in bodies
}

// listed reports whether the page is on one of the lists.
func (p page) listed() bool { return p.cookies || p.webview }

func newOrigins(allowed, webviews []string) (origins, error) {
	known := make(origins, len(allowed)+len(webviews))
	for _, o := range allowed {
		if err := CheckOrigin(o, false); err != nil {
			return nil, fmt.Errorf("server: allowed origin: %w", err)
		}
		known[o] = page{origin: o, present: true, cookies: true}
	}
	for _, o := range webviews {
		if err := CheckOrigin(o, true); err != nil {
			return nil, fmt.Errorf("server: webview origin: %w", err)
		}
		known[o] = page{origin: o, present: true, cookies: known[o].cookies, webview: true}
	}
	return known, nil
}

// of is the page that the headers name. Two Origin headers name none: one of
// them is not the browser's.
func (o origins) of(header http.Header) page {
	switch values := header["Origin"]; len(values) {
	case 0:
		return page{}
	case 1:
		if p, ok := o[values[0]]; ok {
			return p
		}
	}
	return page{present: true}
}

// crossSite reports whether the browser says that the page is of another site
// (Fetch Metadata, section 2.3).
func crossSite(header http.Header) bool {
	for _, value := range header["Sec-Fetch-Site"] {
		if strings.EqualFold(strings.TrimSpace(value), "cross-site") {
			return true
		}
	}
	return false
}

// fromBrowser reports whether the request carries what browsers add by
// themselves and pages cannot forge.
func fromBrowser(header http.Header) bool {
	return len(header["Origin"]) > 0 || len(header["Sec-Fetch-Site"]) > 0
}

// CheckOrigin says what is wrong with an origin of a list, without repeating
// it. It must be spelled exactly as browsers do (RFC 6454, section 6.2): scheme
// and host in lower case, the port only where it is not the scheme's own, and
// nothing else. Pages have http or https; a webview may have a scheme of its own.
func CheckOrigin(origin string, webview bool) error {
	if strings.Contains(origin, "*") {
		return errors.New("patterns are not accepted: list every origin")
	}
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok || scheme == "" || host == "" {
		return errors.New("an origin is scheme://host[:port]")
	}
	web := scheme == "http" || scheme == "https"
	if !web && !webview {
		return errors.New("the scheme of an origin is http or https")
	}
	if origin != strings.ToLower(origin) {
		return errors.New("an origin is written in lower case")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host != host || u.Scheme != scheme || !plainHost(u) {
		return errors.New("an origin is scheme://host[:port] and nothing else: no path, no trailing slash, no user")
	}
	if port := u.Port(); scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return errors.New("browsers leave out the scheme's own port: so must an origin")
	}
	return nil
}

// plainHost reports whether the host is a name in ASCII or an address, and the
// port, if there is one, a number in its one spelling.
func plainHost(u *url.URL) bool {
	name := u.Hostname()
	if rest := strings.TrimPrefix(u.Host, "["); rest != u.Host {
		if addr, err := netip.ParseAddr(name); err != nil || !addr.Is6() || addr.Zone() != "" || addr.String() != name {
			return false
		}
	} else if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
		return false
	}
	if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if u.Port() == "" {
		return true
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0 && strconv.FormatUint(port, 10) == u.Port()
}
