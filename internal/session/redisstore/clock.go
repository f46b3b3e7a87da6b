package redisstore

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// slowReply is the round trip above which a reply says too little about the
// server's clock to be learnt from, once something is known.
const slowReply = 50 * time.Millisecond

// allSlots is how many slots a Cluster has.
const allSlots = 16384

// offset is how far a server's clock is ahead of this process's.
type offset struct {
	known atomic.Bool
	ahead atomic.Int64 // milliseconds
}

// clocks is how many offsets a store keeps: one, or one per slot where every
// shard of a Cluster has a clock of its own. A slot may move to another shard,
// and learns that shard's clock with the next reply, as a store does whose
// server was replaced; no slot ever hears another's.
func clocks(client redis.UniversalClient) int {
	if _, cluster := client.(*redis.ClusterClient); cluster {
		return allSlots
	}
	return 1
}

func (s *Store) clockOf(key string) *offset {
	if len(s.offsets) == 1 {
		return &s.offsets[0]
	}
	return &s.offsets[slot(key)]
}

// serverNow is the time in milliseconds of the server that holds key, as far as
// this process knows it. The first call asks.
func (s *Store) serverNow(ctx context.Context, key string) (int64, error) {
	if s.now != nil {
		return s.now().UnixMilli(), nil
	}
	clock := s.clockOf(key)
	if !clock.known.Load() {
		sent := time.Now()
		t, err := s.time.Run(ctx, s.client, []string{key}).Int64()
		if err != nil {
			return 0, fmt.Errorf("redisstore: %w", err)
		}
		s.learn(key, sent, time.Now(), t, true)
	}
	return time.Now().UnixMilli() + clock.ahead.Load(), nil
}

// learn takes the clock of the server that holds key from a reply that was sent
// and received at the given times.
func (s *Store) learn(key string, sent, received time.Time, server int64, always bool) {
	if s.now != nil {
		return
	}
	if trip := received.Sub(sent); always || trip <= slowReply {
		clock := s.clockOf(key)
		clock.ahead.Store(server - sent.Add(trip/2).UnixMilli())
		clock.known.Store(true)
	}
}

// testClock is the first argument of every script.
func (s *Store) testClock() any {
	if s.now == nil {
		return ""
	}
	return s.now().UnixMilli()
}

// slot is where a Cluster keeps key: CRC-16/XMODEM of what stands in its braces
// (the Cluster specification, "Key distribution model" and "Hash tags").
func slot(key string) int {
	if _, tag, found := strings.Cut(key, "{"); found {
		if tag, _, found = strings.Cut(tag, "}"); found && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			top := crc & 0x8000
			crc <<= 1
			if top != 0 {
				crc ^= 0x1021
			}
		}
	}
	return int(crc) % allSlots
}
