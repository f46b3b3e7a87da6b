package redisstore

import (
	"context"
	"fmt"
	"time"
)

// slowReply is the round trip above which a reply says too little about the
// server's clock to be learnt from, once something is known.
const slowReply = 50 * time.Millisecond

// serverNow is the server's time in milliseconds as far as this process knows
// it. The first call asks.
func (s *Store) serverNow(ctx context.Context, key string) (int64, error) {
	if s.now != nil {
		return s.now().UnixMilli(), nil
	}
	if !s.known.Load() {
		sent := time.Now()
		t, err := s.time.Run(ctx, s.client, []string{key}).Int64()
		if err != nil {
			return 0, fmt.Errorf("redisstore: %w", err)
		}
		s.learn(sent, time.Now(), t, true)
	}
	return time.Now().UnixMilli() + s.ahead.Load(), nil
}

// learn takes the server's clock from a reply that was sent and received at
// the given times.
func (s *Store) learn(sent, received time.Time, server int64, always bool) {
	if s.now != nil {
		return
	}
	if trip := received.Sub(sent); always || trip <= slowReply {
		s.ahead.Store(server - sent.Add(trip/2).UnixMilli())
		s.known.Store(true)
	}
}

// testClock is the first argument of every script.
func (s *Store) testClock() any {
	if s.now == nil {
		return ""
	}
	return s.now().UnixMilli()
}
