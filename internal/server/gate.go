package server

import (
	"net/http"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
)

// serveGraphQL is the gate before GraphQL. What it refuses is refused before
// any state is touched; everything else goes on with an [auth.Caller].
func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Origin")

	page := s.origins.of(r.Header)
	if page.listed() {
		header.Set("Access-Control-Allow-Origin", page.origin)
		header.Set("Access-Control-Allow-Credentials", "true")
		header.Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if r.Method == http.MethodOptions {
		servePreflight(w, page)
		return
	}
	caller := s.caller(r, page)
	if r.Method == http.MethodPost && page.present && !page.listed() {
		s.cfg.Log.InfoContext(r.Context(), "request from an origin that is not listed was refused",
			"event", "request.cross_origin_rejected",
			"address", caller.Address.String(), "user_agent", caller.UserAgent)
		if s.cfg.CrossOrigin != nil {
			s.cfg.CrossOrigin(caller)
		}
		writeError(w, r, http.StatusForbidden, "CROSS_ORIGIN_REQUEST",
			"Requests from this origin are not allowed.", 0)
		return
	}
	graphql := s.graphql.Load()
	if graphql == nil {
		writeError(w, r, http.StatusServiceUnavailable, "UNAVAILABLE",
			"The server is starting. Repeat the request later.", time.Second)
		return
	}
	if s.halted() {
		writeError(w, r, http.StatusServiceUnavailable, "UNAVAILABLE",
			"The server may not answer for now. Repeat the request later.", time.Second)
		return
	}
	(*graphql).ServeHTTP(w, r.WithContext(auth.WithCaller(r.Context(), caller)))
}

// servePreflight answers OPTIONS: a CORS preflight (Fetch standard, section
// 3.3.2) of a listed page, or somebody who asks for the methods.
func servePreflight(w http.ResponseWriter, page page) {
	if page.present && !page.listed() {
		writeText(w, http.StatusForbidden, "this origin is not allowed")
		return
	}
	header := w.Header()
	header.Set("Allow", "POST, OPTIONS")
	if page.listed() {
		header.Set("Access-Control-Allow-Methods", "POST")
		header.Set("Access-Control-Allow-Headers", "authorization, content-type")
		header.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// caller is what the request says about its sender, and which channels are
// open to it.
func (s *Server) caller(r *http.Request, page page) auth.Caller {
	access, invalid := Bearer(r.Header)
	address := ClientAddress(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), s.cfg.TrustedProxies)
	return auth.Caller{
		Address:        translated(address, s.cfg.NAT64Prefixes),
		UserAgent:      userAgent(r.Header.Get("User-Agent")),
		AccessToken:    access,
		AccessInvalid:  invalid,
		RefreshCookies: s.cfg.Cookie.Read(r),
		DeviceCookies:  s.cfg.DeviceCookie.Read(r),
		CookieAllowed:  page.cookies && (s.cfg.CrossSiteCookies || !crossSite(r.Header)),
		BodyAllowed:    page.webview || !fromBrowser(r.Header),
	}
}
