package memstore_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/memstore"
	"github.com/pawlauth/pawl/internal/session/sessiontest"
)

func open(_ *testing.T, now func() time.Time) session.Store { return memstore.New(now) }

func TestStore(t *testing.T) { sessiontest.Run(t, open) }

func TestProperty(t *testing.T) {
	for range 20 { // it costs next to nothing here
		sessiontest.Property(t, open, func(_ session.Store, now func() time.Time, _ uuid.UUID) session.Store {
			return memstore.New(now) // a restart
		})
	}
}
