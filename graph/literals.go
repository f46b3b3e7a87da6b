package graph

import (
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
)

// checkLiterals refuses half a surrogate pair in a string literal (GraphQL,
// section 2.9.4). The parser would put U+FFFD in its place: into a password, say,
// which then is one that nobody chose. The text must have been parsed.
func checkLiterals(query string) *gqlerror.Error {
	if !strings.Contains(query, `\u`) {
		return nil
	}
	source := []rune(query) // positions count runes
	for text := lexer.New(&ast.Source{Input: query}); ; {
		token, err := text.ReadToken()
		switch {
		case err != nil: // the parser would have said so
			return gqlerror.Errorf("Syntax error.")
		case token.Kind == lexer.EOF:
			return nil
		}
		if token.Kind == lexer.String && halfPair(string(source[token.Pos.Start:token.Pos.End])) {
			return gqlerror.ErrorLocf("", token.Pos.Line, token.Pos.Column, "Syntax error: a string has half a surrogate pair.")
		}
	}
}

// halfPair reports whether a string literal, with its quotes and its escapes,
// has an escaped surrogate without its other half right beside it.
func halfPair(literal string) bool {
	for {
		at := strings.IndexByte(literal, '\\')
		if at < 0 || at+1 == len(literal) {
			return false
		}
		unit, ok := codeUnit(literal[at:])
		switch {
		case !ok:
			literal = literal[at+2:]
			continue
		case 0xDC00 <= unit && unit < 0xE000:
			return true
		case 0xD800 <= unit && unit < 0xDC00:
			low, ok := codeUnit(literal[at+6:])
			if !ok || low < 0xDC00 || low >= 0xE000 {
				return true
			}
			at += 6
		}
		literal = literal[at+6:]
	}
}

// codeUnit reads \uXXXX at the beginning.
func codeUnit(s string) (uint64, bool) {
	if len(s) < 6 || s[:2] != `\u` {
		return 0, false
	}
	unit, err := strconv.ParseUint(s[2:6], 16, 16)
	return unit, err == nil
}
