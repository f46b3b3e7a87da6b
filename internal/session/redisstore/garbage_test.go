package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
)

// unreadable are fields that are neither a live session nor a tombstone; field
// is the field of a session.
func unreadable(field string) map[string]string {
	change := func(at int, value string) string {
		values := strings.Split(field, "\x1f")
		values[at] = value
		return strings.Join(values, "\x1f")
	}
	return map[string]string{
		"empty":                       "",
		"garbage":                     "garbage \x00\xff",
		"only L":                      "L",
		"only T":                      "T",
		"a tombstone cut short":       "T\x1fx",
		"a tombstone without reason":  "T\x1f\x1f1\x1f2",
		"a tombstone without times":   "T\x1flogout\x1f\x1f",
		"a tombstone of no time":      "T\x1flogout\x1f1\x1f" + strings.Repeat("9", 400),
		"a tombstone with more":       "T\x1flogout\x1f1\x1f2\x1f3",
		"a live field cut short":      field[:len(field)/2],
		"a live field with more":      field + "\x1fmore",
		"no generation":               change(1, ""),
		"a negative generation":       change(1, "-1"),
		"a generation beyond numbers": change(1, strings.Repeat("9", 30)),
		"a time that is a word":       change(2, "now"),
		"held is neither":             change(4, "2"),
		"no absolute expiry":          change(10, ""),
		"a short hash":                change(11, "abc"),
		"a hash of other letters":     change(11, strings.Repeat("*", 43)),
		"created in no time":          change(13, strings.Repeat("9", 30)),
		"an unknown delivery":         change(14, "PIGEON"),
	}
}

// A field that cannot be read counts as lost: never as an error, never as an
// end, and every operation that writes mends it.
func TestUnreadableFieldIsLost(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		sample := login(uuid.New(), time.Now(), session.NewSecret())
		create(t, store, sample)
		field, err := client.HGet(t.Context(), hash(sample), sample.ID.String()).Result()
		if err != nil {
			t.Fatal(err)
		}
		for name, field := range unreadable(field) {
			t.Run(name, func(t *testing.T) { lostField(t, client, store, field) })
		}
	})
}

func lostField(t *testing.T, client redis.UniversalClient, store session.Store, field string) {
	spoil := func(id string) session.State {
		s := login(uuid.New(), time.Now(), session.NewSecret())
		if id == "" {
			id = s.ID.String()
		}
		if err := client.HSet(t.Context(), hash(s), id, field).Err(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := spoil("")
	expect(t, store, presented(s, 1, "s1"), session.Missing)
	if _, err := store.Find(t.Context(), s.UserID, s.ID); !errors.Is(err, session.ErrMissing) {
		t.Errorf("Find: got %v, want ErrMissing", err)
	}
	if states, err := store.List(t.Context(), s.UserID); err != nil || len(states) != 0 {
		t.Errorf("List: got %v and error %v, want nothing", states, err)
	}
	if after, err := store.Restore(t.Context(), s, 3, policy); err != nil || after.Generation != 3 {
		t.Errorf("Restore: got generation %d and error %v, want 3", after.Generation, err)
	}
	expect(t, store, presented(s, 3, "s1"), session.Unchanged)

	s = spoil("")
	create(t, store, s)
	expect(t, store, presented(s, 1, "s1"), session.Rotated)

	s = spoil("")
	end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout}
	if err := store.Revoke(t.Context(), s.UserID, []session.End{end}); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	expect(t, store, presented(s, 1, "s1"), session.Tombstone)

	other := uuid.NewString() // the field of another session of the user
	s = spoil(other)
	create(t, store, s)
	if there, err := client.HExists(t.Context(), hash(s), other).Result(); err != nil || there {
		t.Errorf("after a login: got the unreadable field still there (%v), want it dropped", err)
	}
}

// A field whose name is no session id is nobody's, whatever it says.
func TestForeignFieldNames(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		first := login(uuid.New(), time.Now(), session.NewSecret())
		create(t, store, first)
		field, err := client.HGet(t.Context(), hash(first), first.ID.String()).Result()
		if err != nil {
			t.Fatal(err)
		}
		evicted := "T\x1fevicted\x1f" + strings.Split(field, "\x1f")[6] + "\x1f" + strings.Split(field, "\x1f")[10]
		foreign := func() {
			t.Helper()
			for _, name := range []string{"", "foreign", strings.Repeat("-", 36), first.ID.String() + "0"} {
				for suffix, value := range map[string]string{"a": field, "b": evicted} {
					if err := client.HSet(t.Context(), hash(first), name+suffix, value).Err(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		foreign()
		if states, err := store.List(t.Context(), first.UserID); err != nil || len(states) != 1 {
			t.Errorf("List: got %d sessions and error %v, want 1", len(states), err)
		}
		expect(t, store, presented(first, 1, "s1"), session.Rotated)
		if ends, err := store.Create(t.Context(), first, 2); err != nil || len(ends) != 0 {
			t.Errorf("Create repeated: got %v evicted and error %v, want neither", ends, err)
		}
		second := login(first.UserID, time.Now(), session.NewSecret())
		if ends, err := store.Create(t.Context(), second, 2); err != nil || len(ends) != 0 {
			t.Errorf("Create: got %v evicted and error %v, want neither", ends, err)
		}
		if n, err := client.HLen(t.Context(), hash(first)).Result(); err != nil || n != 2 {
			t.Errorf("fields after a login: got %d (%v), want the two sessions", n, err)
		}
	})
}

// A key that is something else is a fault, not a loss: nothing of it is judged,
// and nothing is written over.
func TestForeignKey(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		s := login(uuid.New(), time.Now(), session.NewSecret())
		if err := client.Set(t.Context(), hash(s), "foreign", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout}
		_, createErr := store.Create(t.Context(), s, policy.Cap)
		verdict, rotateErr := store.Rotate(t.Context(), presented(s, 1, "s1"), policy)
		_, restoreErr := store.Restore(t.Context(), s, 1, policy)
		_, findErr := store.Find(t.Context(), s.UserID, s.ID)
		_, listErr := store.List(t.Context(), s.UserID)
		for name, err := range map[string]error{
			"Create": createErr, "Rotate": rotateErr, "Restore": restoreErr, "Find": findErr, "List": listErr,
			"Revoke": store.Revoke(t.Context(), s.UserID, []session.End{end}),
		} {
			if err == nil || errors.Is(err, session.ErrMissing) || errors.Is(err, session.ErrEnded) {
				t.Errorf("%s: got error %v, want one that says nothing of the session", name, err)
			}
		}
		if verdict != (session.Verdict{}) {
			t.Errorf("Rotate: got %+v, want no verdict", verdict)
		}
		if value, err := client.Get(t.Context(), hash(s)).Result(); err != nil || value != "foreign" {
			t.Errorf("the key: got %q (%v), want it untouched", value, err)
		}
	})
}
