package graph

import (
	"bytes"
	"context"
	"net/http"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// What the tests of this package reach behind the handler.
var (
	NewHandlerFor = newHandler
	PublicSchema  = publicSchema
	CheckAccess   = checkAccess
	ParseBody     = parseBody
	Failures      = failures[:]
)

// Count is how many selections were looked at to find what a document asks for,
// and whether it is too much.
func Count(query string) (visits, nodes int, refused bool) {
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		panic(err)
	}
	c := newCounter(doc)
	refused = c.check(doc) != nil
	total := c.selections(doc.Operations[0].SelectionSet, false)
	return c.visits, total.nodes + total.introspectionNodes, refused
}

// CachedQueries are the query texts that a handler keeps.
func CachedQueries(h http.Handler) []string { return h.(*handler).transport.documents.cache.Keys() }

// Leftover is what a buffer still holds in which a handler read bodies and wrote
// answers, up to its capacity.
func Leftover(h http.Handler) []byte {
	pool := &h.(*handler).transport.buffers
	buf := pool.Get().(*bytes.Buffer)
	defer pool.Put(buf)
	return buf.Bytes()[:buf.Cap()]
}

// WithDelivery is a context in which cookies can be handed out; flush writes
// them into a header.
func WithDelivery(ctx context.Context) (out context.Context, flush func(http.Header)) {
	d := &delivery{}
	return context.WithValue(ctx, deliveryKey{}, d), d.flush
}

// PutCookie hands out a cookie as a resolver does.
func PutCookie(ctx context.Context, cookie *http.Cookie) error {
	return deliver(ctx, func(d *delivery) { d.put(cookie) })
}

// FailureErrors are the errors that have a code.
func FailureErrors() []error {
	var all []error
	for _, f := range failures {
		all = append(all, f.err)
	}
	return all
}

// HandOutFailure hands out what goes with a failed verb: r has real cookies, and
// result is what came beside the error.
func HandOutFailure[T any](ctx context.Context, cfg Config, result T, failure error) error {
	_, err := handOut(ctx, &Resolver{cookie: cfg.Cookie, device: cfg.DeviceCookie, now: cfg.Now}, result, failure)
	return err
}

// HandOut hands out what goes with a result, as a resolver does.
func HandOut(ctx context.Context, result any) error {
	_, err := handOut(ctx, &Resolver{}, result, nil)
	return err
}
