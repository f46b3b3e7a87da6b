package graph

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// mediaType is a form in which an answer is written (GraphQL over HTTP, section 4).
type mediaType uint8

const (
	mediaNone    mediaType = iota // nothing that the client accepts
	mediaJSON                     // application/json
	mediaGraphQL                  // application/graphql-response+json
)

const (
	nameJSON    = "application/json"
	nameGraphQL = "application/graphql-response+json"
)

// contentType is the header's value. A client that accepts nothing is told so
// in JSON.
func (m mediaType) contentType() string {
	if m == mediaGraphQL {
		return nameGraphQL + "; charset=utf-8"
	}
	return nameJSON + "; charset=utf-8"
}

// negotiate chooses by Accept (RFC 9110, section 12.5.1): the higher quality
// wins, and between equals application/graphql-response+json where it is named.
// No header, and wildcards alone, mean application/json.
func negotiate(accept []string) mediaType {
	switch {
	case len(accept) == 0:
		return mediaJSON
	case len(accept) == 1: // what nearly everybody sends
		switch accept[0] {
		case "", "*/*", nameJSON:
			return mediaJSON
		case nameGraphQL:
			return mediaGraphQL
		}
	}
	json, graphql := preference{}, preference{}
	for _, header := range accept {
		for _, part := range splitQuoted(header) {
			name, quality, ok := parseRange(part)
			if !ok {
				continue
			}
			json.weigh(name, nameJSON, quality)
			graphql.weigh(name, nameGraphQL, quality)
		}
	}
	switch {
	case graphql.quality > json.quality, graphql.quality > 0 && graphql.quality == json.quality && graphql.rank == rankNamed:
		return mediaGraphQL
	case json.quality > 0:
		return mediaJSON
	}
	return mediaNone
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

// acceptsBody reports whether the request's body is what this server reads:
// application/json, in UTF-8, and not encoded.
func acceptsBody(header http.Header) bool {
	for _, encodings := range header["Content-Encoding"] {
		for encoding := range strings.SplitSeq(encodings, ",") {
			if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
				return false
			}
		}
	}
	types := header["Content-Type"]
	if len(types) != 1 {
		return false
	}
	if types[0] == nameJSON {
		return true
	}
	name, params, err := mime.ParseMediaType(types[0])
	if err != nil || name != nameJSON {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
