// Package logtest owns the loggers that tests hand to what they test, so that
// everything logged in a test process is searched for secrets as well. It knows
// nothing of who logs.
package logtest

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// dir is the variable with the folder that scripts/no-secrets reads.
const dir = "PAWL_TEST_LOG_DIR"

// New is a logger that lasts as long as the test. Lines of every level, debug
// too, go to the handlers that are given, and with the test's name into a file
// in the folder PAWL_TEST_LOG_DIR where that is set: one file per test binary,
// as JSON.
func New(tb testing.TB, own ...slog.Handler) *slog.Logger {
	tb.Helper()
	folder := os.Getenv(dir)
	if folder == "" {
		return slog.New(slog.NewMultiHandler(own...))
	}
	name := filepath.Join(folder, filepath.Base(os.Args[0])+".log")
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the folder is the caller's choice
	if err != nil {
		tb.Fatalf("%s: %v", dir, err)
	}
	tb.Cleanup(func() { _ = file.Close() })
	kept := slog.NewJSONHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug})
	return slog.New(slog.NewMultiHandler(append(own, kept.WithAttrs([]slog.Attr{slog.String("test", tb.Name())}))...))
}
