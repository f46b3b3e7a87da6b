package main_test

import (
	"slices"
	"strings"
	"testing"
)

// TestKnownDeviceSignsIn: its browser signs an owner in while others hold the
// account's common lane closed; a password change makes its proof void.
func TestKnownDeviceSignsIn(t *testing.T) {
	t.Parallel()
	const fresh = "a wholly different sentence 7"
	p := newPlant(t, behindProxy())
	right := strings.TrimSpace(demoPassword)
	browser := func(cookies ...string) []string {
		return from(77, "Origin", origin, "Cookie", strings.Join(cookies, "; "))
	}
	first := demands(t, p.url, "LoginPayload", demoUser, right, "COOKIE", browser()...)
	device := cookieOf(t, first, "__Host-pawl-device")
	burn(t, p.url, demoUser)
	demands(t, p.url, "TooManyAttemptsError", demoUser, right, "COOKIE", browser()...)
	again := demands(t, p.url, "LoginPayload", demoUser, right, "COOKIE", browser(device)...)
	refresh := cookieOf(t, again, "__Host-pawl-refresh")

	changed, err := query(p.url, `mutation { changePassword(input: {currentPassword: "`+right+`", newPassword: "`+fresh+`"}) { __typename } }`,
		append(browser(refresh, device), "Authorization", "Bearer "+again.text("login", "accessToken.token"))...)
	if err != nil || changed.text("changePassword", "__typename") != "ChangePasswordPayload" {
		t.Fatalf("changePassword: got %s (%v)", changed.body, err)
	}
	for _, old := range []string{device, cookieOf(t, again, "__Host-pawl-device")} {
		demands(t, p.url, "TooManyAttemptsError", demoUser, fresh, "COOKIE", browser(old)...)
	}
	demands(t, p.url, "LoginPayload", demoUser, fresh, "COOKIE", browser(cookieOf(t, changed, "__Host-pawl-device"))...)
	p.server.stop()
}

// cookieOf is a cookie of an answer as it is sent back.
func cookieOf(t *testing.T, a answer, name string) string {
	t.Helper()
	at := slices.IndexFunc(a.header.Values("Set-Cookie"), func(line string) bool { return strings.HasPrefix(line, name+"=") })
	if at < 0 {
		t.Fatalf("got cookies %q, want %s", a.header.Values("Set-Cookie"), name)
	}
	pair, _, _ := strings.Cut(a.header.Values("Set-Cookie")[at], ";")
	return pair
}
