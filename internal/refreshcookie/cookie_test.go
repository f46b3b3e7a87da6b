package refreshcookie_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/refreshcookie"
	"github.com/pawlauth/pawl/internal/secret"
)

var (
	strict = refreshcookie.New(refreshcookie.Config{Secure: true})
	lax    = refreshcookie.New(refreshcookie.Config{Secure: true, SameSite: http.SameSiteLaxMode})
	none   = refreshcookie.New(refreshcookie.Config{Secure: true, SameSite: http.SameSiteNoneMode})
	dev    = refreshcookie.New(refreshcookie.Config{})
)

func TestAttributes(t *testing.T) {
	value := secret.New("pawl_rt1_AZaz09-_")
	for name, c := range map[string]struct {
		cookie           *refreshcookie.Cookie
		set, clear, twin string
	}{
		"strict": {strict,
			"__Host-pawl-refresh=pawl_rt1_AZaz09-_; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict; Partitioned"},
		"lax": {lax,
			"__Host-pawl-refresh=pawl_rt1_AZaz09-_; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax; Partitioned"},
		"none": {none,
			"__Host-pawl-refresh=pawl_rt1_AZaz09-_; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None; Partitioned",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None"},
		"dev": {dev,
			"pawl-refresh=pawl_rt1_AZaz09-_; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
			"pawl-refresh=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
			""},
		"none implies Secure": {refreshcookie.New(refreshcookie.Config{SameSite: http.SameSiteNoneMode}),
			"__Host-pawl-refresh=pawl_rt1_AZaz09-_; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None; Partitioned",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None"},
		"a SameSite of the zero kind": {refreshcookie.New(refreshcookie.Config{Secure: true, SameSite: http.SameSiteDefaultMode}),
			"__Host-pawl-refresh=pawl_rt1_AZaz09-_; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict",
			"__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict; Partitioned"},
	} {
		for which, pair := range map[string]struct {
			cookie *http.Cookie
			want   string
		}{
			"Set":       {c.cookie.Set(value, time.Minute), c.set},
			"Clear":     {c.cookie.Clear(), c.clear},
			"ClearTwin": {c.cookie.ClearTwin(), c.twin},
		} {
			if got := written(pair.cookie); got != pair.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, which, got, pair.want)
			}
			if pair.cookie != nil {
				if err := pair.cookie.Valid(); err != nil {
					t.Errorf("%s, %s: %v", name, which, err)
				}
			}
		}
		if want, _, _ := strings.Cut(c.set, "="); c.cookie.Name() != want {
			t.Errorf("%s: Name: got %s, want %s", name, c.cookie.Name(), want)
		}
	}
}

// written is the header as net/http sends it.
func written(cookie *http.Cookie) string {
	if cookie == nil {
		return ""
	}
	w := httptest.NewRecorder()
	http.SetCookie(w, cookie)
	return w.Header().Get("Set-Cookie")
}

func TestMaxAge(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want int
	}{
		{7 * 24 * time.Hour, 604800}, {2 * time.Second, 2}, {1999 * time.Millisecond, 1}, {time.Second, 1},
		{time.Millisecond, 1}, {0, 1}, {-time.Hour, 1}, {2160 * time.Hour, 7776000},
	} {
		if got := strict.Set(secret.New("x"), c.left).MaxAge; got != c.want {
			t.Errorf("%s left: got Max-Age %d, want %d", c.left, got, c.want)
		}
	}
}

// One cookie's header must not change another's.
func TestCookiesAreCopies(t *testing.T) {
	cookie := strict.Set(secret.New("x"), time.Minute)
	cookie.Secure, cookie.Path = false, "/x"
	if got, want := written(strict.Clear()), "__Host-pawl-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		lines  []string
		cookie *refreshcookie.Cookie
		want   []string
	}{
		{"no header", nil, strict, nil},
		{"empty header", []string{""}, strict, nil},
		{"one", []string{"__Host-pawl-refresh=abc"}, strict, []string{"abc"}},
		{"among others", []string{"a=1; __Host-pawl-refresh=abc; b=2"}, strict, []string{"abc"}},
		{"two", []string{"__Host-pawl-refresh=abc; __Host-pawl-refresh=def"}, strict, []string{"abc", "def"}},
		{"two of the same value", []string{"__Host-pawl-refresh=abc; __Host-pawl-refresh=abc"}, strict, []string{"abc", "abc"}},
		{"two headers, as HTTP/2 may split them", []string{"__Host-pawl-refresh=abc", "a=1; __Host-pawl-refresh=def"}, strict, []string{"abc", "def"}},
		{"no blank after the semicolon", []string{"a=1;__Host-pawl-refresh=abc;b=2"}, strict, []string{"abc"}},
		{"blanks around", []string{"a=1; \t__Host-pawl-refresh =  abc \t; b=2"}, strict, []string{"abc"}},
		{"quoted", []string{`__Host-pawl-refresh="abc"`}, strict, []string{"abc"}},
		{"quoted nothing", []string{`__Host-pawl-refresh=""`}, strict, []string{""}},
		{"half a quote", []string{`__Host-pawl-refresh="abc`}, strict, []string{`"abc`}},
		{"a single quote sign", []string{`__Host-pawl-refresh="`}, strict, []string{`"`}},
		{"empty value counts", []string{"__Host-pawl-refresh=; __Host-pawl-refresh=abc"}, strict, []string{"", "abc"}},
		{"malformed value counts", []string{"__Host-pawl-refresh=a\\b\x01 c,d; __Host-pawl-refresh=abc"}, strict, []string{"a\\b\x01 c,d", "abc"}},
		{"equals sign in the value", []string{"__Host-pawl-refresh=a=b="}, strict, []string{"a=b="}},
		{"no equals sign", []string{"__Host-pawl-refresh; __Host-pawl-refresh=abc"}, strict, []string{"abc"}},
		{"garbage before it", []string{"=; ;;; =x; \x00\xff=\x80; {\"a\":[1]}; __Host-pawl-refresh=abc; ="}, strict, []string{"abc"}},
		{"another case", []string{"__host-pawl-refresh=abc; __HOST-PAWL-REFRESH=abc"}, strict, nil},
		{"without prefix in production", []string{"pawl-refresh=abc"}, strict, nil},
		{"with prefix in dev", []string{"__Host-pawl-refresh=abc; pawl-refresh=def"}, dev, []string{"def"}},
		{"longer and shorter names", []string{"__Host-pawl-refresh2=a; x__Host-pawl-refresh=b; __Host-pawl-refres=c"}, strict, nil},
		{"inside another value", []string{`a="__Host-pawl-refresh=abc"`}, strict, nil},
		{"after 5000 others", []string{strings.Repeat("a=1; ", 5000) + "__Host-pawl-refresh=abc"}, strict, []string{"abc"}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		for _, line := range c.lines {
			r.Header.Add("Cookie", line)
		}
		got := c.cookie.Read(r)
		same := len(got) == len(c.want)
		for i := range got {
			same = same && got[i].Reveal() == c.want[i]
		}
		if !same {
			var values []string
			for _, value := range got {
				values = append(values, value.Reveal())
			}
			t.Errorf("%s: got %q, want %q", c.name, values, c.want)
		}
	}
}

// What Set wrote comes back over a real connection.
func TestRoundTrip(t *testing.T) {
	value := secret.New("pawl_rt1_" + strings.Repeat("Ab-_", 32))
	for name, cookie := range map[string]*refreshcookie.Cookie{"strict": strict, "none": none, "dev": dev} {
		read := make(chan []secret.Text, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			read <- cookie.Read(r)
			http.SetCookie(w, cookie.Set(value, time.Minute))
		}))
		defer server.Close()
		request, err := http.NewRequest(http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(cookie.Set(value, time.Minute))
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := <-read; len(got) != 1 || !got[0].Equal(value) {
			t.Errorf("%s: the server read %d cookies, want one with the value", name, len(got))
		}
		if set := response.Cookies(); len(set) != 1 || set[0].Value != value.Reveal() {
			t.Errorf("%s: got %d Set-Cookie headers, want one with the value", name, len(set))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("__Host-pawl-refresh=abc; a=b", "abc")
	f.Add(`__Host-pawl-refresh="`, `"`)
	f.Add(";;=;", "")
	f.Fuzz(func(t *testing.T, garbage, value string) {
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		r.Header["Cookie"] = []string{garbage}
		before := strict.Read(r)
		r.Header["Cookie"] = []string{garbage + "; __Host-pawl-refresh=good", "__Host-pawl-refresh=" + value}
		after := strict.Read(r)
		if len(after) < len(before)+2 || after[len(before)].Reveal() != "good" {
			t.Errorf("behind %q: got %d values after %d, want both of ours too", garbage, len(after), len(before))
		}
	})
}
