package graph

import (
	"encoding/json"
	"net/http"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/pawlauth/pawl/internal/mediatype"
)

// refusal is why a request was not executed. Its answer has errors and no data.
type refusal struct {
	status     int // answered as application/graphql-response+json
	statusJSON int // answered as application/json
	errors     gqlerror.List
}

func (r *refusal) statusFor(media mediatype.Type) int {
	if media == mediatype.GraphQL {
		return r.status
	}
	return r.statusJSON
}

// body is the answer's body.
func (r *refusal) body() []byte {
	out, err := json.Marshal(struct {
		Errors gqlerror.List `json:"errors"`
	}{r.errors})
	if err != nil { // strings and numbers only: cannot happen
		return []byte(`{"errors":[{"message":"` + internalMessage + `","extensions":{"code":"` + codeInternal + `"}}]}`)
	}
	return out
}

func refuse(status int, code, message string) *refusal {
	return &refusal{status, status, gqlerror.List{{Message: message, Extensions: map[string]any{"code": code}}}}
}

func badRequest(message string) *refusal {
	return refuse(http.StatusBadRequest, codeBadRequest, message)
}

func tooComplex(message string) *refusal {
	return refuse(http.StatusBadRequest, codeTooComplex, message)
}

// invalidDocument is a document that cannot be executed. application/json
// answers it with 200 (GraphQL over HTTP, section 6.4.1).
func invalidDocument(code string, errs ...*gqlerror.Error) *refusal {
	for _, err := range errs {
		err.Extensions = map[string]any{"code": code}
	}
	return &refusal{http.StatusBadRequest, http.StatusOK, errs}
}

func methodNotAllowed() *refusal {
	return refuse(http.StatusMethodNotAllowed, codeMethodNotAllowed, "Send the request with POST.")
}

func notAcceptable() *refusal {
	return refuse(http.StatusNotAcceptable, codeNotAcceptable,
		"Accept application/graphql-response+json or application/json.")
}

func unsupportedMediaType() *refusal {
	return refuse(http.StatusUnsupportedMediaType, codeUnsupportedMediaType,
		"Send the request as application/json in UTF-8, without a content encoding.")
}

func payloadTooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, codePayloadTooLarge,
		"The body is larger than this server accepts. Send a smaller request.")
}

// persistedQueryNotSupported has the text that clients with automatic persisted
// queries look for; they send the whole query then.
func persistedQueryNotSupported() *refusal {
	return refuse(http.StatusOK, codePersistedQuery, "PersistedQueryNotSupported")
}

func internalError() *refusal { return refuse(http.StatusOK, codeInternal, internalMessage) }

// unavailable is a request whose time ran out before it was executed.
func unavailable() *refusal {
	r := refuse(http.StatusOK, codeUnavailable, "Temporarily unavailable. Repeat the same request later.")
	r.errors[0].Extensions["retryAfter"] = 1
	return r
}
