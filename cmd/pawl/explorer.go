package main

import (
	"embed"
	"net/http"
)

//go:embed explorer
var explorerFiles embed.FS

// explorer serves the page that runs a query by hand. It asks nobody but the
// server it came from.
func explorer() http.Handler {
	types := map[string]string{
		"/explorer":             "text/html; charset=utf-8",
		"/explorer/explorer.js": "text/javascript; charset=utf-8",
		"/explorer/style.css":   "text/css; charset=utf-8",
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, ok := types[r.URL.Path]
		name := r.URL.Path[1:]
		if name == "explorer" {
			name = "explorer/index.html"
		}
		page, err := explorerFiles.ReadFile(name)
		if !ok || err != nil {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		header.Set("Content-Type", kind)
		header.Set("Cache-Control", "no-cache")
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = w.Write(page) //nolint:gosec // the embedded page, nothing of the request
	})
}
