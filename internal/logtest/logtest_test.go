package logtest_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/logtest"
)

// TestNew: a line at debug level is in the folder with the test's name, also
// where the test's own handler does not take that level, and that handler gets
// what it asks for.
func TestNew(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PAWL_TEST_LOG_DIR", dir)
	var own bytes.Buffer
	for n := range 2 {
		log := logtest.New(t, slog.NewTextHandler(&own, nil))
		log.Debug("quiet", "n", n)
		log.With("a", "b").Info("loud", "n", n)
	}
	if got, want := own.String(), "level=INFO msg="; strings.Count(got, want) != 2 || strings.Contains(got, "DEBUG") {
		t.Errorf("own handler: got %s, want two lines with %s", got, want)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got files %q (%v), want one", names, err)
	}
	text, err := os.ReadFile(names[0])
	for _, want := range []string{
		`"level":"DEBUG","msg":"quiet","test":"TestNew","n":0`, `"level":"DEBUG","msg":"quiet","test":"TestNew","n":1`, `"msg":"loud","test":"TestNew","a":"b","n":1`,
	} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("got %s (%v), want it with %s", text, err, want)
		}
	}
}

// TestWithoutFolder: a logger with nobody to write to takes no level at all.
func TestWithoutFolder(t *testing.T) {
	t.Setenv("PAWL_TEST_LOG_DIR", "")
	if log := logtest.New(t); log.Enabled(t.Context(), slog.LevelError) {
		t.Error("got a logger that writes, want one that does not")
	}
}
