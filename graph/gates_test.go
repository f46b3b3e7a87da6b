package graph_test

import (
	"net/netip"
	"testing"
)

// A closed gate says how long it stays closed, in the data and in the header; a
// browser or an app that was here before has a gate of its own.
func TestClosedLoginGate(t *testing.T) {
	w := newWorld(t)
	known, phone := w.client(page), w.client(app)
	known.login("ada@example.com")
	proof := phone.login("ada@example.com").text("login.deviceToken")
	stranger := w.client(page)
	stranger.caller.Address = netip.MustParseAddr("203.0.113.7")
	try := func(c *client, password string) *answer {
		return c.ask(loginDocument, map[string]any{"i": map[string]any{"email": "ada@example.com", "password": password}})
	}
	for range 5 {
		if got := try(stranger, "not the password"); got.text("login.__typename") != "InvalidCredentialsError" || got.header.Get("Retry-After") != "" {
			t.Fatalf("a guess: got %s", got.raw)
		}
	}
	got := try(stranger, goodPassword)
	if got.text("login.__typename") != "TooManyAttemptsError" || got.header.Get("Retry-After") != "30" || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("after five: got %s with Retry-After %q and cookies %q", got.raw, got.header.Get("Retry-After"), got.header["Set-Cookie"])
	}
	if got := try(known, goodPassword); got.text("login.__typename") != "LoginPayload" {
		t.Errorf("from the known browser: got %s", got.raw)
	}
	for token, want := range map[string]string{"": "TooManyAttemptsError", proof: "LoginPayload"} {
		input := map[string]any{"email": "ada@example.com", "password": goodPassword, "refreshTokenDelivery": "BODY", "deviceToken": token}
		if got := phone.ask(loginDocument, map[string]any{"i": input}); got.text("login.__typename") != want {
			t.Errorf("from the app, with the device token %.9q: got %s, want %s", token, got.raw, want)
		}
	}
}

func TestClosedRefreshGate(t *testing.T) {
	c := newWorld(t).client(app)
	c.login("ada@example.com")
	var got *answer
	for range 601 {
		got = c.refreshWith("junk")
	}
	if got.code() != "RATE_LIMITED" || got.Errors[0].Extensions["retryAfter"] != 1.0 || got.header.Get("Retry-After") != "1" {
		t.Fatalf("got %s with Retry-After %q, want RATE_LIMITED and 1 in both", got.raw, got.header.Get("Retry-After"))
	}
	if got := c.refreshWith(c.refresh); len(got.Errors) > 0 {
		t.Errorf("a good one: got %s, want it not to wait", got.raw)
	}
	c.clock.step(100_000_000)
	if got := c.refreshWith("junk"); got.code() == "RATE_LIMITED" {
		t.Errorf("junk, later: got %s, want it answered", got.raw)
	}
}
