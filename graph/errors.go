package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/user"
)

// The codes of errors[].extensions.code.
const (
	codeUnauthenticated       = "UNAUTHENTICATED"
	codeForbidden             = "FORBIDDEN"
	codeRefreshTokenInvalid   = "REFRESH_TOKEN_INVALID"
	codeRefreshTokenReused    = "REFRESH_TOKEN_REUSED"
	codeRateLimited           = "RATE_LIMITED"
	codeSessionChanged        = "SESSION_CHANGED"
	codeUnavailable           = "UNAVAILABLE"
	codeBadUserInput          = "BAD_USER_INPUT"
	codeCrossOrigin           = "CROSS_ORIGIN_REQUEST"
	codeBadRequest            = "BAD_REQUEST"
	codeParseFailed           = "GRAPHQL_PARSE_FAILED"
	codeValidationFailed      = "GRAPHQL_VALIDATION_FAILED"
	codeTooComplex            = "OPERATION_TOO_COMPLEX"
	codePersistedQuery        = "PERSISTED_QUERY_NOT_SUPPORTED"
	codeIntrospectionDisabled = "INTROSPECTION_DISABLED"
	codeMethodNotAllowed      = "METHOD_NOT_ALLOWED"
	codeNotAcceptable         = "NOT_ACCEPTABLE"
	codePayloadTooLarge       = "PAYLOAD_TOO_LARGE"
	codeUnsupportedMediaType  = "UNSUPPORTED_MEDIA_TYPE"
	codeInternal              = "INTERNAL_SERVER_ERROR"
)

// failure is how an error of a verb is told to the client. The message says
// what the client should do.
type failure struct {
	err        error
	code       string
	reason     string
	message    string
	retryAfter int // seconds
}

// failures is the one table from errors to codes. What is not in it is
// INTERNAL_SERVER_ERROR.
var failures = [...]failure{ //nolint:gochecknoglobals // a table, never written
	{auth.ErrTokenMissing, codeUnauthenticated, "TOKEN_MISSING", "Send an access token as Authorization: Bearer.", 0},
	{auth.ErrTokenExpired, codeUnauthenticated, "TOKEN_EXPIRED", "The access token has expired. Refresh the session and repeat the request.", 0},
	{auth.ErrTokenInvalid, codeUnauthenticated, "TOKEN_INVALID", "The access token is not valid here. Refresh the session or sign in again.", 0},
	{auth.ErrSessionRevoked, codeUnauthenticated, "SESSION_REVOKED", "The session has ended. Sign in again.", 0},
	{user.ErrNotFound, codeUnauthenticated, "SESSION_REVOKED", "The account does not exist any more.", 0},
	{auth.ErrForbidden, codeForbidden, "", "The user's role does not allow this.", 0},
	{auth.ErrRefreshMissing, codeRefreshTokenInvalid, "MISSING", "No refresh token came with the request. Sign in.", 0},
	{auth.ErrRefreshMalformed, codeRefreshTokenInvalid, "MALFORMED", "This is not a refresh token of this server. Sign in again.", 0},
	{auth.ErrRefreshExpired, codeRefreshTokenInvalid, "EXPIRED", "The session has expired. Sign in again.", 0},
	{auth.ErrRefreshRevoked, codeRefreshTokenInvalid, "REVOKED", "The session has ended. Sign in again.", 0},
	{auth.ErrRefreshUnknown, codeRefreshTokenInvalid, "UNKNOWN", "There is no such session. Sign in again.", 0},
	{auth.ErrRefreshBinding, codeRefreshTokenInvalid, "BINDING", "The refresh token came from where it does not belong, so its session was ended. Sign in again.", 0},
	{auth.ErrRefreshReused, codeRefreshTokenReused, "", "The refresh token was used before, so its session was ended. Sign in again.", 0},
	{auth.ErrSessionChanged, codeSessionChanged, "", "The cookie belongs to another session by now. Start over from that session.", 0},
	{auth.ErrCrossOrigin, codeCrossOrigin, "", "Not allowed from this origin. List the page's origin on the server, or choose the other delivery.", 0},
	{auth.ErrAmbiguous, codeBadRequest, "", "More than one refresh token came with the request. Send one, and nothing is lost.", 0},
	{auth.ErrUnavailable, codeUnavailable, "", "Temporarily unavailable. Whether the request was carried out is not known; repeat it later.", 1},
	{context.DeadlineExceeded, codeUnavailable, "", "Temporarily unavailable. Whether the request was carried out is not known; repeat it later.", 1},
	{context.Canceled, codeUnavailable, "", "Temporarily unavailable. Whether the request was carried out is not known; repeat it later.", 1},
}

// extensions is what the client gets beside the message, made anew each time.
func (f *failure) extensions() map[string]any {
	out := map[string]any{"code": f.code}
	if f.reason != "" {
		out["reason"] = f.reason
	}
	if f.retryAfter > 0 {
		out["retryAfter"] = f.retryAfter
	}
	return out
}

// errPanicked stands for a panic that was logged.
var errPanicked = errors.New("graph: a resolver panicked")

// errorLog tells clients of errors by the table, and the log of what is not in it.
type errorLog struct {
	log     *slog.Logger
	refused func(ctx context.Context, code string)
}

// present is a [graphql.ErrorPresenterFunc]. The value it returns is new each
// time, since gqlgen writes into it.
func (e errorLog) present(ctx context.Context, err error) *gqlerror.Error {
	field := graphql.GetFieldContext(ctx)
	out := &gqlerror.Error{}
	if field != nil {
		out.Path = field.Path()
		if field.Field.Field != nil && field.Field.Position != nil {
			out.Locations = []gqlerror.Location{{Line: field.Field.Position.Line, Column: field.Field.Position.Column}}
		}
	}
	out.Message, out.Extensions = e.explain(ctx, field, err)
	return out
}

func (e errorLog) explain(ctx context.Context, field *graphql.FieldContext, err error) (string, map[string]any) {
	if input, ok := errors.AsType[*auth.InputError](err); ok {
		return input.Field + ": " + input.Message, map[string]any{"code": codeBadUserInput, "field": input.Field}
	}
	if limited, ok := errors.AsType[*auth.RateLimitedError](err); ok {
		return "Too many refreshes from this network failed. Wait, and repeat the request; the session is not affected.",
			map[string]any{"code": codeRateLimited, "retryAfter": limited.RetryAfter()}
	}
	for i := range failures {
		if errors.Is(err, failures[i].err) {
			if failures[i].code == codeCrossOrigin {
				e.refused(ctx, codeCrossOrigin)
			}
			return failures[i].message, failures[i].extensions()
		}
	}
	if isIntrospection(field) && graphql.GetOperationContext(ctx).DisableIntrospection {
		return "This server does not tell its schema. Read the documentation instead.",
			map[string]any{"code": codeIntrospectionDisabled}
	}
	if name, ok := argumentOf(field, err); ok {
		return "This argument does not have the type that the schema asks for.",
			map[string]any{"code": codeBadUserInput, "field": name}
	}
	if !errors.Is(err, errPanicked) {
		e.log.ErrorContext(ctx, "a field failed for a reason that has no code",
			"event", "graphql.field_failed", "field", fieldName(field), "error", cause(err))
	}
	return internalMessage, map[string]any{"code": codeInternal}
}

// cause is the text of an error without the path that gqlgen puts before it: it
// has aliases in it.
func cause(err error) string {
	for {
		located, ok := errors.AsType[*gqlerror.Error](err)
		switch {
		case !ok:
			return err.Error()
		case located.Err == nil:
			return located.Message
		}
		err = located.Err
	}
}

const internalMessage = "Something went wrong on the server. Repeat the request later."

// recover is a [graphql.RecoverFunc]. What was panicked with is logged only when
// the Go runtime made it: other values may hold anything.
func (e errorLog) recover(ctx context.Context, value any) error {
	what := fmt.Sprintf("%T", value)
	if runtimeError, ok := value.(runtime.Error); ok {
		what = runtimeError.Error()
	}
	e.log.ErrorContext(ctx, "a panic was caught", "event", "graphql.panic",
		"field", fieldName(graphql.GetFieldContext(ctx)), "panic", what, "stack", string(debug.Stack()))
	return errPanicked
}

// fieldName is the field as the schema names it: aliases are the client's words.
func fieldName(field *graphql.FieldContext) string {
	for ; field != nil; field = field.Parent {
		if field.Field.Field != nil {
			return field.Object + "." + field.Field.Name
		}
	}
	return ""
}

func isIntrospection(field *graphql.FieldContext) bool {
	return field != nil && field.Field.Field != nil && isIntrospectionField(field.Field.Name)
}

// argumentOf is the name of the argument that could not be read. Errors of
// reading arguments carry a path that leads further than the field.
func argumentOf(field *graphql.FieldContext, err error) (string, bool) {
	located, ok := errors.AsType[*gqlerror.Error](err)
	if !ok || field == nil {
		return "", false
	}
	for i := len(located.Path) - 1; i >= len(field.Path()); i-- {
		if name, ok := located.Path[i].(ast.PathName); ok {
			return string(name), true
		}
	}
	return "", false
}
