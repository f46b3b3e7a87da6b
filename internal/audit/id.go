package audit

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// ids makes UUIDs of version 7 (RFC 9562, section 5.7): ordered by the
// millisecond of the event, and those of one log in one millisecond by a count
// in the 12 bits after it. So one index is the order of time, and an event that
// is written twice meets its own row.
type ids struct {
	last  int64 // milliseconds
	count uint16
}

func (g *ids) next(at time.Time) uuid.UUID {
	ms := at.UnixMilli()
	if ms == g.last {
		g.count++
	} else {
		g.last, g.count = ms, 0
	}
	id := firstID(at)
	_, _ = rand.Read(id[8:]) // never fails
	id[6], id[7] = 0x70|byte(g.count>>8)&0x0f, byte(g.count)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// firstID is the least id that an event of this millisecond can have.
func firstID(at time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(max(at.UnixMilli(), 0))<<16)
	id[6], id[8] = 0x70, 0x80
	return id
}
