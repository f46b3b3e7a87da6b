package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestKeyRotation(t *testing.T) {
	p := startPawl(t)
	// Neither is started again. The second may fetch once for unknown keys.
	s, once := resource(t, p.url(), 50*time.Millisecond), resource(t, p.url(), time.Hour)
	first, _ := p.login("demo@example.com")
	wantAccepted(t, s.URL, first)
	wantAccepted(t, once.URL, first)

	// A second key signs, the first one is still published.
	p.addKey("ES256")
	p.stop()
	wantAccepted(t, s.URL, first) // Pawl is not asked
	p.start()
	second, _ := p.login("demo@example.com")
	wantAccepted(t, s.URL, second)
	wantAccepted(t, s.URL, first)
	var wait sync.WaitGroup // several requests bring the new key, one fetch serves all
	for range 10 {
		wait.Go(func() { wantAccepted(t, once.URL, second) })
	}
	wait.Wait()

	// The algorithm belongs to the key: a good signature of another kind is refused.
	mixed := forge(t, first, jwt.SigningMethodES256, p.signingKey(), nil)
	wantRefused(t, get(t, s.URL+"/orders", "Bearer "+mixed), invalid)

	// A third key signs, the first one is gone.
	if err := os.Remove(p.keyFiles()[0]); err != nil {
		t.Fatal(err)
	}
	p.addKey("RS256")
	p.stop()
	p.start()
	third, _ := p.login("demo@example.com")
	wantAccepted(t, s.URL, third)
	wantAccepted(t, s.URL, second)
	wantRefused(t, get(t, s.URL+"/orders", "Bearer "+first), invalid)
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodRS512, jwt.SigningMethodPS256} {
		token := forge(t, third, method, p.signingKey(), nil)
		wantRefused(t, get(t, s.URL+"/orders", "Bearer "+token), invalid)
	}
	for form, secret := range publicForms(t, p.signingKey().Public()) {
		token := forge(t, third, jwt.SigningMethodHS256, secret, nil)
		if got := get(t, s.URL+"/orders", "Bearer "+token).StatusCode; got != http.StatusUnauthorized {
			t.Errorf("HS256 with an RSA public key as %s: status %d, want 401", form, got)
		}
	}
}

// TestUnknownKeysAreLimited: whoever invents key names must not make this
// service flood Pawl.
func TestUnknownKeysAreLimited(t *testing.T) {
	p := startPawl(t)
	good, _ := p.login("demo@example.com")
	var fetched atomic.Int32
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		http.Redirect(w, r, p.url()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer between.Close()
	refused := resource(t, between.URL, time.Hour)
	if got := get(t, refused.URL+"/orders", "Bearer "+good).StatusCode; got != http.StatusServiceUnavailable {
		t.Errorf("keys behind a redirect: status %d, want 503", got)
	}

	fetched.Store(0)
	counting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		forward(w, p.url()+r.URL.Path)
	}))
	defer counting.Close()
	s := resource(t, counting.URL, time.Hour)
	for i := range 50 {
		token := forge(t, good, jwt.SigningMethodEdDSA, p.signingKey(), func(h map[string]any, _ jwt.MapClaims) {
			h["kid"] = fmt.Sprint("invented-", i)
		})
		wantRefused(t, get(t, s.URL+"/orders", "Bearer "+token), invalid)
	}
	wantAccepted(t, s.URL, good)
	if got := fetched.Load(); got != 2 {
		t.Errorf("50 unknown keys: %d fetches, want 2 (the start's and one more)", got)
	}
}

func forward(w http.ResponseWriter, url string) {
	answer, err := http.Get(url)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// TestStartsBeforePawl: without keys nothing can be said about a token, so the
// answer is no 401; when Pawl is there, no restart is needed.
func TestStartsBeforePawl(t *testing.T) {
	p := startPawl(t)
	good, _ := p.login("demo@example.com")
	p.stop()
	s := resource(t, p.url(), 50*time.Millisecond)
	early := get(t, s.URL+"/orders", "Bearer "+good)
	if early.StatusCode != http.StatusServiceUnavailable || early.Header.Get("Retry-After") == "" {
		t.Errorf("without keys: status %d, Retry-After %q, want 503 with one", early.StatusCode, early.Header.Get("Retry-After"))
	}
	p.start()
	wantAccepted(t, s.URL, good)
}
