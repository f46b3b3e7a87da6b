package secret_test

import (
	"bytes"
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
)

const content = "hunter2-hunter2-hunter2"

// spellings are the ways in which a dump may show the content.
func spellings() []string {
	return []string{
		content,
		fmt.Sprintf("%x", content), fmt.Sprintf("%X", content), fmt.Sprintf("% x", content),
		strings.Trim(fmt.Sprintf("%d", []byte(content)), "[]"),
	}
}

func refuse(t *testing.T, path, output string) {
	t.Helper()
	for _, spelling := range spellings() {
		if strings.Contains(output, spelling) {
			t.Errorf("%s: got %q, want nothing of the content in it", path, output)
			return
		}
	}
}

type exported struct {
	Password secret.Text
	Pointer  *secret.Text
	List     []secret.Text
	Map      map[string]secret.Text
}

type unexported struct {
	password secret.Text
	pointer  *secret.Text
	list     []secret.Text
	nested   struct{ inner [1]secret.Text }
	boxed    any
}

// holders are values that carry the content in every place a field can stand.
func holders() map[string]any {
	text := secret.New(content)
	hidden := unexported{password: text, pointer: &text, list: []secret.Text{text}, boxed: text}
	hidden.nested.inner[0] = text
	return map[string]any{
		"value":           text,
		"pointer":         &text,
		"slice":           []secret.Text{text},
		"map":             map[string]secret.Text{"k": text},
		"exported field":  exported{text, &text, []secret.Text{text}, map[string]secret.Text{"k": text}},
		"unexported":      hidden,
		"unexported, ptr": &hidden,
	}
}

func TestFormattingHidesTheContent(t *testing.T) {
	for name, holder := range holders() {
		for _, verb := range []string{
			"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%d", "%c", "%U", "%b", "%o", "%t", "%e", "%p", "%w", "%T", "%z", "%30s", "%.3s",
		} {
			refuse(t, name+" "+verb, fmt.Sprintf(verb, holder))
			refuse(t, name+" error "+verb, fmt.Errorf("x: "+verb, holder).Error())
		}
		refuse(t, name+" Sprint", fmt.Sprint(holder))
		refuse(t, name+" Sprintln", fmt.Sprintln(holder))
		for mistake, format := range map[string]string{"extra argument": "x", "bad width": "%*d", "bad index": "%[2]d"} {
			refuse(t, name+" "+mistake, fmt.Sprintf(format, holder))
		}
	}
}

func TestLoggingHidesTheContent(t *testing.T) {
	for name, holder := range holders() {
		for handler, open := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var out bytes.Buffer
			logger := slog.New(open(&out))
			logger.Info("x", "k", holder)
			logger.With("k", holder).Error("x", slog.Group("g", slog.Any("k", holder)))
			refuse(t, name+" slog "+handler, out.String())
		}
		var out bytes.Buffer
		log.New(&out, "", 0).Print("x", holder)
		refuse(t, name+" log", out.String())
	}
}

func TestEncodingHidesTheContent(t *testing.T) {
	for name, holder := range holders() {
		var out bytes.Buffer
		if data, err := json.Marshal(holder); err == nil {
			out.Write(data)
		} else {
			out.WriteString(err.Error())
		}
		if data, err := xml.Marshal(holder); err == nil {
			out.Write(data)
		} else {
			out.WriteString(err.Error())
		}
		if err := gob.NewEncoder(&out).Encode(holder); err != nil {
			out.WriteString(err.Error())
		}
		if err := template.Must(template.New("").Parse("{{.}} {{printf `%#v` .}} {{js .}} {{urlquery .}}")).Execute(&out, holder); err != nil {
			out.WriteString(err.Error())
		}
		refuse(t, name, out.String())
	}
	asKey, err := json.Marshal(map[string]any{"k": secret.New(content)})
	if want := `{"k":"[redacted]"}`; err != nil || string(asKey) != want {
		t.Errorf("json: got %s, %v, want %s", asKey, err, want)
	}
}

func TestPanicHidesTheContent(t *testing.T) {
	defer func() { refuse(t, "recovered panic", fmt.Sprint(recover())) }()
	panic(unexported{password: secret.New(content)})
}

func TestPlaceholder(t *testing.T) {
	text := secret.New(content)
	for path, got := range map[string]string{
		"String": text.String(),
		"%v":     fmt.Sprintf("%v", text),
		"join":   errors.Join(fmt.Errorf("%s", text)).Error(),
		"slog":   text.LogValue().String(),
	} {
		if got != "[redacted]" {
			t.Errorf("%s: got %q, want the placeholder", path, got)
		}
	}
}

func TestContent(t *testing.T) {
	for _, value := range []string{"", "a", content, "\x00", "ä\xff"} {
		text := secret.New(value)
		if got := text.Reveal(); got != value {
			t.Errorf("Reveal: got %q, want %q", got, value)
		}
		if got, want := text.Len(), len(value); got != want {
			t.Errorf("Len of %q: got %d, want %d", value, got, want)
		}
		if got, want := text.IsEmpty(), value == ""; got != want {
			t.Errorf("IsEmpty of %q: got %t, want %t", value, got, want)
		}
	}
	if zero := (secret.Text{}); !zero.IsEmpty() || zero.Reveal() != "" || !zero.Equal(secret.New("")) {
		t.Errorf("zero value: got %q, want the empty text", zero.Reveal())
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"", "a", false}, {"a", "aa", false},
	} {
		a, b := secret.New(c.a), secret.New(strings.Clone(c.b))
		if got := a.Equal(b); got != c.want {
			t.Errorf("Equal(%q, %q): got %t, want %t", c.a, c.b, got, c.want)
		}
		if got := reflect.DeepEqual(a, b); got != c.want {
			t.Errorf("DeepEqual(%q, %q): got %t, want %t", c.a, c.b, got, c.want)
		}
	}
	if reflect.TypeFor[secret.Text]().Comparable() {
		t.Error("== compiles on Text and would compare addresses; want it refused")
	}
}
