package auth

import (
	"context"
	"sync"
)

type readsKey struct{}

// reads are what the fields of one request have read. Fields that ask for the
// same, by aliases, share one answer: a request costs the stores no more, however
// often it names a field.
type reads struct {
	mu   sync.Mutex
	done map[any]any // key: func() (T, error)
}

// once reads what the key stands for, or waits for a field of the same request
// that does, and shares its answer. The answer must not be changed.
func once[T any](ctx context.Context, key any, read func() (T, error)) (T, error) {
	r, _ := ctx.Value(readsKey{}).(*reads)
	if r == nil {
		return read()
	}
	r.mu.Lock()
	answer, known := r.done[key].(func() (T, error))
	if !known {
		answer = sync.OnceValues(read)
		if r.done == nil {
			r.done = make(map[any]any)
		}
		r.done[key] = answer
	}
	r.mu.Unlock()
	return answer()
}
