package graph

import (
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/pawlauth/pawl/internal/mediatype"
)

// acceptsBody reports whether the request's body is what this server reads:
// application/json, in UTF-8, and not encoded.
func acceptsBody(header http.Header) bool {
	for _, encodings := range header["Content-Encoding"] {
		for encoding := range strings.SplitSeq(encodings, ",") {
			if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
				return false
			}
		}
	}
	types := header["Content-Type"]
	if len(types) != 1 {
		return false
	}
	if types[0] == mediatype.NameJSON {
		return true
	}
	name, params, err := mime.ParseMediaType(types[0])
	if err != nil || name != mediatype.NameJSON {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// parseBody reads the one JSON object of a request (GraphQL over HTTP, section
// 5.1). Keys it does not know are tolerated. Refusals name a byte or a key of
// this protocol, and repeat nothing of the body.
func parseBody(body []byte) (*graphql.RawParams, *refusal) {
	if !utf8.Valid(body) {
		return nil, badRequest("The body is not UTF-8.")
	}
	d := decoder{data: body}
	d.space()
	if d.pos == len(body) || body[d.pos] != '{' {
		return nil, badRequest("The body must be one JSON object.")
	}
	value, err := d.value()
	if err != nil {
		return nil, badRequest("The body is not JSON that this server reads: " + err.Error() + ".")
	}
	if d.space(); d.pos != len(body) {
		return nil, badRequest("Something follows the JSON object. Send one request at a time.")
	}
	return requestFrom(value.(map[string]any))
}

func requestFrom(fields map[string]any) (*graphql.RawParams, *refusal) {
	params := &graphql.RawParams{}
	query, hasQuery, ok := optional[string](fields, "query")
	if !ok {
		return nil, badRequest("query must be a string.")
	}
	if params.OperationName, _, ok = optional[string](fields, "operationName"); !ok {
		return nil, badRequest("operationName must be a string or null.")
	}
	if params.Variables, _, ok = optional[map[string]any](fields, "variables"); !ok {
		return nil, badRequest("variables must be an object or null.")
	}
	if params.Extensions, _, ok = optional[map[string]any](fields, "extensions"); !ok {
		return nil, badRequest("extensions must be an object or null.")
	}
	if !hasQuery {
		if _, hash := params.Extensions["persistedQuery"]; hash {
			return nil, persistedQueryNotSupported()
		}
		return nil, badRequest("query is missing.")
	}
	params.Query = query
	return params, nil
}

// optional is the value of a key that may be absent or null; ok is false when it
// has another type.
func optional[T any](fields map[string]any, key string) (value T, given, ok bool) {
	raw := fields[key]
	if raw == nil {
		return value, false, true
	}
	value, ok = raw.(T)
	return value, ok, ok
}
