package main

import (
	"errors"
	"io"
	"time"

	"github.com/pawlauth/pawl/internal/audit"
)

// tellRefused tells whoever collects the log that a setting stopped the start,
// and which. A log of text has people for readers, and they get the line that
// the program ends with. There is no database for the event: it may be what the
// setting is about.
func (f *serverFlags) tellRefused(w io.Writer, err error) {
	refused := (*settingError)(nil)
	if f.LogFormat == "text" || !errors.As(err, &refused) {
		return
	}
	events := audit.New(audit.Config{Log: newLog(w, settings{}), Now: time.Now})
	events.Record(audit.Event{Name: audit.ConfigRefused, Details: map[string]string{"setting": refused.setting}})
}
