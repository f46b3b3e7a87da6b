package session_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

func TestDelivery(t *testing.T) {
	for _, c := range []struct {
		delivery session.Delivery
		word     string
	}{{session.DeliveryCookie, "COOKIE"}, {session.DeliveryBody, "BODY"}} {
		if got := c.delivery.String(); got != c.word {
			t.Errorf("String: got %q, want %q", got, c.word)
		}
		if got, err := session.ParseDelivery(c.word); err != nil || got != c.delivery {
			t.Errorf("ParseDelivery(%q): got %s and error %v, want %s", c.word, got, err, c.delivery)
		}
		var b bytes.Buffer
		c.delivery.MarshalGQL(&b)
		if got, want := b.String(), `"`+c.word+`"`; got != want {
			t.Errorf("MarshalGQL: got %s, want %s", got, want)
		}
		var got session.Delivery
		if err := got.UnmarshalGQL(c.word); err != nil || got != c.delivery {
			t.Errorf("UnmarshalGQL(%q): got %s and error %v, want %s", c.word, got, err, c.delivery)
		}
	}
	for _, v := range []any{"", "cookie", "BODY ", "Delivery(0)", 1, nil, true} {
		d := session.DeliveryBody
		if err := d.UnmarshalGQL(v); err == nil || d != session.DeliveryBody {
			t.Errorf("UnmarshalGQL(%v): got %s and error %v, want an error and nothing changed", v, d, err)
		}
	}
	if got := session.Delivery(0).String(); got != "Delivery(0)" {
		t.Errorf("String of no delivery: got %q, want Delivery(0)", got)
	}
}

func TestAttemptFromClient(t *testing.T) {
	for attempt, want := range map[session.Attempt]bool{"": false, "c": true, "cx": true, "s": false, "sc": false} {
		if got := attempt.FromClient(); got != want {
			t.Errorf("FromClient of %q: got %t, want %t", attempt, got, want)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	now := time.Now()
	s := session.State{
		Session: session.Session{
			ID: uuid.New(), UserID: uuid.New(), LastUsedAt: now, IPAddress: "192.0.2.1", UserAgent: "agent/1",
		},
		Generation: 4, TurnedAt: now.Add(-time.Minute), Attempt: "cx", Held: true,
	}
	want := session.Checkpoint{
		SessionID: s.ID, UserID: s.UserID, Generation: 4, TurnedAt: s.TurnedAt, Attempt: "cx", Held: true,
		LastUsedAt: now, IPAddress: "192.0.2.1", UserAgent: "agent/1",
	}
	if got := s.Checkpoint(); got != want {
		t.Errorf("Checkpoint: got %+v, want %+v", got, want)
	}
}
