package auth

import (
	"context"
	"errors"
	"time"
)

// Flush writes all waiting checkpoints now.
func (s *Service) Flush(ctx context.Context) { s.checkpoints.flush(ctx, true) }

// FlushDue writes the checkpoints that are due now.
func (s *Service) FlushDue(ctx context.Context) { s.checkpoints.flush(ctx, false) }

// Settle pays what is owed once.
func (s *Service) Settle(ctx context.Context) {
	s.endings.settleWith(ctx, toLedger)
	s.endings.settleWith(ctx, toStore)
}

// LimitDebts sets how many ends may be owed.
func (s *Service) LimitDebts(n int) { s.endings.debts.limit = n }

// BatchCheckpoints sets how many sessions one statement of checkpoints has.
func (s *Service) BatchCheckpoints(n int) { s.checkpoints.batch = n }

// TakeOver reads the ledger's revocations once.
func (s *Service) TakeOver(ctx context.Context) error {
	list, t := s.listReader(), newTombstones(s.endings, s.tombstoneReader())
	return errors.Join(list.look(ctx, s.list), t.reader.look(ctx, t.write))
}

// CleanEvery lets Run clean more often.
func (s *Service) CleanEvery(d time.Duration) { s.cleanEvery = d }

// PageEnds sets how many ends one read of the ledger returns.
func (s *Service) PageEnds(n int) { s.listPage, s.tombstonePage = n, n }
