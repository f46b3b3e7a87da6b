// Package refreshcookie owns the refresh cookie and the device cookie beside it:
// their names and attributes. It is the one place that knows them, and knows
// nothing about what the values mean.
package refreshcookie

import (
	"net/http"
	"strings"
	"time"

	"github.com/pawlauth/pawl/internal/secret"
)

// Config is how far a cookie travels.
type Config struct {
	// Secure cookies travel over HTTPS only and carry the __Host- prefix, which
	// ties them to this one host (RFC 6265bis, section 4.1.3.2). Switch it off
	// for plain HTTP on a developer's machine and nowhere else.
	Secure bool
	// SameSite is Strict unless set. None makes the cookie Secure and
	// Partitioned: browsers drop it otherwise, or will.
	SameSite http.SameSite
}

// Cookie writes and reads one of the cookies. It is safe for concurrent use.
type Cookie struct{ base http.Cookie }

// New is the refresh cookie of a configuration.
func New(config Config) *Cookie { return newCookie("pawl-refresh", config) }

// NewDevice is the cookie with the proof that somebody signed in from this
// browser before. It travels as far as the refresh cookie does.
func NewDevice(config Config) *Cookie { return newCookie("pawl-device", config) }

func newCookie(name string, config Config) *Cookie {
	base := http.Cookie{
		Name:     name,
		Path:     "/",
		HttpOnly: true,
		Secure:   config.Secure,
		SameSite: config.SameSite,
	}
	switch config.SameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode:
	case http.SameSiteNoneMode:
		base.Secure, base.Partitioned = true, true
	default:
		base.SameSite = http.SameSiteStrictMode
	}
	if base.Secure {
		base.Name = "__Host-" + base.Name
	}
	return &Cookie{base: base}
}

// Name is the cookie's name, prefix included.
func (c *Cookie) Name() string { return c.base.Name }

// Set stores value in the browser for maxAge: whole seconds, rounded down, at
// least one, so that the browser never keeps a token longer than it is good
// for, and a short remainder is not a removal.
func (c *Cookie) Set(value secret.Text, maxAge time.Duration) *http.Cookie {
	cookie := c.base
	cookie.Value = value.Reveal()
	cookie.MaxAge = max(1, int(maxAge/time.Second))
	return &cookie
}

// Clear removes the cookie from the browser. It repeats every attribute: a
// browser refuses a removal that the prefix or the partition does not cover.
func (c *Cookie) Clear() *http.Cookie {
	cookie := c.base
	cookie.MaxAge = -1 // written as Max-Age=0
	return &cookie
}

// ClearTwin removes the cookie of the same name from the browser's other jar:
// the plain one when this one is partitioned, and the partitioned one when this
// one is plain. A browser sends both after the SameSite setting changed; a login
// that saw more than one of [Cookie.Read] sends this beside [Cookie.Set]. It is
// nil when there can be no twin: partitioned cookies are always Secure.
func (c *Cookie) ClearTwin() *http.Cookie {
	if !c.base.Secure {
		return nil
	}
	cookie := c.Clear()
	cookie.Partitioned = !cookie.Partitioned
	return cookie
}

// Read is the value of every cookie of this name of the request, in the order in
// which they came, duplicates, empty and malformed ones included: whoever counts
// them must see them all. Surrounding quotes are dropped (RFC 6265, section
// 4.1.1). Other cookies may hold anything.
func (c *Cookie) Read(r *http.Request) []secret.Text {
	var values []secret.Text
	for _, header := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(header, ";") {
			name, value, found := strings.Cut(pair, "=")
			if !found || trim(name) != c.base.Name {
				continue
			}
			value = trim(value)
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			values = append(values, secret.New(value))
		}
	}
	return values
}

// trim drops what RFC 6265, section 5.2, calls whitespace.
func trim(s string) string { return strings.Trim(s, " \t") }
