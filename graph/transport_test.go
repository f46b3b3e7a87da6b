package graph_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/graph"
)

const (
	typeGraphQL = "application/graphql-response+json; charset=utf-8"
	typeJSON    = "application/json; charset=utf-8"
	typename    = `{"query":"{__typename}"}`
)

func TestNegotiation(t *testing.T) {
	for accept, want := range map[string]string{
		"-":                                 typeJSON,
		"":                                  typeJSON,
		"*/*":                               typeJSON,
		"application/*":                     typeJSON,
		"application/json":                  typeJSON,
		"APPLICATION/JSON":                  typeJSON,
		"application/json;charset=utf-8":    typeJSON,
		"application/graphql-response+json": typeGraphQL,
		"application/graphql-response+json; charset=UTF-8":                         typeGraphQL,
		"application/graphql-response+json, application/json":                      typeGraphQL,
		"application/json, application/graphql-response+json":                      typeGraphQL,
		"application/json;q=0.9, application/graphql-response+json;q=0.8":          typeJSON,
		"application/json;q=0.8, application/graphql-response+json;q=0.9":          typeGraphQL,
		"application/graphql-response+json;q=0, */*":                               typeJSON,
		"application/json;q=0, */*":                                                typeGraphQL,
		"application/json;q=0.5, */*":                                              typeGraphQL,
		"application/json, text/plain, */*":                                        typeJSON,
		"text/html, */*;q=0.8":                                                     typeJSON,
		"application/graphql-response+json, */*;q=0.1":                             typeGraphQL,
		"application/graphql-response+json;q=nonsense, application/json":           typeJSON,
		"application/graphql-response+json;q=2, application/json":                  typeJSON,
		`text/plain;x="a, application/graphql-response+json", application/json`:    typeJSON,
		"application/json;charset=utf-16, application/graphql-response+json;q=0.1": typeGraphQL,
		"application/graphql-response+json;q=0.000, application/json;q=0.001":      typeJSON,
	} {
		got := newRig(t).send(t, http.MethodPost, typename, "Accept: "+accept)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want {
			t.Errorf("Accept %q: got %d %q, want 200 %q", accept, got.status, got.header.Get("Content-Type"), want)
		}
	}
	for _, accept := range []string{"text/html", "application/json;q=0", "*/*;q=0", "image/*", "application/json;charset=latin1", ",", "nonsense"} {
		got := newRig(t).send(t, http.MethodPost, typename, "Accept: "+accept)
		if got.status != http.StatusNotAcceptable || got.code() != "NOT_ACCEPTABLE" || got.header.Get("Content-Type") != typeJSON {
			t.Errorf("Accept %q: got %d %s %q, want 406 NOT_ACCEPTABLE in JSON", accept, got.status, got.code(), got.header.Get("Content-Type"))
		}
	}
	got := newRig(t).send(t, http.MethodPost, typename, "Accept: application/json;q=0.5", acceptGraphQL)
	if got.header.Get("Content-Type") != typeGraphQL {
		t.Errorf("two Accept headers: got %q, want %q", got.header.Get("Content-Type"), typeGraphQL)
	}
}

func TestMethods(t *testing.T) {
	r := newRig(t)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, "QUERY"} {
		got := r.send(t, method, typename)
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s: got %d, Allow %q, want 405, %q", method, got.status, got.header.Get("Allow"), "POST, OPTIONS")
		}
		if got.code() != "METHOD_NOT_ALLOWED" {
			t.Errorf("%s: got code %q, want METHOD_NOT_ALLOWED", method, got.code())
		}
	}
	if got := r.send(t, http.MethodOptions, ""); got.status != http.StatusNoContent || got.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("OPTIONS: got %d, Allow %q, want 204, %q", got.status, got.header.Get("Allow"), "POST, OPTIONS")
	}
}

func TestContentType(t *testing.T) {
	r := newRig(t)
	for _, good := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;Charset=UTF-8"} {
		if got := r.send(t, http.MethodPost, typename, "Content-Type: "+good); got.status != http.StatusOK {
			t.Errorf("Content-Type %q: got %d, want 200", good, got.status)
		}
	}
	for _, bad := range []string{
		"-", "text/plain", "application/graphql", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/json; charset=latin1", "application/jsonx", "application/json, text/plain", "application/json;;",
		"application/graphql-response+json",
	} {
		got := r.send(t, http.MethodPost, typename, "Content-Type: "+bad)
		if got.status != http.StatusUnsupportedMediaType || got.code() != "UNSUPPORTED_MEDIA_TYPE" {
			t.Errorf("Content-Type %q: got %d %s, want 415", bad, got.status, got.code())
		}
	}
	if got := r.send(t, http.MethodPost, typename, "Content-Type: application/json", "Content-Type: text/plain"); got.status != 415 {
		t.Errorf("two Content-Types: got %d, want 415", got.status)
	}
	for encoding, want := range map[string]int{"identity": 200, "gzip": 415, "identity, gzip": 415, "br": 415} {
		if got := r.send(t, http.MethodPost, typename, "Content-Encoding: "+encoding); got.status != want {
			t.Errorf("Content-Encoding %q: got %d, want %d", encoding, got.status, want)
		}
	}
}

func TestBody(t *testing.T) {
	r := newRig(t)
	for _, good := range []string{
		typename,
		" \t\r\n" + typename + "\n",
		`{"query":"{__typename}","operationName":null,"variables":null,"extensions":null}`,
		`{"query":"{__typename}","variables":{},"extensions":{"a":[1,-2.5e3,true,false,null,"\ud83d\ude00"]}}`,
		`{"query":"query A{__typename} query B{__typename}","operationName":"B"}`,
		`{"query":"{__typename}","someday":{"a":1}}`,
		`{"\u0071uery":"{__typename}"}`,
		`{"query":"{__typename}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`,
	} {
		if got := r.send(t, http.MethodPost, good, acceptGraphQL); got.status != http.StatusOK || len(got.Errors) != 0 {
			t.Errorf("%s: got %d %s, want data", good, got.status, got.raw)
		}
	}
	deep := strings.Repeat("[", 80) + strings.Repeat("]", 80)
	for _, bad := range []string{
		"", " ", "null", "[]", `[{"query":"{__typename}"}]`, `"query"`, "1", "{", "}", `{"query"}`, `{"query":}`, `{"query":"{__typename}"`,
		`{"query":"{__typename}"}{}`, `{"query":"{__typename}"} x`, `{"query":"{__typename}",}`, `{,}`, `{query:"a"}`, `{'query':"a"}`,
		`{"query":"{__typename}","query":"{__typename}"}`, `{"query":"{__typename}","\u0071uery":"{__typename}"}`,
		`{"query":"{__typename}","variables":{"a":{"b":1,"b":2}}}`,
		`{"query":1}`, `{"query":null}`, `{"query":["{__typename}"]}`, `{}`, `{"variables":{}}`,
		`{"query":"{__typename}","variables":[]}`, `{"query":"{__typename}","variables":"{}"}`, `{"query":"{__typename}","variables":1}`,
		`{"query":"{__typename}","operationName":1}`, `{"query":"{__typename}","operationName":{}}`,
		`{"query":"{__typename}","extensions":"x"}`, `{"query":"{__typename}","extensions":[]}`,
		"{\"query\":\"{__typename}\xff\"}", "\xef\xbb\xbf" + typename, "{\"query\":\"a\nb\"}",
		`{"query":"\ud800"}`, `{"query":"\udc00"}`, `{"query":"\ud800\u0041"}`, `{"query":"\x41"}`, `{"query":"\u00"}`,
		`{"query":"{__typename}","extensions":{"n":01}}`, `{"query":"{__typename}","extensions":{"n":1.}}`,
		`{"query":"{__typename}","extensions":{"n":-}}`, `{"query":"{__typename}","extensions":{"n":1e999}}`,
		`{"query":"{__typename}","extensions":{"n":nul}}`, `{"query":"{__typename}","extensions":{"n":` + deep + `}}`,
	} {
		for _, accept := range []string{acceptGraphQL, "Accept: application/json"} {
			got := r.send(t, http.MethodPost, bad, accept)
			if got.status != http.StatusBadRequest || got.code() != "BAD_REQUEST" || got.hasData() {
				t.Errorf("%s: got %d %s, want 400 BAD_REQUEST without data", bad, got.status, got.raw)
			}
		}
	}
}

func TestBodySize(t *testing.T) {
	pad := func(size int) string { return typename + strings.Repeat(" ", size-len(typename)) }
	r := newRig(t)
	if got := r.send(t, http.MethodPost, pad(graph.DefaultMaxBody)); got.status != http.StatusOK {
		t.Errorf("64 KiB: got %d %s, want 200", got.status, got.raw)
	}
	for name, headers := range map[string][]string{"length": nil, "chunked": {"Transfer-Encoding: chunked"}} {
		if got := r.send(t, http.MethodPost, pad(graph.DefaultMaxBody+1), headers...); got.status != 413 || got.code() != "PAYLOAD_TOO_LARGE" {
			t.Errorf("64 KiB and one byte, %s: got %d %s, want 413", name, got.status, got.raw)
		}
	}
	small := newRig(t, func(c *graph.Config) { c.MaxBody = 100 })
	if got := small.send(t, http.MethodPost, pad(101)); got.status != 413 {
		t.Errorf("101 bytes of 100: got %d, want 413", got.status)
	}
}

// A request error has no data, and its status follows the media type.
func TestStatuses(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name, body, code         string
		status, statusJSON       int
		hasData, noIntrospection bool
	}{
		{name: "parse", body: `{"query":"{"}`, code: "GRAPHQL_PARSE_FAILED", status: 400, statusJSON: 200},
		{name: "empty", body: `{"query":""}`, code: "GRAPHQL_PARSE_FAILED", status: 400, statusJSON: 200},
		{name: "tokens", body: `{"query":"{` + strings.Repeat("a ", 1000) + `}"}`, code: "GRAPHQL_PARSE_FAILED", status: 400, statusJSON: 200},
		{name: "schema in the document", body: `{"query":"type A{a:Int}"}`, code: "GRAPHQL_PARSE_FAILED", status: 400, statusJSON: 200},
		{name: "fragments only", body: `{"query":"fragment A on User{id}"}`, code: "GRAPHQL_PARSE_FAILED", status: 400, statusJSON: 200},
		{name: "validation", body: `{"query":"{nothing}"}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "subscription", body: `{"query":"subscription{me{id}}"}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "defer", body: `{"query":"{...@defer{me{id}}}"}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "no such operation", body: `{"query":"query A{__typename}","operationName":"B"}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "which operation", body: `{"query":"query A{__typename} query B{__typename}"}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "variable missing", body: `{"query":"query($a:ID!){sessions(userId:$a){id}}"}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "variable of another type", body: `{"query":"query($a:ID!){sessions(userId:$a){id}}","variables":{"a":true}}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "number for a string", body: `{"query":"mutation($a:String){logout(input:{refreshToken:$a}){sessionId}}","variables":{"a":1}}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "condition null", body: `{"query":"query($a:Boolean=true){__typename @skip(if:$a)}","variables":{"a":null}}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "condition null in a fragment", body: `{"query":"query($a:Boolean=true){...F} fragment F on Query{...{__typename @skip(if:$a)}}","variables":{"a":null}}`, code: "GRAPHQL_VALIDATION_FAILED", status: 400, statusJSON: 200},
		{name: "too complex", body: `{"query":"{` + strings.Repeat("a:__typename ", 1) + aliases(16) + `}"}`, code: "OPERATION_TOO_COMPLEX", status: 400, statusJSON: 400},
		{name: "two mutations", body: `{"query":"mutation{a:logout{sessionId}b:logout{sessionId}}"}`, code: "OPERATION_TOO_COMPLEX", status: 400, statusJSON: 400},
		{name: "hash only", body: `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`, code: "PERSISTED_QUERY_NOT_SUPPORTED", status: 200, statusJSON: 200},
		{name: "field", body: `{"query":"{me{id}}"}`, code: "UNAUTHENTICATED", status: 200, statusJSON: 200, hasData: true},
	} {
		for accept, want := range map[string]int{acceptGraphQL: c.status, "Accept: application/json": c.statusJSON} {
			got := r.send(t, http.MethodPost, c.body, accept)
			if got.status != want || got.code() != c.code || got.hasData() != c.hasData {
				t.Errorf("%s, %s: got %d %s, want %d %s, data %v", c.name, accept, got.status, got.raw, want, c.code, c.hasData)
			}
		}
	}
}

func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("a" + strings.Repeat("b", i) + ":__typename ")
	}
	return b.String()
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	r := newRig(t)
	for name, got := range map[string]*answer{
		"data": r.send(t, http.MethodPost, typename), "method": r.send(t, http.MethodGet, ""),
		"options": r.send(t, http.MethodOptions, ""), "body": r.send(t, http.MethodPost, "x"),
		"accept": r.send(t, http.MethodPost, typename, "Accept: image/png"),
		"size":   r.send(t, http.MethodPost, strings.Repeat("x", 70000)),
		"panic":  newStubRig(t, &stub{panic: "x"}).query(t, "{me{id}}", nil),
	} {
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Origin",
		} {
			if v := got.header.Values(header); len(v) != 1 || v[0] != want {
				t.Errorf("%s: got %s %q, want %q", name, header, v, want)
			}
		}
	}
}

func TestIntrospection(t *testing.T) {
	const query = `{__schema{queryType{name}} __typename}`
	if got := newRig(t).query(t, query, nil); got.text("__schema.queryType.name") != "Query" {
		t.Errorf("introspection on: got %s", got.raw)
	}
	off := newRig(t, func(c *graph.Config) { c.Introspection = false })
	for _, query := range []string{query, `{__type(name:"User"){name}}`, introspectionQuery} {
		got := off.query(t, query, nil, acceptGraphQL)
		if got.status != http.StatusOK || got.code() != "INTROSPECTION_DISABLED" || strings.Contains(got.raw, "Query") {
			t.Errorf("introspection off, %.30s: got %d %s, want 200 INTROSPECTION_DISABLED", query, got.status, got.raw)
		}
	}
	if got := off.query(t, `{__typename}`, nil); got.text("__typename") != "Query" {
		t.Errorf("introspection off, __typename: got %s", got.raw)
	}
}
