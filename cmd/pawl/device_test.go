package main_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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

// knocks is a login of an app with a device token.
func knocks(email, password, device string) string {
	return `mutation { login(input: {email: "` + email + `", password: "` + password + `", refreshTokenDelivery: BODY, deviceToken: "` + device + `"}) {
		__typename ... on LoginPayload { deviceToken accessToken { token } } } }`
}

// TestGuessesWithStolenTokens: with a stolen device token, a stolen access token
// and an account with more devices than anybody's table holds, over two servers at
// once: five guesses from the device, five as unknown, five by changePassword.
func TestGuessesWithStolenTokens(t *testing.T) {
	t.Parallel()
	const mallory, devices = "mallory@example.com", 66
	p := newPlant(t, behindProxy("PAWL_LOGIN_SUCCESS_RATE", "off"))
	operate(t, p.dir, p.env, demoPassword, "user", "add", mallory)
	second, other := p.twin()
	urls := []string{p.url, other}
	right := strings.TrimSpace(demoPassword)
	login := func(email string, n int) answer {
		a, err := query(p.url, knocks(email, right, ""), from(n)...)
		if err != nil || kind(a) != "LoginPayload" {
			t.Fatalf("login of %s: got %s (%v)", email, a.body, err)
		}
		return a
	}
	victim := login(demoUser, 0)
	stolen, access := victim.text("login", "deviceToken"), victim.text("login", "accessToken.token")
	var foreign []string
	for i := range devices {
		foreign = append(foreign, login(mallory, i).text("login", "deviceToken"))
	}

	var looked atomic.Int64
	guess := func(n int, device string) {
		a, err := query(urls[n%2], knocks(demoUser, "not the password", device), from(n)...)
		switch {
		case err == nil && kind(a) == "InvalidCredentialsError":
			looked.Add(1)
		case err != nil || kind(a) != "TooManyAttemptsError" && kind(a) != "UNAVAILABLE":
			t.Errorf("with the device %.12q: got %s (%v), want the guess refused", device, a.body, err)
		}
	}
	change := func(n int) {
		a, err := query(urls[n%2], `mutation { changePassword(input: {currentPassword: "not the password", newPassword: "a wholly different sentence 7"}) { __typename } }`,
			from(n, "Authorization", "Bearer "+access)...)
		switch word := a.text("changePassword", "__typename"); {
		case err == nil && word == "InvalidCredentialsError":
			looked.Add(1)
		case err != nil || word != "TooManyAttemptsError" && kind(a) != "UNAVAILABLE":
			t.Errorf("changePassword: got %s (%v), want the guess refused", a.body, err)
		}
	}
	began := time.Now()
	for round := range 2 {
		for i := range 7 {
			guess(i, stolen)
			change(i)
		}
		var all sync.WaitGroup
		for i, device := range foreign {
			all.Go(func() { guess(100*round+i, device) })
		}
		for i, device := range []string{"", "pawl_dt1_", strings.Repeat("A", 40_000), stolen + "A", "pawl_dt1_" + strings.Repeat("A", len(stolen)-9)} {
			all.Go(func() { guess(500+i, device) })
		}
		all.Wait()
	}
	if took := time.Since(began); took > 25*time.Second {
		t.Skipf("took %s: the pauses of 30 seconds may have ended", took)
	}
	if got := looked.Load(); got > 15 {
		t.Errorf("guesses that reached the password: got %d, want 15 at most", got)
	}
	if a, err := query(other, knocks(demoUser, right, stolen), from(999)...); err != nil || kind(a) != "TooManyAttemptsError" {
		t.Errorf("the stolen device: got %s (%v), want its pause to go on", a.body, err)
	}
	second.stop()
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
