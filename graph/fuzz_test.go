package graph_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/internal/auth"
)

// Whatever comes, the answer is one JSON object of the protocol, and a body that
// is taken for a request means the same to encoding/json.
func FuzzTransportBody(f *testing.F) {
	for _, body := range []string{
		typename, `{"query":"{me{id}}","operationName":"A","variables":{"a":[1,-2.5e3,"\ud83d\ude00\n",true,null,{}]},"extensions":{"x":"y"}}`,
		`{"query":"{a` + strings.Repeat("{a", 70) + `"}`, `{"extensions":{"persistedQuery":{}}}`, `{"query":"{__schema{types{name}}}"}`,
		`{"query":"query($a:Boolean=true){__typename @skip(if:$a)}","variables":{"a":null}}`, `{"query":"\u0000\ud800"}`, `{"a":1,"a":2}`, "[]",
		`{"query":"mutation($i:LoginInput!){login(input:$i){__typename}}","variables":{"i":{"email":"a","password":1.5,"refreshTokenDelivery":"body"}}}`,
		`{"query":"{__type(name:\"\\ud83d\\ude00\\u{1F600}\\\\ud800é\"){name} a:__type(name:\"\"\"\\ud800\"\"\"){name}}#\\ud800\n\ufeff"}`,
		`{"query":"{me{id ...F}} fragment F on User{...F}"}`, `{"query":"{__typename @include(if:\"a\") x:__type(name:\"\"\"b\"\"\"){name}}"}`,
	} {
		f.Add([]byte(body))
	}
	r := newStubRig(f, &stub{})
	f.Fuzz(func(t *testing.T, body []byte) {
		params, refused := graph.ParseBody(body)
		if refused == nil {
			compareWithStandard(t, body, params.Query, params.Variables)
		}
		request := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		r.handler.ServeHTTP(recorder, request.WithContext(auth.WithCaller(request.Context(), auth.Caller{})))
		var answer struct {
			Data   json.RawMessage
			Errors []struct{ Extensions struct{ Code string } }
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			t.Fatalf("the answer to %q is not JSON: %v", body, err)
		}
		if answer.Data == nil && len(answer.Errors) == 0 {
			t.Fatalf("the answer to %q has neither data nor errors: %s", body, recorder.Body)
		}
		for _, e := range answer.Errors {
			if e.Extensions.Code == "" || e.Extensions.Code == "INTERNAL_SERVER_ERROR" {
				t.Fatalf("the answer to %q: %s, log %s", body, recorder.Body, r.log)
			}
		}
	})
}

func compareWithStandard(t *testing.T, body []byte, query string, variables map[string]any) {
	t.Helper()
	if !utf8.Valid(body) {
		t.Fatalf("taken, but not UTF-8: %q", body)
	}
	var want struct {
		Query     string         `json:"-"`
		Variables map[string]any `json:"-"`
	}
	fields := map[string]json.RawMessage{} // unlike a struct, exact about the case of keys
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&fields); err != nil {
		t.Fatalf("taken, but not JSON: %q: %v", body, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("taken, but more than one value: %q", body)
	}
	if err := json.Unmarshal(fields["query"], &want.Query); err != nil || want.Query != query {
		t.Fatalf("query of %q: got %q, want %q (%v)", body, query, want.Query, err)
	}
	if raw, ok := fields["variables"]; ok {
		if err := json.Unmarshal(raw, &want.Variables); err != nil {
			t.Fatalf("variables of %q: %v", body, err)
		}
	}
	if got := floats(variables); !reflect.DeepEqual(got, any(want.Variables)) {
		t.Fatalf("variables of %q: got %#v, want %#v", body, got, want.Variables)
	}
}

// floats is a value with its integers as encoding/json has them.
func floats(value any) any {
	switch v := value.(type) {
	case int64:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = floats(v[i])
		}
		return out
	case map[string]any:
		if v == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = floats(v[key])
		}
		return out
	}
	return value
}

// What encoding/json takes is taken too, where nothing is in it that is refused
// on purpose: keys that repeat, half surrogates, much nesting.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`"\n\/"`, `[1,[2.5,null]]`, `-0.5E+3`, `0`, `-0`, `"é"`, ` true `, "[\t]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if len(value) > maxJSONDepth-2 || strings.ContainsAny(value, "{:") || strings.Contains(value, `\u`) || !utf8.ValidString(value) {
			return
		}
		body := []byte(`{"query":"a","variables":{"v":` + value + `}}`)
		var decoded map[string]any
		err := json.Unmarshal(body, &decoded)
		if _, refused := graph.ParseBody(body); (refused == nil) != (err == nil) {
			t.Fatalf("%q: refused %v, encoding/json says %v", body, refused != nil, err)
		}
	})
}

const maxJSONDepth = 64
