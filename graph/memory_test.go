package graph_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/graph"
)

// What was typed into a document or sent as a variable is not in the memory of
// the process any more when the requests are over.
func TestPasswordsLeaveTheMemory(t *testing.T) {
	const logins = 100
	typed := uuid.NewString() // nowhere in the program's text
	r := newStubRig(t, &stub{})
	done := make(chan struct{})
	go func() { // whose stack goes with it
		defer close(done)
		for i := range logins {
			password := fmt.Sprintf("%s+%03d", typed, i)
			r.query(t, `mutation{login(input:{email:"a",password:"`+password+`"}){__typename}}`, nil)
			r.query(t, `mutation($i:LoginInput!){login(input:$i){__typename}}`, map[string]any{
				"i": map[string]any{"email": "a", "password": password},
			})
			r.query(t, "{"+strings.Repeat(" ", i)+"__typename} # "+password, nil)
		}
	}()
	<-done
	runtime.GC()
	runtime.GC() // of a pool, too
	found := map[string]bool{}
	dump := heap(t)
	runtime.KeepAlive(r)
	for _, match := range regexp.MustCompile(regexp.QuoteMeta(typed)+`\+\d{3}`).FindAll(dump, -1) {
		found[string(match)] = true
	}
	// What is unused of stacks and registers may hold the last ones.
	if len(found) > logins/10 {
		t.Errorf("the memory holds %d of %d passwords, want none but the last", len(found), logins)
	}
}

// heap is everything that is alive in the memory of this process.
func heap(t *testing.T) []byte {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	debug.WriteHeapDump(file.Fd())
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	dump, err := os.ReadFile(file.Name())
	if err != nil || len(dump) < 1<<20 {
		t.Fatalf("got a dump of %d bytes (%v), want the whole memory", len(dump), err)
	}
	return dump
}

// Buffers that serve one request after another hold nothing of the one before,
// and no room that only a large one needs.
func TestBuffersAreGivenBackEmpty(t *testing.T) {
	r := newRig(t)
	used := 0
	for i := range 50 { // a pool may drop what it is given
		r.send(t, http.MethodPost, `{"query":"{__typename}","variables":{"password":"`+marker+`"}}`)
		if i%10 == 9 {
			r.send(t, http.MethodPost, typename+strings.Repeat(" ", graph.DefaultMaxBody-len(typename)))
		}
		left := graph.Leftover(r.handler)
		if bytes.Contains(left, []byte(marker)) {
			t.Fatalf("a buffer still holds %q", bytes.Trim(left, "\x00"))
		}
		if len(left) > 64<<10 {
			t.Fatalf("a buffer of %d bytes is kept, want at most 64 KiB", len(left))
		}
		used += min(len(left), 1)
	}
	if used == 0 {
		t.Error("no buffer was ever used again")
	}
}
