// Package server owns what stands between the network and the handlers: the
// listeners, the paths, the gates before GraphQL, who the caller is, health,
// and the orderly end. It refuses to know GraphQL beyond the one error shape
// that a gate answers with, and never judges a credential: it only says which
// ones came along, and on which channel they may travel.
package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/refreshcookie"
)

// Config is what a [Server] needs to know.
type Config struct {
	// JWKS is the public key set (RFC 7517) as JSON; asked on every request, so
	// it must be quick and safe for concurrent use.
	JWKS func() []byte
	// Cookie finds the refresh cookies of a request, DeviceCookie the device cookies.
	Cookie, DeviceCookie *refreshcookie.Cookie
	// Explorer serves /explorer and what is below; nil makes it a 404.
	Explorer http.Handler
	// RootToExplorer redirects / to /explorer.
	RootToExplorer bool
	// AllowedOrigins are the pages that may use the refresh cookie, exactly as a
	// browser spells its Origin header. See [CheckOrigin].
	AllowedOrigins []string
	// WebviewOrigins are the pages to which refresh tokens may travel in bodies.
	WebviewOrigins []string
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// NAT64Prefixes are prefixes of translators, beside the known ones, below which
	// IPv6 addresses hold those of IPv4 clients. See [CheckNAT64Prefix].
	NAT64Prefixes []netip.Prefix
	// CrossOrigin hears of callers that were refused for their origin. Optional.
	CrossOrigin func(auth.Caller)
	// CrossSiteCookies says that the cookie was chosen to travel across sites
	// (SameSite=None), so that Sec-Fetch-Site: cross-site is no reason to refuse.
	CrossSiteCookies bool
	// Halted, asked on every request, says that none may be answered for now.
	// Optional.
	Halted func() bool
	// Certificate makes the server speak TLS; nil for plain HTTP.
	Certificate *Certificate
	Log         *slog.Logger
}

// Server answers the public paths. Until [Server.Open] it is alive but not
// ready, and /graphql says so. It is safe for concurrent use.
type Server struct {
	cfg      Config
	origins  origins
	mux      *http.ServeMux
	graphql  atomic.Pointer[http.Handler]
	draining atomic.Bool
}

// New checks origins and prefixes and lays out the paths.
func New(cfg Config) (*Server, error) {
	if cfg.JWKS == nil || cfg.Cookie == nil || cfg.DeviceCookie == nil || cfg.Log == nil {
		return nil, errors.New("server: JWKS, Cookie, DeviceCookie and Log must be set")
	}
	known, err := newOrigins(cfg.AllowedOrigins, cfg.WebviewOrigins)
	if err != nil {
		return nil, err
	}
	for _, p := range cfg.NAT64Prefixes {
		if err := CheckNAT64Prefix(p); err != nil {
			return nil, err
		}
	}
	s := &Server{cfg: cfg, origins: known, mux: http.NewServeMux()}
	s.mux.Handle("/graphql", http.HandlerFunc(s.serveGraphQL))
	s.mux.HandleFunc("GET /.well-known/jwks.json", s.serveJWKS)
	s.mux.HandleFunc("GET /livez", s.serveLive)
	s.mux.HandleFunc("GET /readyz", s.serveReady)
	if cfg.Explorer != nil {
		s.mux.Handle("GET /explorer", cfg.Explorer)
		s.mux.Handle("GET /explorer/", cfg.Explorer)
		if cfg.RootToExplorer {
			s.mux.Handle("GET /{$}", http.RedirectHandler("/explorer", http.StatusTemporaryRedirect))
		}
	}
	return s, nil
}

// Open hands over the GraphQL handler and makes the server ready. Call it once,
// when migrations are current and the revocations have caught up.
func (s *Server) Open(graphql http.Handler) { s.graphql.Store(&graphql) }

// ServeHTTP answers one request of the public listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.overTLS(r) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	defend(s.mux, s.cfg.Log).ServeHTTP(w, r)
}

// overTLS reports whether the client's connection is encrypted: this one, or, as
// a trusted proxy says, the one to the proxy.
func (s *Server) overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	values := r.Header["X-Forwarded-Proto"]
	if len(values) != 1 || !strings.EqualFold(values[0], "https") {
		return false
	}
	peer, ok := parseAddress(r.RemoteAddr)
	return ok && contains(s.cfg.TrustedProxies, peer)
}

func (s *Server) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(s.cfg.JWKS())
}

// serveLive says that the process runs; nothing else is asked.
func (s *Server) serveLive(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "ok")
}

// serveReady says whether requests should be sent here. A store that fails
// later does not change the answer: every node would leave at once.
func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.draining.Load():
		writeText(w, http.StatusServiceUnavailable, "stopping")
	case s.graphql.Load() == nil:
		writeText(w, http.StatusServiceUnavailable, "starting")
	case s.halted():
		writeText(w, http.StatusServiceUnavailable, "halted")
	default:
		writeText(w, http.StatusOK, "ready")
	}
}

func (s *Server) halted() bool { return s.cfg.Halted != nil && s.cfg.Halted() }

func serveNotFound(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusNotFound, "not found")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
