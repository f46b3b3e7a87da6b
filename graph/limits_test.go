package graph_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/graph"
)

// introspectionQuery is what GraphiQL asks first: getIntrospectionQuery of
// graphql-js with all its options.
const introspectionQuery = `query IntrospectionQuery { __schema { description
 queryType { name kind } mutationType { name kind } subscriptionType { name kind } types { ...FullType }
 directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
 fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
 inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
 enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { name kind ofType { name kind ofType { name kind ofType { name kind
 ofType { name kind ofType { name kind ofType { name kind ofType { name kind ofType { name kind } } } } } } } } } }`

func TestIntrospectionQueryPasses(t *testing.T) {
	got := newRig(t).query(t, introspectionQuery, nil)
	if len(got.Errors) > 0 || got.text("__schema.queryType.name") != "Query" {
		_, nodes, _ := graph.Count(introspectionQuery)
		t.Errorf("got %.300s (%d nodes), want the schema", got.raw, nodes)
	}
	if strings.Contains(got.raw, `"defer"`) {
		t.Error("the schema shows @defer, which is not supported")
	}
}

func TestLimits(t *testing.T) {
	nest := func(n int, field string) string {
		return strings.Repeat(field+"{", n-1) + "x" + strings.Repeat("}", n-1)
	}
	for _, c := range []struct {
		name, query string
		refused     bool
	}{
		{"500 nodes", "{" + strings.Repeat("x ", 500) + "}", false},
		{"501 nodes", "{" + strings.Repeat("x ", 501) + "}", true},
		{"501 nodes in the second operation", "query A{x} query B{" + strings.Repeat("x ", 501) + "}", true},
		{"500 nodes by a fragment", "{...F " + strings.Repeat("x ", 249) + "} fragment F on Query{" + strings.Repeat("x ", 250) + "}", false},
		{"501 nodes by a fragment", "{...F " + strings.Repeat("x ", 250) + "} fragment F on Query{" + strings.Repeat("x ", 250) + "}", true},
		{"501 nodes by two spreads", "{...F ...F} fragment F on Query{" + strings.Repeat("x ", 250) + "}", true},
		{"depth 8", "{" + nest(8, "x") + "}", false},
		{"depth 9", "{" + nest(9, "x") + "}", true},
		{"depth 9 by inline fragments", "{...{" + nest(9, "x") + "}}", true},
		{"inline fragments are no depth", "{" + strings.Repeat("...{", 20) + nest(8, "x") + strings.Repeat("}", 20) + "}", false},
		{"depth 9 by a fragment", "{x{x{x{x{...F}}}}} fragment F on Query{" + nest(5, "x") + "}", true},
		{"15 aliases", "{" + repeat(15, "a%d:x ") + "}", false},
		{"16 aliases", "{" + repeat(16, "a%d:x ") + "}", true},
		{"16 aliases by a fragment", "{x{...F} y{...F}} fragment F on Query{" + repeat(8, "a%d:x ") + "}", true},
		{"20 directives", "{x" + strings.Repeat("@skip(if:true)", 20) + "}", false},
		{"21 directives", "{x" + strings.Repeat("@skip(if:true)", 21) + "}", true},
		{"21 directives everywhere", "query($a:Int" + strings.Repeat("@d", 5) + ")" + strings.Repeat("@d", 5) + "{...F" + strings.Repeat("@d", 4) +
			" ...@d{x@d}} fragment F on Query" + strings.Repeat("@d", 5) + "{x}", true},
		{"introspection does not count", "{__schema{" + strings.Repeat("x ", 490) + "}}", false},
		{"introspection has a limit of its own", "{__schema{" + strings.Repeat("x ", 501) + "}}", true},
		{"introspection depth", "{__schema{" + nest(14, "x") + "}}", false},
		{"introspection depth too deep", "{__schema{" + nest(15, "x") + "}}", true},
		{"introspection in a fragment does not count", "{__type{...F}} fragment F on X{" + nest(14, "x") + "}", false},
		{"the same fragment outside counts", "{__type{...F} ...F} fragment F on X{" + nest(14, "x") + "}", true},
		{"introspection with 15 aliases", "{__schema{" + repeat(15, "a%d:x ") + "}}", false},
		{"introspection with 16 aliases", "{__schema{" + repeat(16, "a%d:x ") + "}}", true},
		{"aliases of both kinds", "{" + repeat(15, "a%d:x ") + "__schema{" + repeat(15, "a%d:x ") + "}}", false},
		{"16 aliases for introspections", "{" + repeat(16, "a%d:__schema{x} ") + "}", true},
		{"an alias of 64 bytes", "{" + strings.Repeat("a", 64) + ":x}", false},
		{"an alias of 65 bytes", "{" + strings.Repeat("a", 65) + ":x}", true},
		{"an alias of 65 bytes in an introspection", "{__schema{x{" + strings.Repeat("a", 65) + ":x}}}", true},
		{"an alias of 65 bytes in a fragment", "{...F} fragment F on Query{x{" + strings.Repeat("a", 65) + ":x}}", true},
		{"more nodes than an int can count", wideBomb(70, 2), true},
		{"a cycle", "{...F} fragment F on Query{x{...G}} fragment G on Query{x{...F}}", false},
		{"a cycle with much in it", "{...F} fragment F on Query{x{...F}" + strings.Repeat("x ", 501) + "}", true},
	} {
		if _, _, refused := graph.Count(c.query); refused != c.refused {
			t.Errorf("%s: got refused %v, want %v", c.name, refused, c.refused)
		}
	}
}

// repeat puts its number into each of n copies, and where the format has a second
// place, the number of the next one, which is 0 for the last.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if strings.Contains(format, "%[2]d") {
			fmt.Fprintf(&b, format, i, (i+1)%n)
		} else {
			fmt.Fprintf(&b, format, i)
		}
	}
	return b.String()
}

// bomb is n fragments of which each spreads the next one twice.
func bomb(n int, root string) string {
	query := "{" + root + "{...F0}}"
	for i := range n {
		query += fmt.Sprintf(" fragment F%d on User{a{...F%d} a{...F%d}}", i, i+1, i+1)
	}
	return query + fmt.Sprintf(" fragment F%d on User{id}", n)
}

// Counting looks at each selection of the text once, or twice where a fragment
// is used inside and outside of an introspection.
func TestCountingIsLinear(t *testing.T) {
	for _, root := range []string{"me", "__schema"} {
		for _, n := range []int{5, 10, 20, 40, 80} {
			query := bomb(n, root)
			visits, _, refused := graph.Count(query)
			if want := 2 * (4*n + 4); visits > want {
				t.Fatalf("%d nested fragments in %s (%d bytes): looked at %d selections, want at most %d", n, root, len(query), visits, want)
			}
			if n >= 10 && !refused {
				t.Errorf("%d nested fragments in %s: not refused", n, root)
			}
		}
	}
}

func TestBombsAreRefused(t *testing.T) {
	r := newRig(t)
	for name, query := range map[string]string{
		"nested":        bomb(20, "me"),
		"introspection": bomb(20, "__schema"),
		"wide":          "{" + strings.Repeat("...F ", 90) + "} fragment F on Query{" + strings.Repeat("...G ", 90) + "} fragment G on Query{__typename}",
		"lists":         "{__schema{types{fields{type{fields{type{fields{name}}}}}}}}",
	} {
		got := r.query(t, query, nil, acceptGraphQL)
		if got.status != http.StatusBadRequest || got.code() != "OPERATION_TOO_COMPLEX" {
			t.Errorf("%s: got %d %.200s, want 400 OPERATION_TOO_COMPLEX", name, got.status, got.raw)
		}
	}
	got := r.query(t, "{...F} fragment F on Query{...G} fragment G on Query{...F}", nil, acceptGraphQL)
	if got.status != http.StatusBadRequest || got.code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("cycle: got %d %.200s, want 400 GRAPHQL_VALIDATION_FAILED", got.status, got.raw)
	}
}

func TestOneMutationRootField(t *testing.T) {
	const fragments = " fragment F on Mutation{f:logout{sessionId}}"
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		refused     bool
	}{
		{"one", "mutation{logout{sessionId}}", nil, false},
		{"one and __typename", "mutation{__typename logout{sessionId}}", nil, false},
		{"aliases", "mutation{a:logout{sessionId} b:logout{sessionId}}", nil, true},
		{"two fields", "mutation{logout{sessionId} refreshToken{rotated}}", nil, true},
		{"the same twice is one", "mutation{logout{sessionId} logout{__typename}}", nil, false},
		{"fragment", "mutation{logout{sessionId} ...F}" + fragments, nil, true},
		{"inline fragment", "mutation{logout{sessionId} ...on Mutation{f:logout{sessionId}}}", nil, true},
		{"nested fragments", "mutation{...G} fragment G on Mutation{logout{sessionId} ...F}" + fragments, nil, true},
		{"include true", "mutation($a:Boolean!){logout{sessionId} ...F@include(if:$a)}" + fragments, map[string]any{"a": true}, true},
		{"include false", "mutation($a:Boolean!){logout{sessionId} ...F@include(if:$a)}" + fragments, map[string]any{"a": false}, false},
		{"skip true", "mutation($a:Boolean!){logout{sessionId} f:logout@skip(if:$a){sessionId}}", map[string]any{"a": true}, false},
		{"skip false", "mutation($a:Boolean!){logout{sessionId} f:logout@skip(if:$a){sessionId}}", map[string]any{"a": false}, true},
		{"skip by default", "mutation($a:Boolean=true){logout{sessionId} ...on Mutation@skip(if:$a){f:logout{sessionId}}}", nil, false},
		{"both", "mutation($a:Boolean!){a:logout@include(if:$a){sessionId} b:logout@skip(if:$a){sessionId}}", map[string]any{"a": true}, false},
	} {
		s := &stub{}
		got := newStubRig(t, s).query(t, c.query, c.variables)
		calls := 1
		if c.refused {
			calls = 0
		}
		if refused := got.code() == "OPERATION_TOO_COMPLEX"; refused != c.refused || s.calls != calls {
			t.Errorf("%s: got refused %v after %d calls, want %v after %d: %s", c.name, refused, s.calls, c.refused, calls, got.raw)
		}
	}
	s := &stub{}
	const second = `{"query":"query A{__typename} mutation B{a:logout{sessionId} b:logout{sessionId}}","operationName":"B"}`
	if got := newStubRig(t, s).send(t, http.MethodPost, second); got.code() != "OPERATION_TOO_COMPLEX" || s.calls != 0 {
		t.Errorf("in the second operation: got %s after %d calls, want OPERATION_TOO_COMPLEX after none", got.raw, s.calls)
	}
}
