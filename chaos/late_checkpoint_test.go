package chaos_test

import (
	"syscall"
	"testing"
	"time"
)

// TestLateCheckpoint: a turn whose answer was lost, and which Redis lost too, is
// known to nobody but the queue of checkpoints in a server. The client that
// repeats its request is told that the token it has is the newest. What the
// queue says afterwards must not sign it out.
func TestLateCheckpoint(t *testing.T) {
	needServices(t)
	t.Parallel()
	r := newRig(t, "single", 1, 2, time.Second)
	clients := map[string]*session{}
	for _, who := range []string{"with attempt ids", "without attempt ids"} {
		clients[who] = r.login(r.random(who), who, who, <-r.accounts, false, 0)
	}
	intents := map[string]string{}
	refresh := func(node int, when string) map[string]answer {
		t.Helper()
		got := map[string]answer{}
		for who, s := range clients {
			if who == "with attempt ids" && intents[who] == "" {
				intents[who] = newAttempt()
			}
			a := s.send(node, s.jar(), intents[who])
			for began := time.Now(); a.verdict == unavailable && time.Since(began) < patience; a = s.send(node, s.jar(), intents[who]) {
				time.Sleep(20 * time.Millisecond)
			}
			if a.verdict != granted {
				t.Errorf("refresh %s, %s: got %s, want tokens\n%s", when, who, a, s.story(""))
			}
			got[who] = a
		}
		return got
	}
	arrives := func(got map[string]answer) {
		for who, a := range got {
			clients[who].deliver(time.Now(), a)
			intents[who] = ""
		}
	}
	arrives(refresh(0, "after the login"))
	time.Sleep(r.grace + time.Second) // and the row's checkpoint of this minute is written
	for who, a := range refresh(0, "of which the answer gets lost") {
		if a.verdict == granted && !a.Data.RefreshToken.Rotated {
			t.Fatalf("%s: got %s, want a turn", who, a)
		}
	}
	if err := r.redis.(*single).Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	arrives(refresh(1, "repeated after the loss"))
	if err := r.nodes[0].end(syscall.SIGTERM); err != nil { // it writes what still waits
		t.Fatal(err)
	}
	time.Sleep(2*r.grace + time.Second) // and the other server asks about what it saw
	if !t.Failed() {
		arrives(refresh(1, "after the checkpoint"))
	}
}
