package throttle

import "time"

// NewSmallMemory is a memory of one shard that holds at most limit entries.
func NewSmallMemory(now func() time.Time, limit int) *Memory { return newMemory(now, 1, limit) }

// Len is how many buckets and lanes the memory holds.
func (m *Memory) Len() int {
	return m.sum(func(s *shard) int { return len(s.buckets) + s.lanes })
}

// Accounts is how many accounts it holds lanes of.
func (m *Memory) Accounts() int { return m.sum(func(s *shard) int { return len(s.accounts) }) }

func (m *Memory) sum(of func(*shard) int) int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += of(s)
		s.mu.Unlock()
	}
	return n
}

// Sweep looks at every entry of a shard.
func (m *Memory) Sweep() {
	s := &m.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(m.now().Sub(m.began).Microseconds(), 0)
}
