package graph_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/graph"
)

// A password in any wrong place is in no answer and in no log line, whatever
// developers are told.
func TestNothingIsEchoed(t *testing.T) {
	const password = "hunter2"
	quote := func(query string) string {
		b, _ := json.Marshal(map[string]string{"query": query})
		return string(b)
	}
	login := func(input string) string { return quote("mutation{login(input:{" + input + "}){__typename}}") }
	variable := func(kind, value string) string {
		return `{"query":"mutation($a:` + kind + `){login(input:{email:\"a\",password:\"b\",deviceName:$a}){__typename}}","variables":{"a":` + value + `}}`
	}
	input := func(value string) string {
		return `{"query":"mutation($i:LoginInput!){login(input:$i){__typename}}","variables":{"i":` + value + `}}`
	}
	bodies := map[string]string{
		"truncated JSON":            `{"query":"mutation{login(input:{password:\"hunter2\"}`,
		"misspelled JSON":           `{"query":"{me{id}}","variables":{"password":"hunter2",}}`,
		"bare word":                 `{"query":hunter2}`,
		"bad escape":                `{"query":"hunter2\x"}`,
		"bad UTF-8":                 "{\"query\":\"hunter2\xff\"}",
		"key twice":                 `{"hunter2":1,"hunter2":2}`,
		"array":                     `["hunter2"]`,
		"trailing":                  `{"query":"{__typename}"} hunter2`,
		"query of another type":     `{"query":["hunter2"]}`,
		"operationName":             `{"query":"query A{__typename}","operationName":"hunter2"}`,
		"operationName not text":    `{"query":"{__typename}","operationName":{"hunter2":1}}`,
		"variables not an object":   `{"query":"{__typename}","variables":"hunter2"}`,
		"hash only":                 `{"extensions":{"persistedQuery":{"sha256Hash":"hunter2"}}}`,
		"too large":                 login(`password:"hunter2` + strings.Repeat("hunter2", 10000) + `"`),
		"unquoted":                  login(`email:"a",password:hunter2`),
		"unquoted in a list":        login(`email:"a",password:[hunter2]`),
		"unquoted and odd":          login(`email:"a",password:hunter2#!`),
		"unterminated":              login(`email:"a",password:"hunter2`),
		"a word at the top":         quote(`hunter2{me{id}}`),
		"a text at the top":         quote(`{me{id}} "hunter2"`),
		"a word for another":        quote(`{...F} fragment F hunter2 Query{__typename}`),
		"escape in the literal":     login(`email:"a",password:"\uhunter2"`),
		"other escape":              login(`email:"a",password:"\hunter2"`),
		"block string":              login(`email:"a",password:"""hunter2`),
		"literal of another type":   login(`email:"a",password:"b",refreshTokenDelivery:"hunter2"`),
		"literal with a suggestion": login(`email:"a",password:"b",refreshTokenDelivery:"x Did you mean hunter2 value: hunter2, found hunter2"`),
		"unknown enum value":        login(`email:"a",password:"b",refreshTokenDelivery:hunter2`),
		"list literal":              login(`email:"a",password:"b",refreshTokenDelivery:["hunter2"]`),
		"boolean":                   quote(`mutation{revokeAllSessions(input:{includeCurrent:"hunter2"}){sessionIds}}`),
		"condition":                 quote(`{__typename @skip(if:"hunter2")}`),
		"default value":             quote(`query($a:Boolean="hunter2"){__typename @skip(if:$a)}`),
		"default block string":      quote(`query($a:Int="""hunter2 value: hunter2"""){__typename}`),
		"differing arguments":       quote(`{sessions(userId:"hunter2"){id} sessions(userId:"hunter22"){id}}`),
		"variable of another type":  variable("String", `{"hunter2":"hunter2"}`),
		"variable in a list":        variable("String", `["hunter2"]`),
		"input is text":             input(`"hunter2"`),
		"input has another type":    input(`{"email":["hunter2"],"password":"a"}`),
		"input has an unknown enum": input(`{"email":"a","password":"a","refreshTokenDelivery":"hunter2"}`),
		"input is a list":           input(`[{"email":"hunter2","password":{"a":1}}]`),
	}
	// Names are words of the client too; developers may see them again.
	names := map[string]string{
		"unknown field":          quote(`{hunter2}`),
		"unknown subfield":       quote(`{me{hunter2}}`),
		"unknown argument":       quote(`{me(hunter2:1){id}}`),
		"unknown input field":    login(`email:"a",password:"b",hunter2:1`),
		"key of an object":       login(`email:"a",password:{hunter2:1}`),
		"unknown type":           quote(`query($a:hunter2){me{id}}`),
		"unknown fragment":       quote(`{...hunter2}`),
		"unused fragment":        quote(`{me{id}} fragment hunter2 on User{id}`),
		"unknown directive":      quote(`{me @hunter2{id}}`),
		"unused variable":        quote(`query($hunter2:Int){me{id}}`),
		"undefined variable":     quote(`{sessions(userId:$hunter2){id}}`),
		"type condition":         quote(`{me{...on hunter2{id}}}`),
		"conflict":               quote(`{hunter2:__typename hunter2:me{id}}`),
		"variable in a place":    quote(`query($hunter2:Int){sessions(userId:$hunter2){id}}`),
		"operation twice":        quote(`query hunter2{__typename} query hunter2{__typename}`),
		"key of the variables":   input(`{"email":"a","password":"a","hunter2":1}`),
		"name of the variable":   `{"query":"query($hunter2:ID!){sessions(userId:$hunter2){id}}"}`,
		"no selection":           quote(`query hunter2{me}`),
		"selection on a leaf":    quote(`{me{id{hunter2}}}`),
		"subscription operation": quote(`subscription hunter2{hunter2}`),
		"missing argument":       quote(`query hunter2{sessions{id}}`),
	}
	for _, suggestions := range []bool{false, true} {
		cases := map[string]string{}
		for name, body := range bodies {
			cases[name] = body
		}
		for name, body := range names {
			if !suggestions {
				cases[name] = body
			}
		}
		r := newRig(t, func(c *graph.Config) { c.Suggestions = suggestions })
		for name, body := range cases {
			got := r.send(t, http.MethodPost, body)
			if len(got.Errors) == 0 {
				t.Errorf("%s: got %s, want an error", name, got.raw)
			}
			if strings.Contains(got.raw, password) {
				t.Errorf("suggestions %v, %s: the answer repeats the password: %s", suggestions, name, got.raw)
			}
			if !suggestions && strings.Contains(got.raw, "Did you mean") {
				t.Errorf("%s: the answer suggests: %s", name, got.raw)
			}
		}
		if strings.Contains(r.log.String(), password) {
			t.Errorf("suggestions %v: the log repeats the password: %s", suggestions, r.log)
		}
	}
}

func TestMessagesHelp(t *testing.T) {
	for query, want := range map[string][2]string{ // in production, for developers
		`{me{emial}}`:                {`Cannot query field "…" on type "User".`, `Cannot query field "emial" on type "User". Did you mean "email"?`},
		`{me}`:                       {`Field "me" of type "User" must have a selection of subfields.`, `Field "me" of type "User" must have a selection of subfields. Did you mean "me { ... }"?`},
		`{sessions{id}}`:             {`Field "sessions" argument "userId" of type "ID!" is required, but it was not provided.`, ``},
		`{me{id}`:                    {`Syntax error: Expected Name, found <EOF>.`, ``},
		`{me{id}}}`:                  {`Syntax error: Unexpected }.`, ``},
		`{me:}`:                      {`Syntax error: Expected Name, found }.`, ``},
		`{sessions(userId:1.5){id}}`: {`ID cannot represent a non-string and non-integer value.`, ``},
	} {
		for i, suggestions := range []bool{false, true} {
			if want[i] == "" {
				want[i] = want[0]
			}
			got := newRig(t, func(c *graph.Config) { c.Suggestions = suggestions }).query(t, query, nil)
			if len(got.Errors) == 0 || got.Errors[0].Message != want[i] || len(got.Errors[0].Locations) == 0 {
				t.Errorf("%s, suggestions %v: got %s, want %q with a place", query, suggestions, got.raw, want[i])
			}
		}
	}
	many := newRig(t).query(t, "{"+repeat(100, "a%d ")+"}", nil)
	if len(many.Errors) != 20 {
		t.Errorf("100 mistakes: told %d, want 20", len(many.Errors))
	}
}

// Texts in which people leave passwords do not stay in memory.
func TestDocumentCache(t *testing.T) {
	r := newRig(t)
	for _, query := range []string{
		`{__typename}`,
		`query($a:ID!){sessions(userId:$a){id}}`,
		`{sessions(userId:1){id}}`,
		`{sessions(userId:"hunter2"){id}}`,
		`mutation{login(input:{email:"a",password:"hunter2"}){__typename}}`,
		`mutation{login(input:{email:"""a""",password:"""hunter2"""}){__typename}}`,
		`query($a:ID!="hunter2"){sessions(userId:$a){id}}`,
		`{__schema{types{fields{name @include(if:true)}}} __type(name:"hunter2"){name}}`,
		"{__typename} # hunter2",
		`{nothing}`, `{`,
		`{__typename` + strings.Repeat(" ", 5000) + `}`,
	} {
		r.query(t, query, nil)
	}
	want := []string{`{__typename}`, `query($a:ID!){sessions(userId:$a){id}}`, `{sessions(userId:1){id}}`}
	if got := graph.CachedQueries(r.handler); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("cached: got %q, want %q", got, want)
	}
	for i := range 400 {
		r.query(t, "{"+strings.Repeat(" ", i)+"__typename}", nil)
	}
	if got := len(graph.CachedQueries(r.handler)); got != 256 {
		t.Errorf("after 400 documents: got %d cached, want 256", got)
	}
}

// A document that is served from the cache is judged by this request's variables.
func TestCachedDocumentHasNothingOfARequest(t *testing.T) {
	const query = "query($a:Boolean!){a:__typename @include(if:$a) b:__typename}"
	r := newRig(t)
	for i := range 4 {
		got := r.query(t, query, map[string]any{"a": i%2 == 0})
		if has := got.at("a") != nil; has != (i%2 == 0) {
			t.Errorf("request %d: got %s", i, got.raw)
		}
	}
	if got := r.query(t, query, nil); got.code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("without the variable: got %s", got.raw)
	}
}
