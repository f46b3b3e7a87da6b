package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestTheftIsTold: a token that came back leaves an event with both who had it.
// A failed login leaves nothing of what stood where emails belong.
func TestTheftIsTold(t *testing.T) {
	t.Parallel()
	p := newPlant(t, behindProxy())
	typed := "Kerfuffle-Password-8"
	demands(t, p.url, "InvalidCredentialsError", typed, "not the password", "BODY", from(1)...)
	demands(t, p.url, "InvalidCredentialsError", typed+"@example.com", "not the password", "BODY", from(2)...)
	login := demands(t, p.url, "LoginPayload", demoUser, strings.TrimSpace(demoPassword), "BODY", from(3, "User-Agent", "the owner's")...)
	stolen := login.text("login", "refreshToken")
	for _, presenter := range [][]string{from(4, "User-Agent", "the owner's"), from(5, "User-Agent", "the thief's")} {
		if a, err := query(p.url, refreshBody(stolen), presenter...); err != nil || len(a.Errors) > 0 && a.Errors[0].Extensions.Code != "REFRESH_TOKEN_REUSED" {
			t.Fatalf("refresh: got %s (%v)", a.body, err)
		}
	}
	want := event{
		Name: "session.reuse_detected", SessionID: login.text("login", "session.id"), Address: "198.18.0.5", UserAgent: "the thief's",
	}
	want.Earlier.Address, want.Earlier.UserAgent = "198.18.0.4", "the owner's"
	events := p.events("session.reuse_detected")
	for i := range events {
		if events[i].UserID == "" {
			t.Error("the event has no user")
		}
		events[i].UserID = ""
	}
	if !slices.Equal(events, []event{want}) {
		t.Errorf("got events %+v, want one %+v", events, want)
	}
	if failed := p.events("login.failed"); len(failed) != 2 {
		t.Errorf("got events %+v, want two failed logins", failed)
	}
	p.server.stop()
	tables, err := dumpTables(t.Context(), p.database)
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range map[string]string{"the database": tables, "Redis": dumpKeys(t, p.hot), "the log": p.server.all.String()} {
		if strings.Contains(strings.ToLower(text), "kerfuffle") {
			t.Errorf("%s holds what was typed where an email belongs", place)
		}
	}
	if !strings.Contains(p.server.all.String(), `"session.reuse_detected"`) || !strings.Contains(p.server.all.String(), `"login refused"`) {
		t.Errorf("the log does not tell of the theft or of the failed login:\n%s", p.server.all)
	}
}

// dumpKeys is everything in a Redis as text, whatever its type.
func dumpKeys(t *testing.T, client *redis.Client) string {
	t.Helper()
	var dump strings.Builder
	ctx := t.Context()
	for _, key := range client.Keys(ctx, "*").Val() {
		switch kind := client.Type(ctx, key).Val(); kind {
		case "hash":
			fmt.Fprintln(&dump, key, client.HGetAll(ctx, key).Val())
		case "string":
			fmt.Fprintln(&dump, key, client.Get(ctx, key).Val())
		case "stream":
			fmt.Fprintln(&dump, key, client.XRange(ctx, key, "-", "+").Val())
		default:
			t.Errorf("%s is a %s, which this test cannot read", key, kind)
		}
	}
	if dump.Len() == 0 {
		t.Error("Redis holds nothing")
	}
	return dump.String()
}
