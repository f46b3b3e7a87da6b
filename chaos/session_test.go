package chaos_test

import (
	cryptorand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	loginQuery = `mutation($in: LoginInput!) { login(input: $in) { ... on LoginPayload {
		refreshToken accessToken { token } session { id } } } }`
	refreshQuery = `mutation($in: RefreshTokenInput) { refreshToken(input: $in) {
		rotated refreshToken accessToken { token } session { id } } }`
	logoutQuery    = `mutation($in: LogoutInput) { logout(input: $in) { sessionId } }`
	revokeQuery    = `mutation($in: RevokeSessionInput!) { revokeSession(input: $in) { sessionId } }`
	revokeAllQuery = `mutation($in: RevokeAllSessionsInput) { revokeAllSessions(input: $in) { sessionIds } }`
	meQuery        = `{ me { id } }`
)

// session is one login, as its holder knows it.
type session struct {
	r       *rig
	kind    string // of client
	who     string
	account account
	id      string
	cookie  bool
	bound   time.Duration // how long an answer may be lost; 0 for as long as it takes
	intent  string        // an attempt id that waits for its answer; used by one goroutine

	mu        sync.Mutex
	token     string // what is in the jar
	access    string
	lostSince time.Time // the first request since the last answer
	beyond    time.Time // an answer was lost for longer than the bound, until about now
	doomed    bool      // somebody asked for its end
	ended     bool      // its holder was told to sign in again
	trail     []string
}

// login signs in until it works; nil when everybody goes home.
func (r *rig) login(random *rand.Rand, kind, who string, a account, cookie bool, bound time.Duration) *session {
	input := map[string]any{"email": a.email, "password": password, "refreshTokenDelivery": "BODY"}
	var headers []string
	if cookie {
		input["refreshTokenDelivery"], headers = "COOKIE", []string{"Origin", origin}
	}
	for r.over.Err() == nil {
		got := r.post(random.IntN(2), loginQuery, input, headers...)
		if got.verdict != granted || got.Data.Login == nil || got.token() == "" {
			if got.verdict == refused || got.verdict == terminal {
				r.count.odd("login: %s", got)
			}
			r.nap(200 * time.Millisecond)
			continue
		}
		r.count.logins.Add(1)
		s := &session{r: r, kind: kind, who: who, account: a, id: got.Data.Login.Session.ID, cookie: cookie, bound: bound,
			token: got.token(), access: got.Data.Login.AccessToken.Token}
		s.sameUser(got.token(), s.access, s.id)
		return s
	}
	return nil
}

// headers carry a refresh token that is a cookie.
func (s *session) headers(token string) []string {
	if !s.cookie {
		return nil
	}
	return []string{"Origin", origin, "Cookie", cookieName + "=" + token}
}

func (s *session) input(token, attempt string) map[string]any {
	input := map[string]any{}
	if !s.cookie {
		input["refreshToken"] = token
	}
	if attempt != "" {
		input["attemptId"] = attempt
	}
	return input
}

// send presents a token to a server, and looks whose tokens come back.
func (s *session) send(node int, token, attempt string) answer {
	began, life := time.Now(), s.r.nodes[node].life.Load()
	a := s.r.post(node, refreshQuery, s.input(token, attempt), s.headers(token)...)
	if life == s.r.nodes[node].life.Load() {
		s.r.truth.saw(node, life, a)
	}
	if a.verdict == granted && a.Data.RefreshToken == nil {
		a.verdict, a.problem = refused, "neither data nor error"
	}
	s.note("%s: server %d, generation %d, attempt %.6s: %s (%s)", began.Format("15:04:05.000"), node, generation(token), attempt, a, time.Since(began).Round(time.Millisecond))
	if a.verdict == granted {
		s.r.count.served(s.kind, a.Data.RefreshToken.Rotated)
		s.sameUser(a.token(), a.Data.RefreshToken.AccessToken.Token, a.Data.RefreshToken.Session.ID)
	}
	return a
}

// sameUser counts answers that carry anything of another user or session.
func (s *session) sameUser(token, access, id string) {
	user, session := bearer(access)
	mixed := user != s.account.id || session != s.id || id != s.id
	if token != "" {
		user, session = owner(token)
		mixed = mixed || user != s.account.id || session != s.id
	}
	if mixed {
		s.r.count.mixed.Add(1)
		s.r.t.Errorf("an answer mixes users: session %s of %s got session %s, tokens of user %s session %s", s.id, s.account.id, id, user, session)
	}
}

func (s *session) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trail = append(s.trail, fmt.Sprintf(format, args...)); len(s.trail) > 80 {
		s.trail = slices.Clone(s.trail[40:])
	}
}

// jar is the token that a tab finds now.
func (s *session) jar() string { s.mu.Lock(); defer s.mu.Unlock(); return s.token }

// deliver is the moment at which an answer to a request of sent arrives.
func (s *session) deliver(sent time.Time, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.verdict != granted {
		if s.lostSince.IsZero() && a.verdict != terminal {
			s.lostSince = sent
		}
		return
	}
	if token := a.token(); token != "" {
		s.token = token
	}
	s.access = a.Data.RefreshToken.AccessToken.Token
	if !s.lostSince.IsZero() && !sent.Before(s.lostSince) {
		if s.bound > 0 && time.Since(s.lostSince) > s.bound {
			s.beyond = time.Now().Add(s.r.grace)
			s.r.count.beyond.Add(1)
		}
		s.lostSince = time.Time{}
	}
}

// doom marks a session whose end is about to be asked for.
func (s *session) doom() { s.mu.Lock(); defer s.mu.Unlock(); s.doomed = true }

// isDoomed reports whether somebody asked for its end.
func (s *session) isDoomed() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.doomed }

// signedOut notes that its holder was told to sign in again. It
// is judged once whether that was fair.
func (s *session) signedOut(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	if s.doomed {
		return
	}
	lateFor := time.Duration(0)
	if !s.lostSince.IsZero() {
		lateFor = time.Since(s.lostSince)
	}
	if s.bound > 0 && (lateFor > s.bound || time.Now().Before(s.beyond)) {
		s.r.count.beyondOut.Add(1)
		s.r.truth.explain(s.id, "clients that were late", time.Time{})
		s.r.count.story("signed out after answers were lost for %s, longer than the bound %s: %s", lateFor, s.bound, s.who)
		return
	}
	s.r.count.signOuts.Add(1)
	s.r.count.story("%s", s.story("an honest client was signed out: "+a.String()))
}

// gone reports whether the session is over for its holder.
func (s *session) gone() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.ended }

// story is everything that is known about a session; the caller holds mu.
func (s *session) story(what string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s, session %s, user %s, at %s\n  last faults: %s\n", what, s.who, s.id, s.account.id,
		time.Now().Format("15:04:05.000"), strings.Join(s.r.count.lastFaults(6), "; "))
	for _, line := range s.trail[max(0, len(s.trail)-25):] {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	for i, n := range s.r.nodes {
		for _, line := range n.says(s.id, 12) {
			fmt.Fprintf(&b, "    server %d: %s\n", i, line)
		}
	}
	return b.String()
}

// logout asks until the end is acknowledged.
func (s *session) logout(random *rand.Rand) {
	s.doom()
	for s.r.over.Err() == nil {
		token := s.jar()
		input := map[string]any{}
		if !s.cookie {
			input["refreshToken"] = token
		}
		a := s.r.post(random.IntN(2), logoutQuery, input, s.headers(token)...)
		s.note("%s: logout: %s", time.Now().Format("15:04:05.000"), a)
		switch a.verdict {
		case granted:
			s.r.count.ends.Add(1)
			s.r.bury(s)
			return
		case refused, terminal:
			s.r.count.odd("logout: %s", a)
		}
		s.r.nap(200 * time.Millisecond)
	}
}

func newAttempt() string { return cryptorand.Text() }
