package main

import (
	"encoding/json"
	"text/tabwriter"
	"time"
)

// jsonFlag is for commands that print a table.
type jsonFlag struct {
	JSON bool `name:"json" env:"PAWL_JSON" help:"Print JSON instead of a table."`
}

// print writes rows as JSON, or the table that draw makes of them.
func (f jsonFlag) print(io streams, rows any, draw func(*tabwriter.Writer)) error {
	if f.JSON {
		encoder := json.NewEncoder(io.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(rows)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	draw(w)
	return w.Flush()
}

// when is a time for people: UTC, to the second.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
