// Package mediatype owns the choice of the form in which a GraphQL answer is
// written (GraphQL over HTTP, section 4). It knows Accept headers, and refuses
// to know requests and answers.
package mediatype

import (
	"mime"
	"strconv"
	"strings"
)

// Type is a form of an answer.
type Type uint8

// The forms.
const (
	None    Type = iota // nothing that the client accepts
	JSON                // application/json
	GraphQL             // application/graphql-response+json
)

// The names of the forms, without parameters.
const (
	NameJSON    = "application/json"
	NameGraphQL = "application/graphql-response+json"
)

// Header is the value of Content-Type. A client that accepts nothing is told so
// in JSON.
func (t Type) Header() string {
	if t == GraphQL {
		return NameGraphQL + "; charset=utf-8"
	}
	return NameJSON + "; charset=utf-8"
}

// Negotiate chooses by the Accept headers (RFC 9110, section 12.5.1): the higher
// quality wins, and between equals application/graphql-response+json where it is
// named. No header, and wildcards alone, mean application/json.
func Negotiate(accept []string) Type {
	switch {
	case len(accept) == 0:
		return JSON
	case len(accept) == 1: // what nearly everybody sends
		switch accept[0] {
		case "", "*/*", NameJSON:
			return JSON
		case NameGraphQL:
			return GraphQL
		}
	}
	json, graphql := preference{}, preference{}
	for _, header := range accept {
		for _, part := range splitQuoted(header) {
			name, quality, ok := parseRange(part)
			if !ok {
				continue
			}
			json.weigh(name, NameJSON, quality)
			graphql.weigh(name, NameGraphQL, quality)
		}
	}
	switch {
	case graphql.quality > json.quality, graphql.quality > 0 && graphql.quality == json.quality && graphql.rank == rankNamed:
		return GraphQL
	case json.quality > 0:
		return JSON
	}
	return None
}

// How closely a range names a type; the closest one decides.
const (
	rankAny = iota + 1
	rankApplication
	rankNamed
)

type preference struct {
	rank    int
	quality float64
}

func (p *preference) weigh(name, mine string, quality float64) {
	rank := 0
	switch name {
	case "*/*":
		rank = rankAny
	case "application/*":
		rank = rankApplication
	case mine:
		rank = rankNamed
	}
	if rank > p.rank || rank > 0 && rank == p.rank && quality > p.quality {
		p.rank, p.quality = rank, quality
	}
}

// parseRange reads one media range. Parameters other than q are not looked at,
// except a charset that this server does not write.
func parseRange(part string) (name string, quality float64, ok bool) {
	name, params, err := mime.ParseMediaType(part)
	if err != nil {
		return "", 0, false
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return "", 0, false
	}
	q, given := params["q"]
	if !given {
		return name, 1, true
	}
	quality, err = strconv.ParseFloat(q, 64)
	if err != nil || !(quality >= 0 && quality <= 1) {
		return "", 0, false
	}
	return name, quality, true
}

// splitQuoted splits at commas outside of quoted strings.
func splitQuoted(s string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}
