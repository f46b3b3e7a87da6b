package password

import (
	"context"

	"github.com/pawlauth/pawl/internal/secret"
)

// Verify is [Turn.Verify] in a turn of its own.
func (h *Hasher) Verify(ctx context.Context, network string, stored, password secret.Text) (Result, error) {
	turn, err := h.Enter(network)
	if err != nil {
		return Result{}, err
	}
	defer turn.Leave()
	return turn.Verify(ctx, stored, password)
}

// Occupy takes one slot of h, as a hash in progress does. The slot must be free.
func Occupy(h *Hasher) (release func()) {
	turn, err := h.Enter("")
	if err == nil {
		err = h.queue.start(context.Background(), turn.turn)
	}
	if err != nil {
		panic(err)
	}
	return turn.Leave
}

// Free is how many slots of h nobody has.
func Free(h *Hasher) int {
	h.queue.mu.Lock()
	defer h.queue.mu.Unlock()
	return h.queue.free
}

// Leaked is the rule of leaked passwords alone.
func Leaked(text string) bool { return leaked(fold(text)) }

// HasRun reports whether a run stands in a text of ASCII.
func HasRun(text string) bool {
	for i := range text {
		if run([]rune(text[i:])) >= shortestRun {
			return true
		}
	}
	return false
}

// LeakedWords is the embedded list.
func LeakedWords() []string { return leakedWords() }

// DecodePHC reads an Argon2id hash and writes it again.
func DecodePHC(text string) (params Params, again string, ok bool) {
	a, ok := decodeArgon2(text)
	if !ok {
		return Params{}, "", false
	}
	return a.params, a.encode(), true
}
