package graph_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
)

// attack is a request that asks for much with little, or hides something.
type attack struct {
	name   string
	body   string
	header string // one more line
	status int    // answered as application/graphql-response+json
	code   string
}

// marker stands where people leave passwords: no answer and no log line has it.
const marker = "hunter2"

// bodyLimit is how large a query can be within the limit of the body.
const bodyLimit = 63 << 10

// attacks is the catalogue. Nothing in it reaches a resolver.
func attacks() []attack {
	var all []attack
	for _, group := range []struct {
		status int
		code   string
		cases  map[string]string
	}{
		{400, "OPERATION_TOO_COMPLEX", complexDocuments()},
		{400, "GRAPHQL_VALIDATION_FAILED", invalidDocuments()},
		{400, "GRAPHQL_PARSE_FAILED", unparsableDocuments()},
	} {
		for name, query := range group.cases {
			all = append(all, attack{name, inJSON(query), "", group.status, group.code})
		}
	}
	for name, body := range badBodies() {
		all = append(all, attack{name, body, "", 400, "BAD_REQUEST"})
	}
	for name, variables := range badVariables() {
		query := "mutation($i:LoginInput!){login(input:$i){__typename}}"
		all = append(all, attack{"variables: " + name, `{"query":"` + query + `","variables":{"i":` + variables + `}}`, "", 400, "GRAPHQL_VALIDATION_FAILED"})
	}
	packed := zipped(strings.Repeat("hunter2", 1<<20))
	return append(all,
		attack{"gzip bomb", packed, "Content-Encoding: gzip", 415, "UNSUPPORTED_MEDIA_TYPE"},
		attack{"gzip bomb, not declared", packed, "", 400, "BAD_REQUEST"},
		attack{"deflate", "x", "Content-Encoding: deflate", 415, "UNSUPPORTED_MEDIA_TYPE"},
		attack{"zstd after identity", "x", "Content-Encoding: identity, zstd", 415, "UNSUPPORTED_MEDIA_TYPE"},
		attack{"just above the limit", inJSON("{a(b:\"" + strings.Repeat(marker, 64<<10/len(marker)) + "\")}"), "", 413, "PAYLOAD_TOO_LARGE"},
		attack{"far above the limit", strings.Repeat(marker, 28000), "", 413, "PAYLOAD_TOO_LARGE"},
	)
}

func complexDocuments() map[string]string {
	login := `login(input:{email:"a",password:"hunter2"}){__typename} `
	return map[string]string{
		"20 aliased logins":             "mutation{" + repeat(20, "a%d:"+login) + "}",
		"15 aliased logins":             "mutation{" + repeat(15, "a%d:"+login) + "}",
		"two aliased refreshes":         "mutation{a:refreshToken{rotated} b:refreshToken{rotated}}",
		"logins in fragments":           "mutation{" + repeat(10, "...F%d ") + "}" + repeat(10, " fragment F%d on Mutation{a%[1]d:"+login+"}"),
		"logins in inline fragments":    "mutation{" + repeat(10, "...on Mutation{a%d:"+login+"}") + "}",
		"fragment bomb":                 bomb(20, "me"),
		"fragment bomb, inside":         bomb(20, "__schema"),
		"fragment bomb, wider":          wideBomb(9, 12),
		"fragment bomb in a mutation":   strings.Replace(bomb(20, "logout"), "{", "mutation{", 1),
		"fragment bomb, unused root":    "query A{__typename} query B" + bomb(20, "me"),
		"deep":                          nested(300),
		"deep, inside":                  "{__schema{types" + nested(300) + "}}",
		"deep by a cycle's fragment":    "{...A}" + repeat(9, " fragment F%d on User{a{a{a{id}}}}") + " fragment A on Query" + nested(200),
		"wide":                          "{" + strings.Repeat("__typename ", 900) + "}",
		"wide, inside":                  "{__schema{" + strings.Repeat("description ", 900) + "}}",
		"900 aliases":                   "{" + repeat(300, "a%d:__typename ") + "}",
		"directive flood":               "{__typename" + strings.Repeat("@skip(if:true)", 140) + "}",
		"directive flood, unknown":      "{__typename" + strings.Repeat("@x", 400) + "}",
		"directive flood on operation":  "query " + strings.Repeat("@x", 400) + "{__typename}",
		"directive flood on variables":  "query($a:Int" + strings.Repeat("@x", 400) + "){__typename}",
		"directive flood on fragments":  "{...F} fragment F on Query" + strings.Repeat("@x", 400) + "{__typename}",
		"directive flood on a fragment": "{" + strings.Repeat("...@include(if:true){__typename}", 60) + "}",
		"a huge alias":                  "{" + strings.Repeat(marker, bodyLimit/8) + ":me}",
		"a long alias for every item":   "{__schema{types{fields{" + strings.Repeat(marker, bodyLimit/8) + ":name}}}}",
		"aliased introspections":        "{__schema{types{" + repeat(60, "a%d:fields{args{description}}") + "}}}",
		"introspection, lists in lists": "{__schema{types{fields{type{fields{type{fields{type{fields{name}}}}}}}}}}",
		"introspection by name":         `{__type(name:"User"){fields{type{fields{type{fields{name}}}}}}}`,
	}
}

func nested(n int) string { return strings.Repeat("{a", n) + strings.Repeat("}", n) }

// wideBomb is a ladder of fragments in which each spreads the next one often.
func wideBomb(rungs, width int) string {
	query := "{me{...F0}}"
	for i := range rungs {
		query += fmt.Sprintf(" fragment F%d on User{%s}", i, strings.Repeat(fmt.Sprintf("...F%d ", i+1), width))
	}
	return query + fmt.Sprintf(" fragment F%d on User{id}", rungs)
}

func invalidDocuments() map[string]string {
	return map[string]string{
		"fragment that holds itself":  "{...F} fragment F on Query{...F}",
		"cycle of two":                "{...F} fragment F on Query{...G} fragment G on Query{...F}",
		"cycle of eighty":             "{...F0}" + repeat(80, " fragment F%d on Query{...F%[2]d}"),
		"cycle through a field":       "{me{...F}} fragment F on User{id ...G} fragment G on User{email ...F}",
		"cycles in cycles":            "{...F0}" + repeat(40, " fragment F%d on Query{...F%[2]d ...F0 __typename}"),
		"unknown fields":              "{" + repeat(450, "hunter2%d ") + "}",
		"unknown arguments":           "{me(" + repeat(240, "hunter2%d:1 ") + "){id}}",
		"unused fragments":            "{__typename}" + repeat(140, " fragment hunter2%d on User{id}"),
		"many operations":             repeat(190, "query Q%d{hunter2}"),
		"one name for all operations": strings.Repeat("query Q{__typename}", 190),
		"unused variables":            "query(" + repeat(240, "$hunter2%d:Int ") + "){__typename}",
		"undefined variables":         "{" + repeat(15, "a%d:sessions(userId:$hunter2%[1]d){id}") + "}",
		"unknown input fields":        "mutation{login(input:{" + repeat(300, "hunter2%d:1 ") + "}){__typename}}",
		"deep lists":                  "mutation{login(input:{email:" + strings.Repeat("[", 480) + strings.Repeat("]", 480) + "}){__typename}}",
		"deep objects":                "mutation{login(input:" + strings.Repeat("{a:", 240) + "1" + strings.Repeat("}", 240) + "){__typename}}",
		"deep type":                   "query($a:" + strings.Repeat("[", 480) + "Int" + strings.Repeat("]", 480) + "){__typename}",
		"overlapping fields":          "{" + strings.Repeat("sessions(userId:1){id}sessions(userId:2){id}", 45) + "}",
		"overlapping fragments":       overlapping(30),
		"overlap in overlaps":         "{" + strings.Repeat("me{id email me:id ", 7) + strings.Repeat("}", 7) + "}",
		"a huge literal":              `{sessions(userId:true,x:"` + strings.Repeat(marker, bodyLimit/8) + `"){id}}`,
		"a huge number":               "{sessions(userId:1." + strings.Repeat("9", bodyLimit-100) + "){id}}",
		"a huge name":                 "{" + strings.Repeat(marker, bodyLimit/8) + "}",
		"a huge enum":                 "mutation{login(input:{email:\"a\",password:\"b\",refreshTokenDelivery:" + strings.Repeat(marker, bodyLimit/8) + "}){__typename}}",
		"directives on a wrong place": "{me@auth(role:ADMIN){id}}",
		"a directive of a federation": "{me@authenticated{id}}",
		"a literal that suggests":     `{me{emial} sessions(userIdd:"hunter2"){id}}`,
		"introspection of names":      `{__type(nam:"hunter2"){name} __schem{x}}`,
		"a prototype":                 "{__proto__{constructor}}",
		"integers of 40 digits":       "mutation{revokeAllSessions(input:{includeCurrent:1234567890123456789012345678901234567890}){sessionIds}}",
	}
}

// overlapping is fragments that select fields of one name with other arguments.
func overlapping(n int) string {
	query := "{...F0 ...F1}"
	for i := range n {
		query += fmt.Sprintf(" fragment F%d on Query{sessions(userId:%d){id}%s}", i, i, strings.Repeat(fmt.Sprintf(" ...F%d", min(i+1, n-1)), min(1, n-1-i)))
	}
	return query
}

func unparsableDocuments() map[string]string {
	return map[string]string{
		"no document":              "",
		"only a comment":           "#" + marker,
		"more tokens than allowed": "{" + strings.Repeat("a ", 30000) + "}",
		"deep to the limit":        strings.Repeat("{a", 30000),
		"deep lists, no end":       "{a(b:" + strings.Repeat("[", 60000),
		"braces":                   strings.Repeat("{", bodyLimit),
		"comments":                 strings.Repeat("#\n", bodyLimit/3),
		"a long comment":           "#" + strings.Repeat(marker, bodyLimit/8),
		"commas":                   strings.Repeat(",", bodyLimit),
		"byte order marks":         strings.Repeat("\ufeff", bodyLimit/3),
		"quotes":                   strings.Repeat(`"`, bodyLimit/2),
		"an open string":           `{a(b:"` + strings.Repeat(marker, bodyLimit/8),
		"an open block":            `{a(b:"""` + strings.Repeat(marker+"\n", bodyLimit/10),
		"half a pair":              `mutation{login(input:{email:"a",password:"hunter2\ud800"}){__typename}}`,
		"the other half":           `mutation{login(input:{email:"a",password:"hunter2\udc00\ud800"}){__typename}}`,
		"half a pair and a letter": `mutation{login(input:{email:"a",password:"\uD83Dhunter2"}){__typename}}`,
		"half a pair at the end":   `{__type(name:"\ud83d\ude00\ud83d"){name}}`,
		"half a pair, braced":      `{__type(name:"\u{d800}"){name}}`,
		"half a pair as default":   `query($a:String="\udfff"){__typename}`,
		"beyond Unicode":           `{__type(name:"\u{110000}"){name}}`,
		"schema in a query":        "type " + marker + "{a:Int}",
		"an extension":             "extend type Query{a:Int}",
		"null characters":          "{\x00__typename}",
		"odd quotes":               "{a(b:'hunter2')}",
	}
}

func badBodies() map[string]string {
	query := `"query":"{__typename}"`
	return map[string]string{
		"nothing":                    "",
		"duplicate query":            `{"query":"{__typename}","query":"mutation{logout{sessionId}}"}`,
		"duplicate variables":        `{` + query + `,"variables":{},"variables":{"hunter2":1}}`,
		"duplicate keys, escaped":    `{` + query + `,"\u0071uery":"{hunter2}"}`,
		"duplicate keys, deep":       `{` + query + `,"variables":{"i":{"password":"hunter2","password":"x"}}}`,
		"duplicate keys, many":       `{` + query + strings.Repeat(`,"a":1`, 10000) + `}`,
		"two bodies":                 `{` + query + `}{"query":"mutation{logout{sessionId}}"}`,
		"two bodies on two lines":    "{" + query + "}\n{" + query + "}",
		"trailing garbage":           `{` + query + `}hunter2`,
		"trailing null":              "{" + query + "}\x00",
		"batch":                      "[{" + query + "},{" + query + "}]",
		"batch of a thousand":        "[" + strings.Repeat("{"+query+"},", 1000) + "{" + query + "}]",
		"byte order mark":            "\ufeff{" + query + "}",
		"UTF-16":                     "\xff\xfe{\x00\"\x00q\x00",
		"invalid UTF-8":              "{\"query\":\"{hunter2\xff}\"}",
		"overlong UTF-8":             "{\"query\":\"{hunter2\xc0\xaf}\"}",
		"surrogate in UTF-8":         "{\"query\":\"{hunter2\xed\xa0\x80}\"}",
		"half a pair in JSON":        `{"query":"{__typename}","variables":{"a":"hunter2\ud800"}}`,
		"half a pair in a key":       `{"query":"{__typename}","variables":{"\udc00":"hunter2"}}`,
		"half a pair in the query":   `{"query":"{hunter2 \ud800}"}`,
		"arrays in arrays":           `{` + query + `,"variables":{"a":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}}`,
		"deep arrays, no end":        `{` + query + `,"variables":{"a":` + strings.Repeat("[", 60000),
		"objects in objects":         `{` + query + `,"variables":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + `}`,
		"deep and ignored":           `{` + query + `,"x":` + strings.Repeat(`[`, 30000) + strings.Repeat("]", 30000) + `}`,
		"a number without bound":     `{` + query + `,"variables":{"a":1e999999}}`,
		"an exponent without bound":  `{` + query + `,"variables":{"a":1e` + strings.Repeat("9", 60000) + `}}`,
		"a number of 60000 digits":   `{` + query + `,"variables":{"a":` + strings.Repeat("9", 60000) + `}}`,
		"variables in a text":        `{` + query + `,"variables":"{\"password\":\"hunter2\"}"}`,
		"a form":                     "query=%7B__typename%7D&password=hunter2",
		"a long text":                `"` + strings.Repeat(marker, 9000) + `"`,
		"a long number":              strings.Repeat("7", 60000),
		"escapes, none of them good": `{"query":"` + strings.Repeat(`\u0041`, 10000) + `\hunter2"}`,
	}
}

func badVariables() map[string]string {
	return map[string]string{
		"a thousand keys":    `{"email":"a","password":"b"` + repeat(3500, `,"hunter2%d":1`) + `}`,
		"a prototype":        `{"email":"a","password":"b","__proto__":{"role":"ADMIN"}}`,
		"a constructor":      `{"email":"a","password":"b","constructor":{"prototype":"hunter2"}}`,
		"a number as text":   `{"email":"a","password":1234567890123456789012345678901234567890}`,
		"a small number":     `{"email":"a","password":1e-999999}`,
		"a list as text":     `{"email":["hunter2"],"password":"b"}`,
		"an operator":        `{"email":{"$ne":null},"password":{"$gt":"hunter2"}}`,
		"deep to the limit":  `{"email":"a","password":` + strings.Repeat("[", 58) + strings.Repeat("]", 58) + `}`,
		"nothing":            `null`,
		"a wide list":        `[` + strings.Repeat("1,", 25000) + `1]`,
		"huge in wrong type": `{"email":"a","password":["` + strings.Repeat(marker, 8000) + `"]}`,
	}
}

func inJSON(query string) string {
	b, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}
