package main_test

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// TestDefaultGates: what a server does about guesses where nothing is set. pawl
// dev differs in the floor under the time of a login alone.
func TestDefaultGates(t *testing.T) {
	dev, serve, err := pawl.DefaultGates()
	if err != nil {
		t.Fatal(err)
	}
	want := pawl.GateSettings{
		Network: "30/2s", Account: "5:30s,10:1m,20:5m,50:1h,100:24h", Success: "60/10s", Refresh: "600/100ms", Least: 300 * time.Millisecond,
		Hash: "{19456 2 1}", AtOnce: max(1, runtime.GOMAXPROCS(0)-1), Words: []string{"pawl", "id.example.org"},
	}
	if !reflect.DeepEqual(serve, want) {
		t.Errorf("serve: got %+v, want %+v", serve, want)
	}
	want.Least = 0
	if !reflect.DeepEqual(dev, want) {
		t.Errorf("dev: got %+v, want %+v", dev, want)
	}
}

// TestSettingsReachTheGates: what is set about guesses and passwords is what a
// server does, and each gate tells how long it stays closed.
func TestSettingsReachTheGates(t *testing.T) {
	t.Parallel()
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	maps.Copy(env, behindProxy("PAWL_SESSION_STORE", "memory", "PAWL_LOGIN_NETWORK_RATE", "3/1h", "PAWL_LOGIN_ACCOUNT_SCHEDULE", "2:2h",
		"PAWL_REFRESH_NETWORK_RATE", "2/3h", "PAWL_LOGIN_SUCCESS_RATE", "3/4h", "PAWL_NAT64_PREFIXES", "2001:db8:64::/96"))
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", demoUser)
	p, url := serveOne(t, dir, env)
	wait := func(what string, a answer, wait any, want time.Duration) {
		t.Helper()
		seconds, _ := wait.(float64)
		if told := time.Duration(seconds) * time.Second; told > want || told < want-10*time.Minute || a.header.Get("Retry-After") != fmt.Sprint(seconds) {
			t.Errorf("%s: got a wait of %s and Retry-After %q, want about %s in both", what, told, a.header.Get("Retry-After"), want)
		}
	}
	for i := range 3 {
		demands(t, url, "InvalidCredentialsError", fmt.Sprintf("nobody%d@example.com", i), "not the password", "BODY", from(1)...)
	}
	a := demands(t, url, "TooManyAttemptsError", "nobody@example.com", "not the password", "BODY", from(1)...)
	wait("the network's gate", a, a.Data["login"]["retryAfter"], time.Hour)
	for _, spelled := range []string{"64:ff9b::198.18.0.1", "2001:db8:64::198.18.0.1", "2002:c612:1::1"} { // the same client
		demands(t, url, "TooManyAttemptsError", "nobody@example.com", "not the password", "BODY", "X-Forwarded-For", spelled)
	}
	for i := range 2 {
		demands(t, url, "InvalidCredentialsError", "somebody@example.com", "not the password", "BODY", from(10+i)...)
	}
	a = demands(t, url, "TooManyAttemptsError", "somebody@example.com", "not the password", "BODY", from(12)...)
	wait("the account's gate", a, a.Data["login"]["retryAfter"], 2*time.Hour)

	for i, want := range []string{"REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_INVALID", "RATE_LIMITED"} {
		a, err := query(url, refreshBody("junk"), from(20)...)
		if err != nil || kind(a) != want {
			t.Fatalf("failed refresh %d: got %s (%v), want %s", i, a.body, err, want)
		}
		if want == "RATE_LIMITED" {
			wait("the gate of refreshes", a, a.Errors[0].Extensions.RetryAfter, 3*time.Hour)
		}
	}

	right := strings.TrimSpace(demoPassword)
	inside := demands(t, url, "LoginPayload", demoUser, right, "BODY", from(30)...)
	for _, fresh := range []string{"I sign in at id.example.org today", "the Pawl turns one way only", "demonstrate nothing of the sort"} {
		a, err := query(url, `mutation { changePassword(input: {currentPassword: "`+right+`", newPassword: "`+fresh+`"}) {
			__typename ... on WeakPasswordError { problems } } }`, from(30, "Authorization", "Bearer "+inside.text("login", "accessToken.token"))...)
		if err != nil || a.text("changePassword", "__typename") != "WeakPasswordError" || !strings.Contains(a.body, `["CONTEXTUAL"]`) {
			t.Errorf("new password %q: got %s (%v), want it refused as CONTEXTUAL", fresh, a.body, err)
		}
	}
	for i := range 2 {
		demands(t, url, "LoginPayload", demoUser, right, "BODY", from(31+i)...)
	}
	a = demands(t, url, "TooManyAttemptsError", demoUser, right, "BODY", from(33)...)
	wait("the rate of the account's logins", a, a.Data["login"]["retryAfter"], 4*time.Hour)
	p.stop()
}
