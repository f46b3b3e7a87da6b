package graph

import (
	"errors"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
)

// maxErrors is how many mistakes of one document are told.
const maxErrors = 20

// hidden stands where a message would repeat what the client wrote.
const hidden = "…"

// words rewrites the messages of the GraphQL library, which repeat names and
// literals of the request: in these people leave passwords. What stays is what
// the schema says anyway, and where the mistake is.
type words struct {
	known    map[string]bool
	tellThem bool // names of the client may be told, and similar ones suggested; literals never
}

func newWords(schema *ast.Schema, suggestions bool) words {
	known := map[string]bool{"query": true, "mutation": true, "subscription": true}
	for name, definition := range schema.Types {
		known[name] = true
		for _, field := range definition.Fields {
			known[field.Name] = true
			for _, argument := range field.Arguments {
				known[argument.Name] = true
			}
		}
		for _, value := range definition.EnumValues {
			known[value.Name] = true
		}
	}
	for name, directive := range schema.Directives {
		known[name] = true
		for _, argument := range directive.Arguments {
			known[argument.Name] = true
		}
	}
	return words{known, suggestions}
}

// parseError says where the text stops to be GraphQL. Kinds of tokens may be
// named, their content may not.
func (w words) parseError(err error) *gqlerror.Error {
	located, ok := errors.AsType[*gqlerror.Error](err)
	if !ok {
		return gqlerror.Errorf("Syntax error.")
	}
	out := &gqlerror.Error{Message: "Syntax error: this is not GraphQL.", Locations: located.Locations}
	if strings.HasPrefix(located.Message, "exceeded ") {
		out.Message = "The document is too long: it " + located.Message + "."
		return out
	}
	for _, prefix := range []string{"Unexpected ", "Expected "} {
		rest, ok := strings.CutPrefix(located.Message, prefix)
		if !ok {
			continue
		}
		want, got, two := strings.Cut(rest, ", found ")
		if !two {
			got = want
		}
		if isTokenKind(got) && (!two || isTokenKind(want)) {
			out.Message = "Syntax error: " + located.Message + "."
		}
	}
	return out
}

func isTokenKind(s string) bool {
	for kind := lexer.Invalid; kind <= lexer.Comment; kind++ {
		if kind.String() == s {
			return true
		}
	}
	return false
}

// validationErrors is the refusal of a document with these mistakes.
func (w words) validationErrors(errs gqlerror.List) *refusal {
	var told gqlerror.List
	for _, err := range errs {
		if err.Rule == "MaxIntrospectionDepth" {
			return tooComplex("The introspection nests lists too deep. Ask for less in one request.")
		}
		if len(told) < maxErrors {
			told = append(told, &gqlerror.Error{Message: w.message(err), Locations: err.Locations})
		}
	}
	return invalidDocument(codeValidationFailed, told...)
}

func (w words) message(err *gqlerror.Error) string {
	message := err.Message
	suggestion := ""
	// Names have no spaces in them, but literals may.
	if i := strings.LastIndex(message, " Did you mean "); i >= 0 {
		message, suggestion = message[:i], message[i:]
	}
	if strings.HasPrefix(err.Rule, "ValuesOfCorrectType") {
		message = withoutLiteral(message)
	}
	if !w.tellThem {
		return w.hideNames(message)
	}
	if w.isSuggestion(suggestion) {
		message += suggestion
	}
	return message
}

// isSuggestion reports whether the end of a message is one of the library's
// suggestions and not part of a literal.
func (w words) isSuggestion(s string) bool {
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			if !w.knows(strings.TrimSuffix(part, " { ... }")) {
				return false
			}
			continue
		}
		switch part {
		case " Did you mean ", " Did you mean the enum value ", " Did you mean to use an inline fragment on ",
			", ", " or ", ", or ", "?":
		default:
			return false
		}
	}
	return true
}

// withoutLiteral is a message of the rule that checks literals, without the
// literal. A form that is not known is not told at all.
func withoutLiteral(message string) string {
	for _, marker := range []string{" value: ", ", found "} {
		if before, _, ok := strings.Cut(message, marker); ok {
			switch marker {
			case " value: ":
				return before + " value."
			default:
				return before + "."
			}
		}
	}
	switch {
	case strings.HasPrefix(message, `Value "`):
		if i := strings.LastIndex(message, `" does not exist in "`); i >= 0 {
			return "Value" + message[i+1:]
		}
	case strings.HasPrefix(message, `Field "`):
		return message
	}
	return "A value does not have the type that the schema asks for."
}

// hideNames keeps of the quoted words those that the schema has.
func (w words) hideNames(message string) string {
	parts := strings.Split(message, `"`)
	for i := 1; i < len(parts); i += 2 {
		if !w.knows(parts[i]) {
			parts[i] = hidden
		}
	}
	return strings.Join(parts, `"`)
}

// knows reports whether the schema has a name, which may be written as a type
// with modifiers, a directive, or Type.field.
func (w words) knows(name string) bool {
	name = strings.Trim(name, "[]!@")
	for part := range strings.SplitSeq(name, ".") {
		if !w.known[part] {
			return false
		}
	}
	return true
}

// variableError is why the variables do not fit the operation. The library's
// path leads to the value; the names on it that are not the schema's are keys
// of the request's body.
func (w words) variableError(errs gqlerror.List) *refusal {
	what, where := "", []string{}
	for _, err := range errs {
		what = err.Message
		for i, step := range err.Path {
			name, ok := step.(ast.PathName)
			switch {
			case !ok || i == 0: // an index, or the word "variable"
			case w.tellThem || w.known[string(name)]:
				where = append(where, string(name))
			default:
				where = append(where, hidden)
			}
		}
	}
	switch {
	case what == "unknown field":
		where[len(where)-1] = hidden
		what = "is a field that the input type does not have"
	case what == "must be defined", what == "cannot be null":
	default:
		what = "does not have the type that the operation says"
	}
	return &refusal{http.StatusBadRequest, http.StatusOK, gqlerror.List{{
		Message:    "Variable $" + strings.Join(where, ".") + " " + what + ".",
		Extensions: map[string]any{"code": codeValidationFailed},
	}}}
}
