package graph

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/pawlauth/pawl/graph/generated"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/mediatype"
	"github.com/pawlauth/pawl/internal/refreshcookie"
)

// DefaultMaxBody is how many bytes the body of a request may have.
const DefaultMaxBody = 64 << 10

// Config is what the API needs.
type Config struct {
	Auth          *auth.Service                          // the verbs
	Cookie        *refreshcookie.Cookie                  // how the refresh cookie is written
	DeviceCookie  *refreshcookie.Cookie                  // how the device cookie is written
	MaxBody       int64                                  // bytes; [DefaultMaxBody] when zero
	Introspection bool                                   // whether the schema may be asked for
	Suggestions   bool                                   // whether errors may repeat names and suggest others; for developers
	Refused       func(ctx context.Context, code string) // hears of OPERATION_TOO_COMPLEX and CROSS_ORIGIN_REQUEST; optional
	Log           *slog.Logger                           // what has no code; never queries, variables or values
	Now           func() time.Time
}

// NewHandler is the API as a handler. It expects who the caller is in the
// request's context ([auth.WithCaller]) and answers every method. It is an error
// when a setting is missing, or when a root field of the schema does not say who
// may use it.
func NewHandler(cfg Config) (http.Handler, error) {
	switch {
	case cfg.Auth == nil || cfg.Cookie == nil || cfg.DeviceCookie == nil || cfg.Log == nil || cfg.Now == nil:
		return nil, errors.New("graph: Auth, Cookie, DeviceCookie, Log and Now must be set")
	case cfg.MaxBody < 0:
		return nil, errors.New("graph: MaxBody must not be negative")
	}
	resolver := &Resolver{auth: cfg.Auth, cookie: cfg.Cookie, device: cfg.DeviceCookie, now: cfg.Now}
	return newHandler(cfg, generated.Config{Resolvers: resolver, Directives: resolver.directives()})
}

// newHandler puts transport and executor around a schema.
func newHandler(cfg Config, schema generated.Config) (http.Handler, error) {
	if schema.Schema == nil {
		schema.Schema = publicSchema()
	}
	if err := checkAccess(schema.Schema); err != nil {
		return nil, err
	}
	docs, err := newDocuments(schema.Schema, cfg.Suggestions)
	if err != nil {
		return nil, err
	}
	maxBody := cfg.MaxBody
	if maxBody == 0 {
		maxBody = DefaultMaxBody
	}
	if cfg.Refused == nil {
		cfg.Refused = func(context.Context, string) {}
	}
	errorLog := errorLog{cfg.Log, cfg.Refused}
	exec := executor.New(generated.NewExecutableSchema(schema))
	exec.SetErrorPresenter(errorLog.present)
	exec.SetRecoverFunc(errorLog.recover)
	exec.SetQueryCache(prepared{})
	return &handler{exec, errorLog, &transport{
		documents: docs, maxBody: maxBody, introspection: cfg.Introspection, refused: cfg.Refused,
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}}, nil
}

// publicSchema is the schema without @defer: an answer is one object.
func publicSchema() *ast.Schema {
	schema := *generated.NewExecutableSchema(generated.Config{}).Schema()
	schema.Directives = maps.Clone(schema.Directives)
	delete(schema.Directives, "defer")
	return &schema
}

// handler answers requests, also when something panics outside of a field.
type handler struct {
	exec      *executor.Executor
	errorLog  errorLog
	transport *transport
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		switch value := recover(); value {
		case nil:
		case http.ErrAbortHandler:
			panic(value)
		default:
			_ = h.errorLog.recover(r.Context(), value)
			h.transport.writeRefusal(w, mediatype.Negotiate(r.Header["Accept"]), internalError())
		}
	}()
	h.transport.Do(w, r.WithContext(graphql.StartOperationTrace(r.Context())), h.exec)
}
