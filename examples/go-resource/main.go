// Command go-resource is a service that trusts Pawl's access tokens and never
// asks Pawl about one: it verifies them with the keys that Pawl publishes. It
// knows nothing of sessions, cookies or refresh tokens.
package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"os"
	"time"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	// The defaults are those of `pawl dev`.
	pawl := cmp.Or(os.Getenv("PAWL_URL"), "http://localhost:8080")
	issuer := cmp.Or(os.Getenv("PAWL_ISSUER"), "pawl-dev")
	audience := cmp.Or(os.Getenv("PAWL_AUDIENCE"), "pawl-dev")
	addr := cmp.Or(os.Getenv("ADDR"), "localhost:3001")

	v, err := newVerifier(context.Background(), pawl+"/.well-known/jwks.json", issuer, audience, 10*time.Second, log)
	if err != nil {
		log.Error("cannot start", "err", err)
		os.Exit(1)
	}
	log.Info("listening", "url", "http://"+addr+"/orders")
	server := &http.Server{Addr: addr, Handler: newHandler(v), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Error("stopped", "err", server.ListenAndServe())
	os.Exit(1)
}
