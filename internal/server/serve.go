package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

const (
	// DrainTimeout is how long requests in flight may take to finish.
	DrainTimeout = 10 * time.Second
	// MaxHeader is what request line and headers may take together, in bytes.
	MaxHeader = 16 << 10

	// readTimeout is how long a request may take to arrive whole, on every path:
	// what is refused before its body was read is held to it as well.
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute

	// An HTTP/2 connection from which no whole frame came for pingAfter is asked
	// for one, and closed when none came for pingAnswer more. Nothing else ends
	// half a frame, or headers without their end, before idleTimeout does: net/http
	// counts neither as a request. Together they are readTimeout.
	pingAfter  = 5 * time.Second
	pingAnswer = readTimeout - pingAfter

	// maxStreams is how many requests one HTTP/2 connection may have in flight.
	maxStreams = 64

	// headerSlack is what net/http adds to its header limit.
	headerSlack = 4 << 10
)

// Serve answers requests until ctx ends. Then it is unready, accepts nothing
// new, and returns nil when what was in flight is answered, or cut off after
// [DrainTimeout]. Any other return is an error of a listener. Requests run on
// contexts of their own: the end of ctx does not end them.
func (s *Server) Serve(ctx context.Context, listeners Listeners) error {
	srv := &http.Server{
		Handler:        s,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: MaxHeader - headerSlack,
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingAnswer},
		ErrorLog:       slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	if s.cfg.Certificate != nil {
		srv.TLSConfig = s.cfg.Certificate.config()
		watching, stop := context.WithCancel(ctx)
		defer stop()
		go s.cfg.Certificate.watch(watching, s.cfg.Log)
	}
	return serve(ctx, listeners, srv, s.cfg.Log, func() { s.draining.Store(true) })
}

// ServeAdmin answers the operator's paths until ctx ends: metrics at /metrics,
// and Go's profiles under /debug/pprof. It belongs on a listener that only the
// operator reaches.
func ServeAdmin(ctx context.Context, listeners Listeners, metrics http.Handler, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", serveNotFound) // flags may hold passwords
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return serve(ctx, listeners, &http.Server{
		Handler:           defend(mux, log),
		ReadHeaderTimeout: readTimeout, // profiles take longer than a request may
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    MaxHeader - headerSlack,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}, log, func() {})
}

func serve(ctx context.Context, listeners Listeners, srv *http.Server, log *slog.Logger, drain func()) error {
	encrypted := srv.TLSConfig != nil // Serve sets it too
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			if encrypted {
				failed <- srv.ServeTLS(l, "", "")
			} else {
				failed <- srv.Serve(l)
			}
		}()
	}
	select {
	case err := <-failed:
		_ = srv.Close()
		return fmt.Errorf("server: %w", err)
	case <-ctx.Done():
	}
	drain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		log.Warn("requests were still in flight when time was up; they are cut off")
		if err := srv.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("server: closing: %w", err)
		}
	}
	return nil
}
