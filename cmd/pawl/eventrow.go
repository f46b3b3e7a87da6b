package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
)

// eventRow is an event as it is printed. Ids and texts that it does not have
// are empty.
type eventRow struct {
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Severity  string            `json:"severity"`
	Name      string            `json:"name"`
	UserID    string            `json:"userId"`
	SessionID string            `json:"sessionId"`
	Address   string            `json:"address"`
	UserAgent string            `json:"userAgent"`
	Earlier   *presenterRow     `json:"earlier"`
	Details   map[string]string `json:"details"`
}

// presenterRow is who came before, where an event is about two.
type presenterRow struct {
	At        *time.Time `json:"at"`
	Address   string     `json:"address"`
	UserAgent string     `json:"userAgent"`
}

func newEventRow(e audit.Entry) eventRow {
	r := eventRow{
		ID: e.ID.String(), At: e.At, Severity: string(e.Severity), Name: string(e.Name),
		UserID: idText(e.UserID), SessionID: idText(e.SessionID),
		Address: e.Address, UserAgent: e.UserAgent, Details: e.Details,
	}
	if p := e.Earlier; p != (audit.Presenter{}) {
		r.Earlier = &presenterRow{Address: p.Address, UserAgent: p.UserAgent}
		if !p.At.IsZero() {
			r.Earlier.At = &p.At
		}
	}
	return r
}

func eventColumns() []string {
	return []string{"TIME", "SEVERITY", "EVENT", "USER", "SESSION", "ADDRESS", "DETAILS"}
}

// cells are the event's line of a table, one for each of eventColumns.
func (r eventRow) cells() []string {
	var details []string
	add := func(key, value string) {
		if value == "" {
			return
		}
		if value = shown(value); strings.ContainsAny(value, ` "=`) {
			value = strconv.Quote(value)
		}
		details = append(details, shown(key)+"="+value)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Details)) {
		add(key, r.Details[key])
	}
	add("user_agent", r.UserAgent)
	if p := r.Earlier; p != nil {
		if p.At != nil {
			add("earlier_at", p.At.Format(time.RFC3339Nano))
		}
		add("earlier_address", p.Address)
		add("earlier_user_agent", p.UserAgent)
	}
	cells := []string{when(r.At), r.Severity, shown(r.Name), r.UserID, r.SessionID, shown(r.Address), strings.Join(details, " ")}
	for i := range cells {
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	return cells
}

// idText is an id as text, empty for none.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
