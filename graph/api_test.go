package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

func TestLoginWithBody(t *testing.T) {
	w := newWorld(t)
	c := w.client(app)
	got := c.login(" Ada@Example.com")
	for path, want := range map[string]any{
		"login.user.id": w.ada.ID.String(), "login.user.email": "ada@example.com", "login.user.role": "USER",
		"login.user.createdAt": "2030-05-01T12:00:00.007Z", "login.accessToken.type": "Bearer", "login.accessToken.expiresIn": 900.0,
		"login.session.current": true, "login.session.delivery": "BODY", "login.session.deviceName": nil,
		"login.session.userAgent": "app", "login.session.ipAddress": "192.0.2.2", "login.session.createdAt": "2030-05-01T12:00:00.007Z",
		"login.session.idleExpiresAt": "2030-05-08T12:00:00.007Z", "login.session.expiresAt": "2030-05-31T12:00:00.007Z",
	} {
		if v := got.at(path); v != want {
			t.Errorf("%s: got %v, want %v", path, v, want)
		}
	}
	if proof := got.text("login.deviceToken"); !strings.HasPrefix(proof, "pawl_dt1_") || len(c.devices) != 0 {
		t.Errorf("got device token %q and %d device cookies, want the token alone", proof, len(c.devices))
	}
	if c.setCookies(got) != "" || c.refresh == "" {
		t.Errorf("got cookie %q and token %q, want the token alone", c.setCookies(got), c.refresh)
	}
}

func TestLoginWithCookie(t *testing.T) {
	c := newWorld(t).client(page)
	got := c.login("ada@example.com")
	if got.at("login.refreshToken") != nil {
		t.Errorf("a COOKIE session sees its refresh token: %s", got.raw)
	}
	const attributes = "; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict"
	if cookie := c.setCookies(got); !strings.HasPrefix(cookie, "__Host-pawl-refresh=pawl_rt1_") || !strings.HasSuffix(cookie, attributes) {
		t.Errorf("got %q, want the refresh cookie for 7 days", cookie)
	}
	if strings.Contains(got.raw, c.jar[0].Reveal()) {
		t.Error("the body holds the cookie's value")
	}
	const device = "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Strict" // 400 days
	last := got.header["Set-Cookie"][len(got.header["Set-Cookie"])-1]
	if !strings.HasPrefix(last, "__Host-pawl-device=pawl_dt1_") || !strings.HasSuffix(last, device) || got.at("login.deviceToken") != nil {
		t.Errorf("got %q and %v, want the device cookie alone", last, got.at("login.deviceToken"))
	}
}

func TestLoginReplacesDuplicates(t *testing.T) {
	c := newWorld(t).client(page)
	c.jar = []secret.Text{secret.New("a"), secret.New("b")}
	got := c.login("ada@example.com")
	cookies := strings.Split(c.setCookies(got), "\n")
	if len(cookies) != 2 || !strings.Contains(cookies[0], "Max-Age=0") || !strings.Contains(cookies[0], "Partitioned") || strings.Contains(cookies[1], "Max-Age=0") {
		t.Errorf("got %q, want the twin cleared and then the cookie set", cookies)
	}
}

func TestLoginRefused(t *testing.T) {
	w := newWorld(t)
	login := func(caller auth.Caller, input map[string]any) *answer {
		return w.client(caller).ask(loginDocument, map[string]any{"i": input})
	}
	wrong := login(page, map[string]any{"email": "ada@example.com", "password": "not the password"})
	unknown := login(page, map[string]any{"email": "nobody@example.com", "password": goodPassword})
	if wrong.text("login.__typename") != "InvalidCredentialsError" || wrong.raw != unknown.raw || wrong.text("login.message") == "" {
		t.Errorf("got %s and %s, want the same InvalidCredentialsError", wrong.raw, unknown.raw)
	}
	for name, got := range map[string]*answer{
		"BODY from a page":   login(page, map[string]any{"email": "a", "password": "b", "refreshTokenDelivery": "BODY"}),
		"COOKIE from an app": login(app, map[string]any{"email": "a", "password": "b"}),
	} {
		if got.code() != "CROSS_ORIGIN_REQUEST" || got.status != 200 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: got %d %s, want CROSS_ORIGIN_REQUEST", name, got.status, got.raw)
		}
	}
	long := login(page, map[string]any{"email": "a", "password": "b", "deviceName": strings.Repeat("x", 65)})
	if long.code() != "BAD_USER_INPUT" || long.Errors[0].Extensions["field"] != "deviceName" {
		t.Errorf("long device name: got %s", long.raw)
	}
}

func TestRefreshWithBody(t *testing.T) {
	c := newWorld(t).client(app)
	c.login("ada@example.com")
	first := c.refresh
	got := c.refreshWith(first)
	if got.at("refreshToken.rotated") != true || got.text("refreshToken.refreshToken") == first || got.text("refreshToken.session.id") != c.id {
		t.Fatalf("first refresh: got %s", got.raw)
	}
	second := got.text("refreshToken.refreshToken")
	for name, token := range map[string]string{"unchanged": second, "replayed": first} {
		got := c.refreshWith(token)
		if got.at("refreshToken.rotated") != false || got.text("refreshToken.refreshToken") != second || c.setCookies(got) != "" {
			t.Errorf("%s: got %s, want the same successor", name, got.raw)
		}
	}
	c.clock.step(11 * time.Second)
	if got := c.refreshWith(first); got.code() != "REFRESH_TOKEN_REUSED" || got.status != 200 || string(got.Data) != `{"refreshToken":null}` {
		t.Errorf("replay: got %d %s", got.status, got.raw)
	}
	if got := c.refreshWith(second); got.code() != "REFRESH_TOKEN_INVALID" || got.Errors[0].Extensions["reason"] != "REVOKED" {
		t.Errorf("after the replay: got %s", got.raw)
	}
	for token, reason := range map[string]string{"garbage": "MALFORMED", "": "MALFORMED"} {
		if got := c.refreshWith(token); got.code() != "REFRESH_TOKEN_INVALID" || got.Errors[0].Extensions["reason"] != reason {
			t.Errorf("%q: got %s, want %s", token, got.raw, reason)
		}
	}
}

// rotate: false gives an access token and nothing else, on either channel; left
// out it is true.
func TestAccessOnly(t *testing.T) {
	for name, caller := range map[string]auth.Caller{"cookie": page, "body": app} {
		t.Run(name, func(t *testing.T) {
			c := newWorld(t).client(caller)
			c.login("ada@example.com")
			input := map[string]any{"rotate": false}
			if caller.BodyAllowed {
				input["refreshToken"] = c.refresh
			}
			for range 2 {
				got := c.ask(refreshDocument, map[string]any{"i": input})
				if len(got.Errors) > 0 || got.at("refreshToken.rotated") != false || got.at("refreshToken.refreshToken") != nil ||
					len(got.header["Set-Cookie"]) != 0 || got.text("refreshToken.session.id") != c.id {
					t.Fatalf("got %s, cookies %q, want an access token alone", got.raw, got.header["Set-Cookie"])
				}
				c.access = got.text("refreshToken.accessToken.token")
				if me := c.ask("{me{id}}", nil); me.text("me.id") != c.ada.ID.String() {
					t.Errorf("with the access token: got %s, want the user", me.raw)
				}
			}
			for _, rotate := range []any{true, nil} {
				c := c.client(caller)
				c.login("ada@example.com")
				input := map[string]any{}
				if caller.BodyAllowed {
					input["refreshToken"] = c.refresh
				}
				if rotate != nil {
					input["rotate"] = rotate
				}
				if got := c.ask(refreshDocument, map[string]any{"i": input}); got.at("refreshToken.rotated") != true {
					t.Errorf("rotate %v: got %s, want it rotated", rotate, got.raw)
				}
			}
			input["rotate"] = nil
			if got := c.ask(refreshDocument, map[string]any{"i": input}); got.code() == "" {
				t.Errorf("rotate null: got %s, want it refused", got.raw)
			}
		})
	}
}

func TestRefreshWithCookie(t *testing.T) {
	c := newWorld(t).client(page)
	c.login("ada@example.com")
	first := c.jar
	got := c.refreshWith("")
	if got.at("refreshToken.rotated") != true || got.at("refreshToken.refreshToken") != nil || len(got.header["Set-Cookie"]) != 1 {
		t.Fatalf("got %s, cookies %q", got.raw, got.header["Set-Cookie"])
	}
	second := c.jar
	if got := c.refreshWith(""); got.at("refreshToken.rotated") != false || c.setCookies(got) != "" {
		t.Errorf("unchanged: got %s, cookies %q, want none: it could arrive after a newer one", got.raw, c.setCookies(got))
	}
	c.jar = first
	if got := c.refreshWith(""); got.at("refreshToken.rotated") != false || c.jar[0].Reveal() != second[0].Reveal() {
		t.Errorf("replayed: got %s, want the same cookie again", got.raw)
	}
	c.clock.step(700 * time.Hour) // idle long past
	if got := c.refreshWith(""); got.code() != "REFRESH_TOKEN_INVALID" || c.setCookies(got) != "" {
		t.Errorf("expired: got %s, cookies %q, want the cookie untouched", got.raw, c.setCookies(got))
	}
	c.jar = append(second, first...)
	if got := c.refreshWith(""); got.code() != "BAD_REQUEST" || got.status != 200 || c.setCookies(got) != "" {
		t.Errorf("two cookies: got %d %s", got.status, got.raw)
	}
	c.jar = nil
	if got := c.refreshWith(""); got.code() != "REFRESH_TOKEN_INVALID" || got.Errors[0].Extensions["reason"] != "MISSING" {
		t.Errorf("no cookie: got %s", got.raw)
	}
}

// The cookie does not outlive the session.
func TestCookieLifetime(t *testing.T) {
	c := newWorld(t).client(page)
	c.login("ada@example.com")
	var got *answer
	for range 6 { // 24 days: 6 are left of the 30, and 7 would be idle
		c.clock.step(4 * 24 * time.Hour)
		if got = c.refreshWith(""); len(got.Errors) > 0 {
			t.Fatal(got.raw)
		}
	}
	if !strings.Contains(c.setCookies(got), "Max-Age=518400;") {
		t.Errorf("24 days in: got %q, want 6 days", c.setCookies(got))
	}
}

func TestSessionChanged(t *testing.T) {
	c := newWorld(t).client(page)
	c.login("ada@example.com")
	other := "00000000-0000-4000-8000-000000000000"
	got := c.ask(refreshDocument, map[string]any{"i": map[string]any{"sessionId": other}})
	if got.code() != "SESSION_CHANGED" || c.setCookies(got) != "" {
		t.Errorf("got %s, cookies %q", got.raw, c.setCookies(got))
	}
	got = c.ask(refreshDocument, map[string]any{"i": map[string]any{"sessionId": c.id, "attemptId": "short"}})
	if got.code() != "BAD_USER_INPUT" || got.Errors[0].Extensions["field"] != "attemptId" {
		t.Errorf("short attempt: got %s", got.raw)
	}
}

func TestMe(t *testing.T) {
	w := newWorld(t)
	c := w.client(app)
	if got := c.ask("{me{id}}", nil); got.code() != "UNAUTHENTICATED" || got.Errors[0].Extensions["reason"] != "TOKEN_MISSING" || string(got.Data) != `{"me":null}` {
		t.Errorf("no token: got %s", got.raw)
	}
	c.login("ada@example.com")
	if got := c.ask("{me{id role email createdAt}}", nil); got.text("me.email") != "ada@example.com" || got.text("me.createdAt") != "2030-05-01T12:00:00.007Z" {
		t.Errorf("got %s", got.raw)
	}
	c.caller.AccessInvalid = true // two of them, say
	if got := c.ask("{me{id}}", nil); got.code() != "UNAUTHENTICATED" || got.Errors[0].Extensions["reason"] != "TOKEN_INVALID" {
		t.Errorf("a good token beside another: got %s", got.raw)
	}
	c.caller.AccessInvalid = false
	// The token's role, whatever the row says.
	w.must(w.users.SetRole(t.Context(), w.ada.ID, user.RoleAdmin))
	if got := c.ask("{me{role email}}", nil); got.text("me.role") != "USER" {
		t.Errorf("got role %s, want the token's", got.text("me.role"))
	}
	w.must(database.Close(w.db))
	if got := c.ask("query($a:Boolean!){me{id role email@include(if:$a) ...on User@skip(if:true){createdAt}}}", map[string]any{"a": false}); got.text("me.id") != w.ada.ID.String() {
		t.Errorf("id and role without a database: got %s", got.raw)
	}
	if got := c.ask("{me{id ...F}} fragment F on User{createdAt}", nil); got.code() != "UNAVAILABLE" || got.Errors[0].Extensions["retryAfter"] != 1.0 {
		t.Errorf("createdAt without a database: got %s", got.raw)
	}
	c.clock.step(16 * time.Minute)
	if got := c.ask("{me{id}}", nil); got.Errors[0].Extensions["reason"] != "TOKEN_EXPIRED" {
		t.Errorf("old token: got %s", got.raw)
	}
	c.access = "x"
	if got := c.ask("{me{id} __typename}", nil); got.Errors[0].Extensions["reason"] != "TOKEN_INVALID" || got.text("__typename") != "Query" {
		t.Errorf("bad token: got %s", got.raw)
	}
}

// The refresh cookie is good for a refresh and for nothing else.
func TestCookieAuthorizesNoQuery(t *testing.T) {
	c := newWorld(t).client(page)
	c.login("ada@example.com")
	c.access = ""
	for _, query := range []string{
		"{me{id}}", "{mySessions{id}}", "mutation{revokeAllSessions{sessionIds}}", `mutation{revokeSession(input:{sessionId:"` + c.id + `"}){sessionId}}`,
		`mutation{changePassword(input:{currentPassword:"` + goodPassword + `",newPassword:"another long password"}){__typename}}`,
	} {
		got := c.ask(query, nil)
		if got.code() != "UNAUTHENTICATED" || got.Errors[0].Extensions["reason"] != "TOKEN_MISSING" || c.setCookies(got) != "" {
			t.Errorf("%s with the cookie alone: got %s, cookies %q, want TOKEN_MISSING", query, got.raw, c.setCookies(got))
		}
	}
	if got := c.refreshWith(""); got.at("refreshToken.rotated") != true {
		t.Errorf("a refresh afterwards: got %s, want the first turn", got.raw)
	}
}

func TestBadAccessTokenNeverFailsAPublicField(t *testing.T) {
	c := newWorld(t).client(page)
	c.login("ada@example.com")
	c.access = "x"
	if got := c.refreshWith(""); len(got.Errors) > 0 {
		t.Errorf("got %s", got.raw)
	}
}

func TestMySessions(t *testing.T) {
	w := newWorld(t)
	phone, browser := w.client(app), w.client(page)
	phone.login("ada@example.com")
	w.clock.step(time.Minute)
	browser.login("ada@example.com")
	got := phone.ask("{mySessions{id current delivery}}", nil)
	want := fmt.Sprintf(`{"mySessions":[{"id":"%s","current":false,"delivery":"COOKIE"},{"id":"%s","current":true,"delivery":"BODY"}]}`, browser.id, phone.id)
	if string(got.Data) != want {
		t.Errorf("got %s, want %s", got.raw, want)
	}
}

func TestRevokeSession(t *testing.T) {
	w := newWorld(t)
	phone, browser := w.client(app), w.client(page)
	phone.login("ada@example.com")
	browser.login("ada@example.com")
	const document = "mutation($s:ID!){revokeSession(input:{sessionId:$s}){sessionId}}"
	for _, id := range []any{"nobody", "00000000-0000-4000-8000-000000000000", 7} {
		if got := browser.ask(document, map[string]any{"s": id}); string(got.Data) != `{"revokeSession":{"sessionId":null}}` || browser.setCookies(got) != "" {
			t.Errorf("%v: got %s", id, got.raw)
		}
	}
	if got := browser.ask(document, map[string]any{"s": phone.id}); got.text("revokeSession.sessionId") != phone.id || browser.setCookies(got) != "" {
		t.Errorf("another session: got %s, cookies %q", got.raw, browser.setCookies(got))
	}
	if got := phone.ask("{me{id}}", nil); got.Errors[0].Extensions["reason"] != "SESSION_REVOKED" {
		t.Errorf("its access token: got %s", got.raw)
	}
	got := browser.ask(document, map[string]any{"s": browser.id})
	const cleared = "__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
	if browser.setCookies(got) != cleared {
		t.Errorf("the own session: got cookies %q, want %q", browser.setCookies(got), cleared)
	}
}

func TestRevokeAllSessions(t *testing.T) {
	w := newWorld(t)
	phone, browser := w.client(app), w.client(page)
	phone.login("ada@example.com")
	browser.login("ada@example.com")
	if got := browser.ask("mutation{revokeAllSessions{sessionIds}}", nil); string(got.Data) != `{"revokeAllSessions":{"sessionIds":["`+phone.id+`"]}}` || browser.setCookies(got) != "" {
		t.Errorf("the others: got %s, cookies %q", got.raw, browser.setCookies(got))
	}
	got := browser.ask("mutation{revokeAllSessions(input:{includeCurrent:true}){sessionIds}}", nil)
	if !strings.Contains(got.raw, browser.id) || !strings.Contains(browser.setCookies(got), "Max-Age=0") {
		t.Errorf("all: got %s, cookies %q", got.raw, browser.setCookies(got))
	}
	if got := browser.ask("{mySessions{id}}", nil); got.Errors[0].Extensions["reason"] != "SESSION_REVOKED" {
		t.Errorf("afterwards: got %s", got.raw)
	}
}

func TestAdmin(t *testing.T) {
	w := newWorld(t)
	ada, admin := w.client(app), w.client(app)
	ada.login("ada@example.com")
	admin.login("admin@example.com")
	user := map[string]any{"u": w.ada.ID.String()}
	const list, end = "query($u:ID!){sessions(userId:$u){id current}}", "mutation($u:ID!){revokeUserSessions(input:{userId:$u}){sessionIds}}"
	for _, document := range []string{list, end} {
		if got := ada.ask(document, user); got.code() != "FORBIDDEN" || got.status != 200 {
			t.Errorf("as a user: got %s", got.raw)
		}
		if got := admin.ask(document, map[string]any{"u": "nobody"}); len(got.Errors) > 0 || !strings.Contains(got.raw, "[]") {
			t.Errorf("an unknown user: got %s", got.raw)
		}
	}
	if got := admin.ask(list, user); string(got.Data) != `{"sessions":[{"id":"`+ada.id+`","current":false}]}` {
		t.Errorf("list: got %s", got.raw)
	}
	if got := admin.ask(end, user); !strings.Contains(got.raw, ada.id) {
		t.Errorf("end: got %s", got.raw)
	}
	if got := ada.ask("{me{id}}", nil); got.code() != "UNAUTHENTICATED" {
		t.Errorf("afterwards: got %s", got.raw)
	}
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	const document = "mutation($i:LogoutInput){logout(input:$i){sessionId}}"
	browser := w.client(page)
	browser.login("ada@example.com")
	held := browser.jar
	got := browser.ask(document, nil)
	if got.text("logout.sessionId") != browser.id || !strings.Contains(browser.setCookies(got), "Max-Age=0") || browser.jar != nil {
		t.Errorf("got %s, cookies %q", got.raw, browser.setCookies(got))
	}
	for _, cookie := range [][]secret.Text{held, {secret.New("garbage")}} {
		browser.jar, browser.access = cookie, ""
		got := browser.ask(document, nil)
		if string(got.Data) != `{"logout":{"sessionId":null}}` || !strings.Contains(browser.setCookies(got), "Max-Age=0") {
			t.Errorf("twice, and garbage: got %s, cookies %q", got.raw, browser.setCookies(got))
		}
	}
	browser.jar, browser.caller.CookieAllowed = held, false
	if got := browser.ask(document, nil); got.code() != "CROSS_ORIGIN_REQUEST" || browser.setCookies(got) != "" {
		t.Errorf("from elsewhere: got %s, cookies %q", got.raw, browser.setCookies(got))
	}

	phone := w.client(app)
	phone.login("ada@example.com")
	got = phone.ask(document, map[string]any{"i": map[string]any{"refreshToken": phone.refresh}})
	if got.text("logout.sessionId") != phone.id || phone.setCookies(got) != "" {
		t.Errorf("body: got %s, cookies %q", got.raw, phone.setCookies(got))
	}
	phone.login("ada@example.com")
	if got := phone.ask(document, nil); got.text("logout.sessionId") != phone.id {
		t.Errorf("access token alone: got %s", got.raw)
	}
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	const document = `mutation($i:ChangePasswordInput!){changePassword(input:$i){__typename ...on UserError{message}
 ...on WeakPasswordError{problems} ...on ChangePasswordPayload{refreshToken deviceToken accessToken{token} session{id current delivery} revokedSessionIds}}}`
	change := func(c *client, from, to string) *answer {
		return c.ask(document, map[string]any{"i": map[string]any{"currentPassword": from, "newPassword": to}})
	}
	phone, browser := w.client(app), w.client(page)
	phone.login("ada@example.com")
	browser.login("ada@example.com")
	if got := change(phone, "not the password", "another long password"); got.text("changePassword.__typename") != "InvalidCredentialsError" {
		t.Errorf("wrong: got %s", got.raw)
	}
	if got := change(phone, goodPassword, "short"); got.text("changePassword.__typename") != "WeakPasswordError" || !strings.Contains(got.raw, `"problems":["TOO_SHORT","COMPROMISED"]`) {
		t.Errorf("weak: got %s", got.raw)
	}
	old := browser.id
	got := change(browser, goodPassword, "another long password")
	if got.text("changePassword.session.delivery") != "COOKIE" || got.at("changePassword.refreshToken") != nil || got.at("changePassword.deviceToken") != nil || !strings.Contains(browser.setCookies(got), "Max-Age=604800") {
		t.Fatalf("got %s, cookies %q", got.raw, browser.setCookies(got))
	}
	if all := strings.Join(got.header["Set-Cookie"], "\n"); !strings.Contains(all, "__Host-pawl-device=pawl_dt1_") {
		t.Errorf("got cookies %q, want a new device cookie", all)
	}
	ended, _ := got.at("changePassword.revokedSessionIds").([]any)
	if len(ended) != 2 || !slices.Contains(ended, any(old)) || !slices.Contains(ended, any(phone.id)) {
		t.Errorf("ended: got %v, want %s and %s", ended, old, phone.id)
	}
	browser.keep(got, "changePassword")
	if got := browser.ask("{me{id}}", nil); len(got.Errors) > 0 {
		t.Errorf("the new session: got %s", got.raw)
	}
	if got := browser.refreshWith(""); len(got.Errors) > 0 {
		t.Errorf("the new cookie: got %s", got.raw)
	}
	if got := phone.refreshWith(phone.refresh); got.code() != "REFRESH_TOKEN_INVALID" {
		t.Errorf("the other session: got %s", got.raw)
	}
}

// An app that changes the password voids its proof, and gets a new one.
func TestChangePasswordInAnApp(t *testing.T) {
	w := newWorld(t)
	phone := w.client(app)
	old := phone.login("ada@example.com").text("login.deviceToken")
	got := phone.ask(`mutation{changePassword(input:{currentPassword:"`+goodPassword+`",newPassword:"another long password"}){
 ...on ChangePasswordPayload{refreshToken deviceToken}}}`, nil)
	if proof := got.text("changePassword.deviceToken"); !strings.HasPrefix(proof, "pawl_dt1_") || proof == old || got.text("changePassword.refreshToken") == "" {
		t.Errorf("got %s, want a new device proof and a refresh token", got.raw)
	}
}

func TestStoresDown(t *testing.T) {
	w := newWorld(t)
	c := w.client(page)
	c.login("ada@example.com")
	w.must(database.Close(w.db))
	for _, query := range []string{
		"{mySessions{id}}", "mutation{revokeAllSessions{sessionIds}}", "mutation{revokeSession(input:{sessionId:\"" + c.id + "\"}){sessionId}}",
		`mutation{login(input:{email:"ada@example.com",password:"x"}){__typename}}`,
	} {
		got := c.ask(query, nil)
		if got.code() != "UNAVAILABLE" || got.status != 200 || got.Errors[0].Extensions["retryAfter"] != 1.0 || c.setCookies(got) != "" {
			t.Errorf("%s: got %d %s, cookies %q, want UNAVAILABLE", query, got.status, got.raw, c.setCookies(got))
		}
	}
	if got := c.refreshWith(""); len(got.Errors) > 0 {
		t.Errorf("a refresh needs no database: got %s", got.raw)
	}
}
