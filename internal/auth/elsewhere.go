package auth

import (
	"sync"

	"github.com/google/uuid"
)

// maxElsewheres is how many sessions are remembered.
const maxElsewheres = 10_000

// elsewheres remembers of which generation of a session it was recorded that
// somebody asked for an access token from elsewhere: servers that render do so for
// every page. It forgets all when it is full; what is recorded twice does no harm.
type elsewheres struct {
	mu   sync.Mutex
	last map[uuid.UUID]uint64
}

// first reports whether this is the first time for the generation.
func (e *elsewheres) first(id uuid.UUID, generation uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last[id] == generation {
		return false
	}
	if e.last == nil || len(e.last) >= maxElsewheres {
		e.last = make(map[uuid.UUID]uint64)
	}
	e.last[id] = generation
	return true
}
