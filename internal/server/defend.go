package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/pawlauth/pawl/internal/mediatype"
)

// defend sets the headers that every answer carries and keeps a panic from
// telling the client anything.
func defend(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		// About requests without CORS: pages on the lists send theirs with it.
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !plainFraming(r) {
			header.Set("Connection", "close")
		}
		began := &beginning{ResponseWriter: w}
		defer func() {
			switch cause := recover(); {
			case cause == nil:
			case cause == http.ErrAbortHandler: //nolint:errorlint // net/http compares it so
				panic(cause)
			default:
				// The value may be anything, a secret too: only the runtime's own are told.
				text := fmt.Sprintf("%T", cause)
				if e, ok := cause.(runtime.Error); ok {
					text = e.Error()
				}
				log.ErrorContext(r.Context(), "a handler panicked", "path", r.URL.Path, "panic", text, "stack", string(debug.Stack()))
				if began.wrote {
					panic(http.ErrAbortHandler) // half an answer must not look whole
				}
				writeError(w, r, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "Something went wrong.", 0)
			}
		}()
		next.ServeHTTP(began, r)
	})
}

// plainFraming reports whether everybody on the way sees the same end of the
// request. A chunked one may have come with a Content-Length, which net/http
// drops (RFC 9112, section 6.1: the connection must not be used again); HTTP/1.0
// knows no chunks at all. What follows on such a connection is not read.
func plainFraming(r *http.Request) bool {
	return len(r.TransferEncoding) == 0 && r.ProtoAtLeast(1, 1)
}

// beginning remembers whether an answer has begun.
type beginning struct {
	http.ResponseWriter
	wrote bool
}

func (b *beginning) WriteHeader(status int) {
	b.wrote = b.wrote || status >= 200
	b.ResponseWriter.WriteHeader(status)
}

func (b *beginning) Write(p []byte) (int, error) {
	b.wrote = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (b *beginning) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// writeError answers in the shape of a GraphQL request error: no data key, in
// the form that the client accepts. A retryAfter above 0 goes into the header and
// the extensions, in whole seconds.
func writeError(w http.ResponseWriter, r *http.Request, status int, code, message string, retryAfter time.Duration) {
	extensions := map[string]any{"code": code}
	if retryAfter > 0 {
		seconds := int((retryAfter + time.Second - 1) / time.Second)
		extensions["retryAfter"] = seconds
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	body, err := json.Marshal(map[string]any{
		"errors": []any{map[string]any{"message": message, "extensions": extensions}},
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	w.Header().Set("Content-Type", mediatype.Negotiate(r.Header["Accept"]).Header())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
