package audit_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
)

// TestNames: Names has every constant once, and each is a dotted word.
func TestNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "name.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []audit.Name
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Type != nil && spec.Type.(*ast.Ident).Name == "Name" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, audit.Name(text))
		}
		return true
	})
	got := audit.Names()
	slices.Sort(got)
	slices.Sort(want)
	if len(want) < 30 || !slices.Equal(got, want) {
		t.Errorf("Names: got %q, want the constants %q", got, want)
	}
	if unique := slices.Compact(slices.Clone(got)); len(unique) != len(got) {
		t.Errorf("Names: got a name twice in %q", got)
	}
	for _, name := range got {
		if !regexp.MustCompile(`^[a-z]+\.[a-z]+(_[a-z]+)*$`).MatchString(string(name)) {
			t.Errorf("got the name %q, want noun.verb", name)
		}
	}
	for name, want := range map[audit.Name]audit.Severity{
		audit.LoginSucceeded: audit.Info, audit.LoginFailed: audit.Info, audit.LoginThrottled: audit.Warning,
		audit.SessionReuseDetected: audit.Critical, audit.SessionTokenForged: audit.Critical, audit.AccessFailOpen: audit.Critical, audit.ConfigRefused: audit.Critical,
		audit.StoreUnavailable: audit.Warning, audit.ServerStarted: audit.Info,
	} {
		if got := name.Severity(); got != want {
			t.Errorf("%s: got severity %s, want %s", name, got, want)
		}
	}
}

// TestLogLine: an event is one line with the attributes that it has.
func TestLogLine(t *testing.T) {
	userID, sessionID := uuid.New(), uuid.New()
	log, _, out := open(t, nil, 0)
	log.Record(audit.Event{Name: audit.ServerReady})
	log.Record(audit.Event{
		Name: audit.SessionReuseDetected, At: start.Add(time.Second), UserID: userID, SessionID: sessionID,
		Address: "203.0.113.9", UserAgent: "thief/1",
		Earlier: audit.Presenter{At: start.Add(-time.Minute), Address: "2001:db8::1", UserAgent: "owner/1"},
		Details: map[string]string{"generation": "7"},
	})
	want := map[string]any{"time": "2026-03-01T12:00:00.123Z", "level": "INFO", "msg": "server.ready", "severity": "info"}
	if got := out.named(t, "server.ready"); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %v, want %v alone", got, want)
	}
	want = map[string]any{
		"time": "2026-03-01T12:00:01.123Z", "level": "ERROR", "msg": "session.reuse_detected", "severity": "critical",
		"user": userID.String(), "session": sessionID.String(), "address": "203.0.113.9", "user_agent": "thief/1",
		"earlier_at": "2026-03-01T11:59:00.123Z", "earlier_address": "2001:db8::1", "earlier_user_agent": "owner/1",
		"details": map[string]any{"generation": "7"},
	}
	if got := out.named(t, "session.reuse_detected"); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %v, want %v alone", got, want)
	}
	if err := log.Flush(t.Context()); err != nil || log.Waiting() != 0 || log.Dropped() != 0 {
		t.Errorf("without database: got %v, %d waiting, %d dropped, want nothing", err, log.Waiting(), log.Dropped())
	}
}

// TestBounded: whatever a client sent is one line, valid and small.
func TestBounded(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"},
		{"new line", "a\nlevel=ERROR\r\nb", "a\uFFFDlevel=ERROR\uFFFD\uFFFDb"},
		{"NUL and escape", "a\x00b\x1b[31mc\x7f", "a\uFFFDb\uFFFD[31mc\uFFFD"},
		{"line separator, right to left", "a\u2028b\u202ec\u0085", "a\uFFFDb\uFFFDc\uFFFD"},
		{"bad UTF-8", "a\xffb\xc3(", "a\uFFFDb\uFFFD("},
		{"other scripts", "Überwachung 東京 🚀", "Überwachung 東京 🚀"},
		{"long", strings.Repeat("x", 600), strings.Repeat("x", 512)},
		{"cut between runes", strings.Repeat("x", 511) + "é", strings.Repeat("x", 511)},
		{"grows", strings.Repeat("\x01", 600), strings.Repeat("\uFFFD", 170)},
	} {
		log, _, out := open(t, nil, 0)
		log.Record(audit.Event{Name: audit.LoginFailed, UserAgent: c.text, Address: c.text, Earlier: audit.Presenter{Address: c.text, UserAgent: c.text},
			Details: map[string]string{"reason": c.text}})
		line := out.named(t, "login.failed")[0]
		details, _ := line["details"].(map[string]any)
		for what, got := range map[string]any{
			"user agent": line["user_agent"], "address": line["address"], "detail": details["reason"],
			"earlier address": line["earlier_address"], "earlier user agent": line["earlier_user_agent"],
		} {
			if got != c.want {
				t.Errorf("%s, %s: got %q, want %q", c.name, what, got, c.want)
			}
		}
	}
}

// TestManyDetails: neither many details nor long names of details get through.
func TestManyDetails(t *testing.T) {
	details := map[string]string{"a" + strings.Repeat("k", 100): "long"}
	for i := range 40 {
		details["key"+strconv.Itoa(i)] = "v"
	}
	log, _, out := open(t, nil, 0)
	log.Record(audit.Event{Name: audit.UserDisabled, Details: details})
	got, _ := out.named(t, "user.disabled")[0]["details"].(map[string]any)
	if len(got) != 16 || got["a"+strings.Repeat("k", 63)] != "long" {
		t.Errorf("got %d details %v, want 16 with names of at most 64 bytes", len(got), got)
	}
}

// FuzzText: no text makes a second line, or one that is not valid, whatever the
// format of the log.
func FuzzText(f *testing.F) {
	f.Add("a\nb", "k\x00")
	f.Add("\xff\xfe\u2028", strings.Repeat("é", 600))
	f.Fuzz(func(t *testing.T, text, key string) {
		var out bytes.Buffer
		log := audit.New(audit.Config{Log: slog.New(slog.NewTextHandler(&out, nil)), Now: newClock().now})
		log.Record(audit.Event{Name: audit.LoginFailed, UserAgent: text, Details: map[string]string{key: text}})
		line := out.String()
		bad := func(r rune) bool { return !unicode.IsGraphic(r) }
		if !utf8.ValidString(line) || strings.Count(line, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), bad) {
			t.Errorf("%q, %q: got %q, want one line of graphic characters", text, key, line)
		}
	})
}
