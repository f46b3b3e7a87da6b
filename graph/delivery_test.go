package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/graph"
	"github.com/pawlauth/pawl/internal/auth"
)

func TestDelivery(t *testing.T) {
	ctx, flush := graph.WithDelivery(context.Background())
	for _, cookie := range []*http.Cookie{
		{Name: "a", Value: "1"}, {Name: "b", Value: "1"}, {Name: "a", Value: "1", Partitioned: true}, {Name: "a", Value: "2"},
	} {
		if err := graph.PutCookie(ctx, cookie); err != nil {
			t.Fatalf("handing out %v: %v", cookie, err)
		}
	}
	header := http.Header{}
	flush(header)
	if got, want := fmt.Sprint(header["Set-Cookie"]), "[a=2 b=1 a=1; Partitioned]"; got != want {
		t.Errorf("cookies: got %s, want %s", got, want)
	}
	if err := graph.PutCookie(ctx, &http.Cookie{Name: "c"}); err == nil {
		t.Error("after the header was written: got no error")
	}
	if err := graph.PutCookie(context.Background(), &http.Cookie{Name: "c"}); err == nil {
		t.Error("without a transport: got no error")
	}
}

func TestDeliveryIsSafeForConcurrentUse(t *testing.T) {
	ctx, flush := graph.WithDelivery(context.Background())
	var work sync.WaitGroup
	for i := range 64 {
		work.Go(func() {
			_ = graph.PutCookie(ctx, &http.Cookie{Name: fmt.Sprint("n", i%4), Value: fmt.Sprint(i)})
		})
	}
	work.Wait()
	header := http.Header{}
	flush(header)
	if got := len(header["Set-Cookie"]); got != 4 {
		t.Errorf("64 cookies of 4 names: got %d, want 4", got)
	}
}

// What resolvers hand out is in the header of the answer, also when a sibling
// failed.
func TestDeliveryReachesTheAnswer(t *testing.T) {
	s := &stub{}
	s.during = func(ctx context.Context) error {
		if s.calls > 1 {
			return errors.New("sibling")
		}
		return graph.PutCookie(ctx, &http.Cookie{Name: "a", Value: "1"})
	}
	got := newStubRig(t, s).query(t, "mutation{logout{sessionId}}", nil)
	if got.header.Get("Set-Cookie") != "a=1" {
		t.Errorf("got %q, want a=1", got.header.Get("Set-Cookie"))
	}
}

func TestRequestThatIsGone(t *testing.T) {
	s := &stub{}
	r := newStubRig(t, s)
	late, cancelLate := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancelLate()
	got := r.within(t, late, "mutation{logout{sessionId}}")
	if got.code() != "UNAVAILABLE" || got.hasData() || s.calls != 0 {
		t.Errorf("got %s after %d calls, want UNAVAILABLE and nothing executed", got.raw, s.calls)
	}
}

func TestTooManyAttempts(t *testing.T) {
	result := auth.TooManyAttemptsError{Message: "Wait.", Wait: 1500 * time.Millisecond}
	s := &stub{login: result, during: func(ctx context.Context) error { return graph.HandOut(ctx, result) }}
	got := newStubRig(t, s).query(t,
		`mutation{login(input:{email:"a",password:"b"}){__typename ...on TooManyAttemptsError{message retryAfter}}}`, nil)
	if got.text("login.__typename") != "TooManyAttemptsError" || got.at("login.retryAfter") != 2.0 || got.text("login.message") != "Wait." {
		t.Errorf("got %s", got.raw)
	}
	if got.header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After: got %q, want 2", got.header.Get("Retry-After"))
	}
}
