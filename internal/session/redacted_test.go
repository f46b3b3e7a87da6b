package session_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

// verbs are every way in which package fmt shows something.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%c", "%U", "%b", "%o", "%t", "%e", "%p", "%w", "%T", "%z", "%30s", "%.3s",
}

// public holds secrets where everybody sees them, private where package fmt
// cannot call their methods.
type public struct {
	Secret  session.Secret
	Pointer *session.Secret
	List    []session.Secret
	Map     map[string]session.Secret
	Token   session.Token
	Tokens  []*session.Token
	Text    secret.Text
	Any     any
}

type private struct {
	secret  session.Secret
	pointer *session.Secret
	list    []session.Secret
	array   [1]session.Secret
	table   map[string]session.Secret
	token   session.Token
	tokens  []*session.Token
	text    secret.Text
	boxed   any
	ring    *session.Keyring
	inner   struct{ token session.Token }
}

func secretHolders(token session.Token, text secret.Text, ring *session.Keyring) map[string]any {
	s := token.Secret
	hidden := private{
		secret: s, pointer: &s, list: []session.Secret{s}, array: [1]session.Secret{s}, table: map[string]session.Secret{"a": s},
		token: token, tokens: []*session.Token{&token}, text: text, boxed: token, ring: ring,
	}
	hidden.inner.token = token
	shown := public{s, &s, []session.Secret{s}, map[string]session.Secret{"a": s}, token, []*session.Token{&token}, text, token}
	return map[string]any{
		"secret": s, "pointer": &s, "secrets": []session.Secret{s}, "token": token, "token pointer": &token,
		"public": shown, "private": hidden, "private pointer": &hidden, "privates": []private{hidden}, "map of privates": map[string]private{"a": hidden},
		"error": fmt.Errorf("wrapped: %w", holdingError{hidden}), "joined": errors.Join(holdingError{hidden}, errors.New("x")),
		"ring": ring, "ring by value": *ring,
	}
}

// holdingError is an error that carries what it should not, and shows its fields.
type holdingError struct{ private }

func (e holdingError) Error() string { return fmt.Sprintf("%+v %#v", e.private, e.private) }

// spellings are the ways in which a dump may show these bytes.
func spellings(raw []byte) []string {
	decimal := strings.Trim(fmt.Sprint(raw), "[]")
	return []string{
		string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), fmt.Sprintf("% x", raw), decimal, strings.ReplaceAll(decimal, " ", ","),
		strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", raw[:6]), "[]byte"), "{}"), strings.Trim(fmt.Sprintf("%q", raw), `"`),
		strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "=")[:12], base64.RawURLEncoding.EncodeToString(raw)[:12],
		strings.Trim(fmt.Sprintf("%b", raw), "[]"), strings.Trim(fmt.Sprintf("%o", raw), "[]"), strings.Trim(fmt.Sprintf("%U", raw), "[]"),
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	ring := newRing(t, key('k'))
	token := example(ring)
	text := secret.New(mint(t, ring, token))
	raw := token.Secret.Reveal()
	forbidden := append(spellings(raw[:]), spellings([]byte(text.Reveal()))...)
	forbidden = append(forbidden, spellings(key('k').Material)...)
	for _, use := range []string{"pawl refresh token v1", "pawl attempt id v1"} {
		derived, err := hkdf.Key(sha256.New, key('k').Material, nil, use, sha256.Size)
		if err != nil {
			t.Fatal(err)
		}
		forbidden = append(forbidden, spellings(derived)...)
	}
	refuse := func(what, shown string) {
		t.Helper()
		for _, f := range forbidden {
			if strings.Contains(shown, f) {
				t.Errorf("%s: got %q in %q, want it redacted", what, f, shown)
				return
			}
		}
	}
	for name, value := range secretHolders(token, text, ring) {
		for _, verb := range verbs {
			refuse(name+" "+verb, fmt.Sprintf(verb, value))
		}
		refuse(name+" Sprintln", fmt.Sprintln(value, fmt.Errorf("x: %v", value)))
		for mistake, format := range map[string]string{"surplus argument": "x", "bad width": "%*d", "bad index": "%[2]d"} {
			refuse(name+" "+mistake, fmt.Sprintf(format, value))
		}
		refuse(name+" encoded", encodings(value))
		refuse(name+" logged", logged(value))
		refuse(name+" panic", panicked(value))
	}
}

// What is looked for would be found.
func TestTheTestSeesLeaks(t *testing.T) {
	raw := []byte("0123456789abcdef")
	leak := struct{ inner [16]byte }{[16]byte(raw)}
	for _, verb := range []string{"%v", "%+v", "%x", "%d"} {
		shown, seen := fmt.Sprintf(verb, leak), false
		for _, f := range spellings(raw) {
			seen = seen || strings.Contains(shown, f)
		}
		if !seen {
			t.Errorf("%s of plain bytes: %q is not found to show them", verb, shown)
		}
	}
}

func encodings(value any) string {
	var out bytes.Buffer
	for _, encode := range []func() ([]byte, error){
		func() ([]byte, error) { return json.Marshal(value) },
		func() ([]byte, error) { return xml.Marshal(value) },
		func() ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(value)
			return b.Bytes(), err
		},
		func() ([]byte, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse("{{.}} {{printf `%#v` .}} {{js .}}")).Execute(&b, value)
			return b.Bytes(), err
		},
	} {
		data, err := encode()
		fmt.Fprintln(&out, string(data), err)
	}
	return out.String()
}

func logged(value any) string {
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		logger := slog.New(h)
		logger.Info("x", "k", value)
		logger.With("k", value).Error("x", slog.Group("g", slog.Any("k", []any{value})))
	}
	log.New(&out, "", 0).Print(value)
	return out.String()
}

func panicked(value any) (shown string) {
	defer func() { shown = fmt.Sprint(recover()) }()
	panic(value)
}

func TestSecretsAreNotComparedByAddress(t *testing.T) {
	if reflect.TypeFor[session.Secret]().Comparable() {
		t.Error("== compiles on Secret and would compare addresses; want it refused")
	}
	if zero := (session.Secret{}); zero.Reveal() != [16]byte{} || zero.Hash() != (session.Secret{}).Hash() {
		t.Error("the zero Secret is not 16 zero bytes")
	}
	if s := session.NewSecret(); s.Reveal() == [16]byte{} || s.Hash() == session.NewSecret().Hash() {
		t.Error("NewSecret drew nothing, or the same twice")
	}
}

// A key's bytes are there for who derives from them; the key does not show them
// where its methods are asked.
func TestKeysAreNotPrinted(t *testing.T) {
	k := key('k')
	for name, value := range map[string]any{"key": k, "pointer": &k, "keys": []session.Key{k}, "in a struct": struct{ Key session.Key }{k}} {
		shown := ""
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown += fmt.Sprintf(verb, value)
		}
		encoded, err := json.Marshal(value)
		if shown += string(encoded) + logged(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range spellings(k.Material) {
			if strings.Contains(shown, f) {
				t.Errorf("%s: got %q in %q, want it redacted", name, f, shown)
			}
		}
	}
}
