package model

// Newer is session.Checkpoint.Newer.
func (r Rules) Newer(c, other Hot) bool {
	if c.RecoveredAt != other.RecoveredAt && !r.NoEpochs {
		return c.RecoveredAt > other.RecoveredAt
	}
	if c.Generation != other.Generation {
		return c.Generation > other.Generation
	}
	return c.TurnedAt > other.TurnedAt
}

// Lifts reports whether what the ledger knows is newer than the hot state.
func (r Rules) Lifts(hot, known Hot) bool {
	return known.Generation > hot.Generation && (known.RecoveredAt >= hot.RecoveredAt || r.NoEpochs)
}

// Restore is the contract's Restore for a session without tombstone: hot is
// what the store has (found says whether it has anything), known what the
// ledger knows.
func (r Rules) Restore(hot Hot, found bool, known Hot, adopt uint64, now int64) Hot {
	before := hot
	if !found {
		before, hot = Hot{}, known
		hot.IdleExpiresAt = min(known.LastUsedAt+r.Idle, known.ExpiresAt)
	} else if r.Lifts(hot, known) {
		hot.Generation, hot.TurnedAt, hot.Attempt = known.Generation, known.TurnedAt, known.Attempt
		hot.RotatedBy, hot.Followed, hot.Follows = known.RotatedBy, known.Followed, known.Follows
		hot.RecoveredAt, hot.LastUsedAt = known.RecoveredAt, known.LastUsedAt
		hot.IdleExpiresAt = min(known.LastUsedAt+r.Idle, hot.ExpiresAt)
	}
	hot.Held = hot.Held || known.Held
	now = max(before.Time(now), hot.Time(now))
	if adopt > hot.Generation {
		hot.Generation, hot.TurnedAt, hot.Attempt, hot.RotatedBy = adopt, 0, 0, ""
		hot.LastUsedAt = now
		hot.IdleExpiresAt = min(now+r.Idle, hot.ExpiresAt)
	}
	if hot != before {
		hot.RecoveredAt = max(now, known.RecoveredAt+1, hot.RecoveredAt+1)
	}
	return hot
}
