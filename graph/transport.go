package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/pawlauth/pawl/internal/mediatype"
)

const allowedMethods = "POST, OPTIONS"

// transport is the one way from HTTP to GraphQL and back (GraphQL over HTTP): a
// POST of one JSON object. It is a [graphql.Transport] that supports every
// request, to answer each in the protocol's own form.
type transport struct {
	documents     *documents
	maxBody       int64
	introspection bool
	refused       func(ctx context.Context, code string)
	buffers       sync.Pool // of *bytes.Buffer
}

// Supports implements [graphql.Transport].
func (t *transport) Supports(*http.Request) bool { return true }

// Do implements [graphql.Transport].
func (t *transport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Origin")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodOptions {
		header.Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	media := mediatype.Negotiate(r.Header["Accept"])
	params, refused := t.read(w, r, media)
	if refused != nil {
		t.writeRefusal(w, media, refused)
		return
	}
	t.execute(w, r, exec, media, params)
}

// read is the request that r carries, or why it is none.
func (t *transport) read(w http.ResponseWriter, r *http.Request, media mediatype.Type) (*graphql.RawParams, *refusal) {
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", allowedMethods)
		return nil, methodNotAllowed()
	case media == mediatype.None:
		return nil, notAcceptable()
	case !acceptsBody(r.Header):
		return nil, unsupportedMediaType()
	case r.ContentLength > t.maxBody:
		return nil, payloadTooLarge()
	}
	buf := t.buffers.Get().(*bytes.Buffer)
	defer t.release(buf)
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, t.maxBody)); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, payloadTooLarge()
		}
		return nil, badRequest("The body did not arrive whole. Send the request again.")
	}
	return parseBody(buf.Bytes())
}

// release gives a buffer back, without the passwords and tokens that were in it.
func (t *transport) release(buf *bytes.Buffer) {
	const keep = 64 << 10
	if buf.Cap() > keep {
		return
	}
	clear(buf.Bytes())
	buf.Reset()
	t.buffers.Put(buf)
}

func (t *transport) execute(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, media mediatype.Type, params *graphql.RawParams) {
	out := &delivery{}
	ctx := context.WithValue(r.Context(), deliveryKey{}, out)
	opCtx, refused := t.operation(ctx, exec, params)
	if refused != nil {
		if refused.errors[0].Extensions["code"] == codeTooComplex {
			t.refused(ctx, codeTooComplex)
		}
		t.writeRefusal(w, media, refused)
		return
	}
	responses, ctx := exec.DispatchOperation(ctx, opCtx)
	response := responses(ctx)
	if response == nil {
		t.writeRefusal(w, media, unavailable())
		return
	}
	out.flush(w.Header())
	t.writeResponse(w, media, response)
}

// operation is what is to be executed, checked as far as it can be before.
func (t *transport) operation(ctx context.Context, exec graphql.GraphExecutor, params *graphql.RawParams) (*graphql.OperationContext, *refusal) {
	doc, refused := t.documents.prepare(params.Query)
	if refused != nil {
		return nil, refused
	}
	if doc.ast.Operations.ForName(params.OperationName) == nil {
		return nil, invalidDocument(codeValidationFailed,
			gqlerror.Errorf("operationName must name one of the document's operations."))
	}
	opCtx, errs := exec.CreateOperationContext(context.WithValue(ctx, documentKey{}, doc.ast), params)
	if len(errs) > 0 {
		return nil, t.documents.words.variableError(errs)
	}
	opCtx.DisableIntrospection = !t.introspection
	if refused := doc.checkConditions(opCtx.Variables); refused != nil {
		return nil, refused
	}
	if opCtx.Operation.Operation == ast.Mutation && countMutations(opCtx) > 1 {
		return nil, tooComplex("A request may use one field of Mutation. Send one request for each.")
	}
	return opCtx, nil
}

// countMutations counts the fields that would be executed, after fragments,
// aliases, @skip and @include. The executor collects them in the same words, and
// finds the answer of this call. __typename does nothing and does not count.
func countMutations(opCtx *graphql.OperationContext) int {
	n := 0
	for _, field := range graphql.CollectFields(opCtx, opCtx.Operation.SelectionSet, []string{"Mutation"}) {
		if field.Name != "__typename" {
			n++
		}
	}
	return n
}

func (t *transport) writeRefusal(w http.ResponseWriter, media mediatype.Type, refused *refusal) {
	t.write(w, media, refused.statusFor(media), refused.body())
}

// writeResponse writes what was executed. The data is JSON already.
func (t *transport) writeResponse(w http.ResponseWriter, media mediatype.Type, response *graphql.Response) {
	buf := t.buffers.Get().(*bytes.Buffer)
	defer t.release(buf)
	buf.WriteByte('{')
	if len(response.Errors) > 0 {
		errs, err := json.Marshal(response.Errors)
		if err != nil { // strings and numbers only: cannot happen
			t.writeRefusal(w, media, internalError())
			return
		}
		buf.WriteString(`"errors":`)
		buf.Write(errs)
		buf.WriteByte(',')
	}
	buf.WriteString(`"data":`)
	if response.Data == nil {
		buf.WriteString("null")
	} else {
		buf.Write(response.Data)
	}
	buf.WriteByte('}')
	t.write(w, media, http.StatusOK, buf.Bytes())
}

func (t *transport) write(w http.ResponseWriter, media mediatype.Type, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", media.Header())
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is not told
}
