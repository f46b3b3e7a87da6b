package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/user"
)

type sessionListCmd struct {
	databaseFlag `embed:""`
	emailArg     `embed:""`
	jsonFlag     `embed:""`
}

// sessionRow is one line of the list, as the ledger knows it: last use may be
// a minute old, and which session was idle for too long only servers know.
type sessionRow struct {
	ID         string    `json:"id"`
	CreatedAt  time.Time `json:"createdAt"`
	LastUsedAt time.Time `json:"lastUsedAt"`
	ExpiresAt  time.Time `json:"expiresAt"`
	Delivery   string    `json:"delivery"`
	DeviceName string    `json:"deviceName"`
	IPAddress  string    `json:"ipAddress"`
	UserAgent  string    `json:"userAgent"`
}

// Run lists a user's sessions that have not ended.
func (c *sessionListCmd) Run(io streams) error {
	return storeFlags{DatabaseURL: c.DatabaseURL}.operate(io, func(ctx context.Context, op *operator) error {
		u, err := op.byEmail(ctx, c.Email)
		if err != nil {
			return err
		}
		entries, err := op.Ledger.ListByUser(ctx, u.ID)
		if err != nil {
			return databaseError(err)
		}
		rows := make([]sessionRow, len(entries))
		for i, e := range entries {
			s := e.State.Session
			rows[i] = sessionRow{s.ID.String(), s.CreatedAt.UTC(), s.LastUsedAt.UTC(), s.ExpiresAt.UTC(), s.Delivery.String(), s.DeviceName, s.IPAddress, s.UserAgent}
		}
		return c.print(io, rows, func(w *tabwriter.Writer) {
			_, _ = fmt.Fprintln(w, "ID\tCREATED\tLAST USED\tEXPIRES\tDELIVERY\tADDRESS\tDEVICE\tUSER AGENT")
			for _, r := range rows {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, when(r.CreatedAt), when(r.LastUsedAt), when(r.ExpiresAt),
					r.Delivery, r.IPAddress, shown(r.DeviceName), shown(r.UserAgent))
			}
		})
	})
}

// shown is a client's text without what could act on a terminal or mislead a reader.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, text)
}

type sessionRevokeCmd struct {
	storeFlags `embed:""`
	SessionID  string `arg:"" optional:"" help:"The session to end."`
	User       string `env:"PAWL_USER" placeholder:"EMAIL" help:"End all sessions of this user instead."`
}

// Run ends one session, or all of a user's.
func (c *sessionRevokeCmd) Run(io streams) error {
	if (c.SessionID == "") == (c.User == "") {
		return usageError{errors.New("give either a session id or --user EMAIL")}
	}
	if c.User != "" {
		return c.change(io, c.User, "revoked", func(ctx context.Context, op *operator, u user.User) (auth.Effect, error) {
			effect, err := op.RevokeAll(ctx, u.ID)
			return effect, databaseError(err)
		})
	}
	id, err := uuid.Parse(c.SessionID)
	if err != nil {
		return usageError{errors.New("this is not a session id; pawl session list EMAIL shows them")}
	}
	return c.operate(io, func(ctx context.Context, op *operator) error {
		effect, err := op.RevokeSession(ctx, id)
		if errors.Is(err, ledger.ErrNotFound) || err == nil && len(effect.Ended) == 0 {
			return errors.New("there is no live session with this id")
		}
		if err == nil {
			op.say("revoked", effect)
		}
		return databaseError(err)
	})
}
