package sessiontest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// wantState fails the test unless two states say the same.
func wantState(t *testing.T, what string, got, want session.State) {
	t.Helper()
	if d := difference(got, want); d != "" {
		t.Errorf("%s:\n%s", what, d)
	}
}

// difference names the fields in which two states differ, one a line. Times
// are equal when they are the same moment.
func difference(got, want session.State) string {
	var b strings.Builder
	field := func(name string, got, want any) {
		if got != want {
			fmt.Fprintf(&b, "  %s: got %v, want %v\n", name, got, want)
		}
	}
	moment := func(name string, got, want time.Time) {
		if !got.Equal(want) {
			fmt.Fprintf(&b, "  %s: got %s, want %s (%s)\n", name, spell(got), spell(want), got.Sub(want))
		}
	}
	field("ID", got.ID, want.ID)
	field("UserID", got.UserID, want.UserID)
	field("Delivery", got.Delivery, want.Delivery)
	moment("CreatedAt", got.CreatedAt, want.CreatedAt)
	moment("LastUsedAt", got.LastUsedAt, want.LastUsedAt)
	moment("IdleExpiresAt", got.IdleExpiresAt, want.IdleExpiresAt)
	moment("ExpiresAt", got.ExpiresAt, want.ExpiresAt)
	field("DeviceName", got.DeviceName, want.DeviceName)
	field("UserAgent", got.UserAgent, want.UserAgent)
	field("IPAddress", got.IPAddress, want.IPAddress)
	field("Role", got.Role, want.Role)
	field("Binding", got.Binding, want.Binding)
	field("SecretHash", got.SecretHash, want.SecretHash)
	field("Generation", got.Generation, want.Generation)
	moment("TurnedAt", got.TurnedAt, want.TurnedAt)
	field("Attempt", got.Attempt, want.Attempt)
	field("Held", got.Held, want.Held)
	moment("RecoveredAt", got.RecoveredAt, want.RecoveredAt)
	field("Grace", got.Grace, want.Grace)
	field("Retry", got.Retry, want.Retry)
	field("FormerIPAddress", got.FormerIPAddress, want.FormerIPAddress)
	field("FormerUserAgent", got.FormerUserAgent, want.FormerUserAgent)
	moment("MovedAt", got.MovedAt, want.MovedAt)
	field("EarlierUses", got.EarlierUses, want.EarlierUses)
	field("RotatedBy", got.RotatedBy, want.RotatedBy)
	field("Followed", got.Followed, want.Followed)
	field("Follows", got.Follows, want.Follows)
	return b.String()
}

func spell(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("15:04:05.000")
}
