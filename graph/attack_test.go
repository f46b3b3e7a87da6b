package graph_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/secret"
)

// allowed is what the limits let through: the most that can be asked for.
func allowed() map[string]string {
	return map[string]string{
		"one field 490 times":      "{me{" + strings.Repeat("id ", 490) + "}}",
		"one name 490 times":       "{" + strings.Repeat("__typename ", 490) + "}",
		"one object 240 times":     "{" + strings.Repeat("me{id} ", 240) + "}",
		"one object, many fields":  "{" + strings.Repeat("me{id email role} ", 120) + "}",
		"sixty fragments":          "{me{" + repeat(60, "...F%d ") + "}}" + repeat(60, " fragment F%d on User{id email role createdAt}"),
		"trees of six":             `{__type(name:"a"){` + tree(3, 6) + "}}",
		"trees of fifteen":         `{__type(name:"a"){` + tree(2, 15) + "}}",
		"every type there is":      introspectionQuery,
		"many types":               "{__schema{types{" + repeat(15, "a%d:fields{description args{description type{description}}}") + "}}}",
		"a literal of 63 KiB":      `{__type(name:"` + strings.Repeat("a", bodyLimit) + `"){name}}`,
		"a block of 63 KiB":        `{__type(name:"""` + strings.Repeat(" a\n", bodyLimit/4) + `"""){name}}`,
		"escapes of 31 KiB":        `{__type(name:"` + strings.Repeat(`\u0041`, bodyLimit/7) + `"){name}}`,
		"pairs of surrogates":      `{__type(name:"` + strings.Repeat(`\ud83d\ude00`, bodyLimit/14) + `"){name}}`,
		"blanks":                   "{" + strings.Repeat(" ", bodyLimit) + "__typename}",
		"300 lines of comments":    strings.Repeat("#"+strings.Repeat("a", 150)+"\n", 300) + "{__typename}",
		"inline fragments, nested": strings.Repeat("{...on Query", 100) + "{__typename}" + strings.Repeat("}", 100),
	}
}

func tree(depth, width int) string {
	if depth == 0 {
		return "name"
	}
	return strings.Repeat("ofType{"+tree(depth-1, width)+"} ", width)
}

// Every attack is refused in the words of the protocol, over a real connection:
// no resolver is called, and nothing that was sent comes back or is logged.
func TestAttacksAreRefused(t *testing.T) {
	s := &stub{}
	r := newStubRig(t, s)
	server := httptest.NewServer(r.handler)
	defer server.Close()
	for _, a := range attacks() {
		got := r.post(t, server.URL, a)
		if got.status != a.status || got.code() != a.code || got.hasData() {
			t.Errorf("%s: got %d %.200s, want %d %s without data", a.name, got.status, got.raw, a.status, a.code)
		}
		if len(got.raw) > 10<<10 {
			t.Errorf("%s: the answer has %d bytes, want at most 10 KiB", a.name, len(got.raw))
		}
		if strings.Contains(got.raw, marker) {
			t.Errorf("%s: the answer repeats what was sent: %.300s", a.name, got.raw)
		}
		if strings.Contains(got.raw, "Did you mean") {
			t.Errorf("%s: the answer suggests: %.300s", a.name, got.raw)
		}
	}
	if s.calls != 0 {
		t.Errorf("resolvers were called %d times, want never", s.calls)
	}
	if r.log.String() != "" {
		t.Errorf("got log %.500s, want nothing", r.log)
	}
}

// post sends an attack over HTTP.
func (r *rig) post(t *testing.T, url string, a attack) *answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	out := &answer{t: t, status: response.StatusCode, header: response.Header, raw: string(body)}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%s: answer %.200q is not JSON: %v", a.name, body, err)
	}
	return out
}

// spent is what a request makes the process allocate, in bytes and in pieces.
// Time is not measured: it would tell about the machine.
func (r *rig) spent(t testing.TB, a attack) (bytes, pieces uint64, got *answer) {
	headers := []string{acceptGraphQL}
	if a.header != "" {
		headers = append(headers, a.header)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got = r.send(t, http.MethodPost, a.body, headers...)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, got
}

// What an attack costs is bounded, however it is made: an honest login costs
// some 100 KiB beside its password hash of 19 MiB.
func TestAttacksAreCheap(t *testing.T) {
	r := newStubRig(t, &stub{})
	for _, a := range attacks() {
		if bytes, pieces, _ := r.spent(t, a); bytes > 4<<20 || pieces > 100_000 {
			t.Errorf("%s (%d bytes): cost %d KiB in %d pieces, want at most 4 MiB in 100,000", a.name, len(a.body), bytes>>10, pieces)
		}
	}
}

// What is allowed is bounded as well.
func TestLimitsHoldTheCost(t *testing.T) {
	r := newStubRig(t, &stub{})
	for name, query := range allowed() {
		bytes, pieces, got := r.spent(t, attack{name: name, body: inJSON(query)})
		if got.status != http.StatusOK || len(got.Errors) > 0 {
			t.Errorf("%s: got %d %.200s, want data", name, got.status, got.raw)
		}
		if bytes > 24<<20 || pieces > 300_000 || len(got.raw) > 1<<20 {
			t.Errorf("%s (%d bytes): cost %d KiB in %d pieces and an answer of %d KiB, want at most 24 MiB, 300,000 and 1 MiB",
				name, len(query), bytes>>10, pieces, len(got.raw)>>10)
		}
	}
}

// Doubling a bomb doubles its cost, and no more.
func TestBombsCostWhatTheyWeigh(t *testing.T) {
	r := newStubRig(t, &stub{})
	for name, document := range map[string]func(n int) string{
		"nested":  func(n int) string { return bomb(n, "me") },
		"inside":  func(n int) string { return bomb(n, "__schema") },
		"ladders": func(n int) string { return wideBomb(n/4, 6) },
		"cycles":  func(n int) string { return "{...F0}" + repeat(n, " fragment F%d on Query{...F%[2]d}") },
	} {
		cost := func(n int) float64 {
			body := inJSON(document(n))
			return testing.AllocsPerRun(5, func() { r.send(t, http.MethodPost, body) })
		}
		if one, two := cost(20), cost(40); two > 3*one {
			t.Errorf("%s: 20 rungs cost %.0f allocations and 40 cost %.0f, want about twice as many", name, one, two)
		}
	}
}

// What says that it is too large is not read.
func TestDeclaredSizeIsEnough(t *testing.T) {
	request := httptest.NewRequest(http.MethodPost, "/graphql", panicReader{})
	request.Header.Set("Content-Type", "application/json")
	request.ContentLength = 1 << 30
	w := &recorder{header: http.Header{}}
	newRig(t).handler.ServeHTTP(w, request)
	if w.status != http.StatusRequestEntityTooLarge || !strings.Contains(w.body, "PAYLOAD_TOO_LARGE") {
		t.Errorf("got %d %s, want 413 before the body is read", w.status, w.body)
	}
}

// Odd values in the right place are values: no error of the server's own.
func TestOddValues(t *testing.T) {
	w := newWorld(t)
	admin := w.client(app)
	admin.login("admin@example.com")
	r := w.rig
	r.caller = app
	r.caller.AccessToken = secret.New(admin.access)
	for _, value := range []string{
		"1234567890123456789012345678901234567890", "-9223372036854775809", "1e308", "-0", "0.1", `"__proto__"`, `"constructor"`,
		`"\u0000"`, `"\ud83d\ude00"`, `""`, `"` + strings.Repeat("a", 60000) + `"`, `true`, `null`, `{}`, `[]`, `[["a"]]`,
	} {
		got := r.send(t, http.MethodPost, `{"query":"query($a:ID!){sessions(userId:$a){id}}","variables":{"a":`+value+`}}`)
		switch code := got.code(); code {
		case "", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT":
		default:
			t.Errorf("%.60s: got %.200s, want an empty list or a refusal", value, got.raw)
		}
	}
}

// Pairs of surrogates are one character, in both notations and in the literal as
// in the variable; a password with one works.
func TestSurrogatePairs(t *testing.T) {
	for _, body := range []string{
		`{"query":"{__type(name:\"\\ud83d\\ude00\"){name} __typename}"}`,
		`{"query":"{__type(name:\"\\u{1F600}\"){name} __typename}"}`,
		`{"query":"{__type(name:\"\ud83d\ude00\"){name} __typename}"}`,
		`{"query":"{__type(name:\"\"\"\\ud800\"\"\"){name} __typename}"}`,
		`{"query":"{__type(name:\"\\\\ud800\"){name} __typename} # \\ud800"}`,
	} {
		if got := newRig(t).send(t, http.MethodPost, body); len(got.Errors) > 0 || got.text("__typename") != "Query" {
			t.Errorf("%s: got %s, want data", body, got.raw)
		}
	}
}

// BenchmarkAttacks is the cost of some attacks, for comparing versions.
func BenchmarkAttacks(b *testing.B) {
	r := newStubRig(b, &stub{})
	for _, a := range attacks() {
		switch a.name {
		case "fragment bomb", "20 aliased logins", "wide", "deep", "directive flood", "overlapping fields", "a huge literal", "arrays in arrays":
			b.Run(strings.ReplaceAll(a.name, " ", "-"), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/graphql", strings.NewReader(a.body))
					request.Header.Set("Content-Type", "application/json")
					r.handler.ServeHTTP(&sink{header: http.Header{}}, request)
				}
			})
		}
	}
}
