package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

const (
	// keysLook is how often a running server looks at its keys.
	keysLook = 10 * time.Second
	// keysPause is how long a folder may be half replaced.
	keysPause = 200 * time.Millisecond
	// longestSession is the most that PAWL_ABSOLUTE_TTL can be.
	longestSession = 90 * 24 * time.Hour
)

// liveKeys are the keys of a running server. They follow their folder and the
// time: readers find a whole set at any moment, for one atomic load.
type liveKeys struct {
	dir    string
	config token.Config
	now    func() time.Time

	keys    atomic.Pointer[auth.Keys]
	signing atomic.Pointer[token.Keyring] // the ring of access keys, which is published

	// Of whoever loads:
	files keyFiles // the last that could be used
	set   keySet   // what they came to
}

// load takes over what the folder and the time have changed, and says what that
// is. Where the folder cannot be used the keys before go on, and so does time;
// but a key is revoked as soon as a mark says so, whatever else is wrong there,
// and stays so when the mark is gone.
func (l *liveKeys) load() ([]keyChange, error) {
	files, err := loadKeys(l.dir, ofServer())
	if err == nil {
		var changes []keyChange
		if changes, err = l.take(files.revokedBy(l.files.marks)); err == nil {
			return changes, nil
		}
	}
	if len(l.files.access) == 0 {
		return nil, err
	}
	changes, takeErr := l.take(l.files.revokedBy(marksOf(l.dir, ofServer())))
	if takeErr != nil { // no key would be left
		changes, _ = l.take(l.files) // they were usable before
	}
	return changes, err
}

func (l *liveKeys) take(files keyFiles) ([]keyChange, error) {
	set, err := files.at(l.now())
	if err != nil {
		return nil, err
	}
	if l.keys.Load() != nil && set.print() == l.set.print() {
		l.files = files
		return nil, nil
	}
	keys, signing, err := set.keys(l.config, l.now)
	if err != nil {
		return nil, err
	}
	var changes []keyChange
	if l.keys.Load() != nil {
		changes = l.set.changes(set)
	}
	l.files, l.set = files, set
	l.signing.Store(signing)
	l.keys.Store(keys)
	return changes, nil
}

// keyChange is something that happened to a key.
type keyChange struct {
	name audit.Name
	kind keyKind
	id   string
}

// changes tells what is new in a later set.
func (s keySet) changes(later keySet) []keyChange {
	var all []keyChange
	add := func(name audit.Name, k keyFile) { all = append(all, keyChange{name, k.kind, k.id}) }
	before, after := s.states(), later.states()
	for _, k := range slices.Concat(later.access, later.refresh) {
		switch was := before[k.id]; {
		case k.state == was:
		case k.state == keyPublished:
			add(audit.KeyPublished, k.keyFile)
		case k.state == keyInUse:
			add(audit.KeyActivated, k.keyFile)
		case k.state == keyGone && was != "":
			add(audit.KeyRetired, k.keyFile)
		}
	}
	for _, k := range slices.Concat(s.access, s.refresh) {
		if _, there := after[k.id]; !there && k.state != keyGone && !later.revoked(k.kind, k.id) {
			add(audit.KeyRetired, k.keyFile)
		}
	}
	for _, m := range later.marks {
		if m.revoked && !s.revoked(m.kind, m.id) {
			all = append(all, keyChange{audit.KeyRevoked, m.kind, m.id})
		}
	}
	return all
}

func (s keySet) states() map[string]keyState {
	states := make(map[string]keyState)
	for _, k := range slices.Concat(s.access, s.refresh) {
		states[k.id] = k.state
	}
	return states
}

func (s keySet) revoked(kind keyKind, id string) bool { return !revokedAt(s.marks, kind, id).IsZero() }

// follow looks at the folder every keysLook, and at once when told to, until ctx
// ends. It records each change and has the sessions of revoked refresh keys
// ended. A folder that cannot be used is told once for each problem.
func (l *liveKeys) follow(ctx context.Context, now <-chan os.Signal, events *audit.Log, withdraw func(context.Context, ...session.KeyID), log *slog.Logger) {
	var work sync.WaitGroup
	defer work.Wait()
	end := func(ids ...session.KeyID) {
		if len(ids) > 0 {
			work.Go(func() { withdraw(ctx, ids...) })
		}
	}
	// Sessions that another server began before it knew of a revocation.
	end(l.set.withdrawn(l.now().Add(-longestSession))...)
	look := time.NewTicker(keysLook)
	defer look.Stop()
	for told := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-now:
		}
		changes, err := l.loadTwice(ctx)
		told = tellProblem(log, told, err)
		for _, c := range changes {
			events.Record(audit.Event{Name: c.name, Details: map[string]string{"kind": string(c.kind), "key": c.id}})
			if id, err := session.ParseKeyID(c.id); err == nil && c.kind == refreshKind && c.name == audit.KeyRevoked {
				end(id)
			}
		}
	}
}

// loadTwice loads, and once more where that failed: the folder may have been
// replaced this moment.
func (l *liveKeys) loadTwice(ctx context.Context) ([]keyChange, error) {
	changes, err := l.load()
	if err == nil {
		return changes, nil
	}
	select {
	case <-ctx.Done():
		return changes, nil
	case <-time.After(keysPause):
	}
	more, err := l.load()
	return append(changes, more...), err
}

// tellProblem logs a problem with the folder unless it was told, and its end. It
// returns what is told now.
func tellProblem(log *slog.Logger, told string, err error) string {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	switch {
	case problem == told:
	case problem != "":
		log.Error("the folder of the keys cannot be used; the keys before go on", "event", "key.refused", "setting", "PAWL_KEYS_DIR", "problem", problem)
	default:
		log.Info("the folder of the keys can be used again", "event", "key.accepted")
	}
	return problem
}
