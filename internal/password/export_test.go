package password

import (
	"context"

	"github.com/pawlauth/pawl/internal/secret"
)

// Verify is [Slot.Verify] in a slot of its own.
func (h *Hasher) Verify(ctx context.Context, network string, stored, password secret.Text) (Result, error) {
	slot, err := h.Enter(ctx, network)
	if err != nil {
		return Result{}, err
	}
	defer slot.Leave()
	return slot.Verify(stored, password), nil
}

// Occupy takes one slot of h, as a hash in progress does. The slot must be free.
func Occupy(h *Hasher) (release func()) {
	if err := h.queue.enter(context.Background(), ""); err != nil {
		panic(err)
	}
	return h.queue.leave
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
