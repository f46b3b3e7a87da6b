package graph_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/graph/generated"
	"github.com/pawlauth/pawl/internal/refreshcookie"
)

func TestEveryRootFieldSaysWhoMayUseIt(t *testing.T) {
	if err := graph.CheckAccess(graph.PublicSchema()); err != nil {
		t.Errorf("the real schema: %v", err)
	}
	const head = "directive @auth(role: String) on FIELD_DEFINITION directive @public on FIELD_DEFINITION "
	for schema, want := range map[string]string{
		"type Query{a:Int @auth b:Int @public}":                                                    "",
		"type Query{a:Int}":                                                                        "Query.a",
		"type Query{a:Int @auth @public}":                                                          "Query.a",
		"type Query{a:Int @auth} type Mutation{b:Int @public c:Int}":                               "Mutation.c",
		"type Query{a:Int @auth} type Subscription{d:Int}":                                         "Subscription.d",
		"type Query{a:Int @auth b:O @auth} type O{c:Int}":                                          "",
		"type Query{a:Int @auth} extend type Query{e:Int}":                                         "Query.e",
		"schema{query:Q} type Q{a:Int}":                                                            "Q.a",
		"type Query{a:Int @auth} directive @other on FIELD_DEFINITION type Mutation{f:Int @other}": "Mutation.f",
	} {
		loaded := gqlparser.MustLoadSchema(&ast.Source{Input: head + schema})
		err := graph.CheckAccess(loaded)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want an error about %q", schema, err, want)
		}
		if _, handlerErr := graph.NewHandlerFor(config(t, &logBuffer{}), generated.Config{Schema: loaded, Resolvers: &stub{}}); (handlerErr == nil) != (err == nil) {
			t.Errorf("%s: a handler is made: %v", schema, handlerErr)
		}
	}
}

// A directive without a function lets nobody through.
func TestUnsetDirectivesFailClosed(t *testing.T) {
	s := &stub{}
	handler, err := graph.NewHandlerFor(config(t, &logBuffer{}), generated.Config{Resolvers: s})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{handler: handler}
	for _, query := range []string{"{me{id}}", "{mySessions{id}}", "mutation{logout{sessionId}}"} {
		if got := r.query(t, query, nil); got.code() != "INTERNAL_SERVER_ERROR" || s.calls != 0 {
			t.Errorf("%s: got %s after %d calls, want no call", query, got.raw, s.calls)
		}
	}
}

// Every field of the real schema with @auth refuses a caller without a token.
func TestAuthIsAsked(t *testing.T) {
	r := newRig(t)
	for _, query := range []string{
		"{me{id}}", "{mySessions{id}}", `{sessions(userId:"a"){id}}`,
		`mutation{revokeSession(input:{sessionId:"a"}){sessionId}}`, "mutation{revokeAllSessions{sessionIds}}",
		`mutation{changePassword(input:{currentPassword:"a",newPassword:"b"}){__typename}}`,
		`mutation{revokeUserSessions(input:{userId:"a"}){sessionIds}}`,
	} {
		if got := r.query(t, query, nil); got.code() != "UNAUTHENTICATED" {
			t.Errorf("%s: got %s, want UNAUTHENTICATED", query, got.raw)
		}
	}
}

// A directive on an object would not hold where its fields are reached through
// an interface or a union.
func TestAccessIsSaidOnFieldsAlone(t *testing.T) {
	for head, good := range map[string]bool{
		"directive @auth on FIELD_DEFINITION directive @public on FIELD_DEFINITION":             true,
		"directive @auth on FIELD_DEFINITION | OBJECT directive @public on FIELD_DEFINITION":    false,
		"directive @auth on FIELD_DEFINITION directive @public on FIELD_DEFINITION | INTERFACE": false,
		"directive @auth on FIELD_DEFINITION directive @public on FIELD_DEFINITION | FIELD":     false,
		"directive @auth on FIELD_DEFINITION":                                                   false,
	} {
		schema := gqlparser.MustLoadSchema(&ast.Source{Input: head + " type Query{q:Int @auth}"})
		if err := graph.CheckAccess(schema); (err == nil) != good {
			t.Errorf("%s: got %v, want it accepted: %t", head, err, good)
		}
	}
	for _, name := range []string{"auth", "public"} {
		if got := graph.PublicSchema().Directives[name].Locations; len(got) != 1 || got[0] != ast.LocationFieldDefinition {
			t.Errorf("@%s of the real schema: got locations %v, want FIELD_DEFINITION alone", name, got)
		}
	}
	// The library switches off @authenticated, @requiresScopes and @policy in its
	// federation mode, without a word.
	known := []string{"auth", "deprecated", "include", "oneOf", "public", "skip", "specifiedBy"}
	if got := slices.Sorted(maps.Keys(graph.PublicSchema().Directives)); !slices.Equal(got, known) {
		t.Errorf("directives of the real schema: got %q, want %q", got, known)
	}
}

func TestNewHandlerRefuses(t *testing.T) {
	for name, change := range map[string]func(*graph.Config){
		"no service":    func(c *graph.Config) { c.Auth = nil },
		"no cookie":     func(c *graph.Config) { c.Cookie = (*refreshcookie.Cookie)(nil) },
		"no log":        func(c *graph.Config) { c.Log = nil },
		"no clock":      func(c *graph.Config) { c.Now = nil },
		"negative size": func(c *graph.Config) { c.MaxBody = -1 },
	} {
		cfg := config(t, &logBuffer{})
		change(&cfg)
		if _, err := graph.NewHandler(cfg); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
