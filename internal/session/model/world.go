package model

import (
	"cmp"
	"slices"
)

// Ages are ticks since an event. Everything older than any window is old, so
// that the number of worlds is finite.
const (
	never   = 255
	maxTabs = 3
)

// hot is a session as the store, a snapshot or the ledger's checkpoint has it.
type hot struct {
	status     status
	generation uint8
	turned     uint8 // age of the last turn
	recovered  uint8 // age of the last recovery
	epoch      uint8 // orders the recoveries of a world; 0 for none
	attempt    int8  // a Mark
	held       bool
	by         presenter // of the last turn
	followed   uint8     // as in Hot
	follows    uint8
}

// presenter is whose network and agent a request comes from. It is told apart
// only in searches that count who follows whom.
type presenter uint8

const (
	anybody presenter = iota
	theOwner
	theThief
	theOtherNetwork // of the owner
)

// names are what the rules know presenters by.
func (p presenter) String() string { return [...]string{"", "owner", "thief", "other network"}[p] }

func presenterOf(name string) presenter {
	for p := theOwner; p <= theOtherNetwork; p++ {
		if p.String() == name {
			return p
		}
	}
	return anybody
}

type status uint8

const (
	missing status = iota
	live
	ended
)

// tab is one tab of the owner's browser, or the server that renders its pages,
// and its request, if it has one.
type tab struct {
	phase      phase
	renders    bool  // it is the rendering server's
	generation uint8 // presented
	attempt    int8  // presented
	age        uint8 // since it was sent
	carries    uint8 // the generation that the answer's cookie sets; 0 for none
	answered   bool  // the answer hands out tokens
	settles    bool  // its answer says that a lost one is no longer owed
	resent     bool  // the store already judged it once and the reply was lost
	by         presenter
}

type phase uint8

const (
	quiet phase = iota
	asking
	answering
)

// thief is whoever copied a refresh token.
type thief struct {
	generation uint8 // newest refresh token in his hands; 0 before the theft
	stolen     int8  // attempt id that came with the copy; 0 for none
	common     uint8 // the newest generation that both may hold without living through a turn together
	used       uint8 // age of his last use
	acted      bool  // did anything that can change a session
	parted     uint8 // ticks since the owner's divergent use, counted from 1; 0 before
	told       bool  // the session was reported as shared
}

// world is everything that can differ between two moments. It is comparable:
// equal worlds have equal futures.
type world struct {
	store, ledger, snapshot hot
	noted                   hot   // a checkpoint that waits to be written
	jar                     uint8 // generation in the cookie jar
	jarMax                  uint8 // newest generation that the owner ever held
	intent                  int8  // attempt id of the open refresh intent; 0 for none
	owed                    uint8 // age of a turn whose answer was lost and not repeated yet
	rests                   uint8 // ticks that the client sends nothing for
	used                    uint8 // age of the owner's last use
	losses, snapshots       uint8 // what may still happen
	over                    bool  // the session ended
	dead                    bool  // the ledger knows that
	gone                    bool  // the ledger dropped the row of the ended session
	afterlife               uint8 // turns after the end
	question                question
	refused                 uint8 // requests in a row that were answered "attempt used"
	tabs                    [maxTabs]tab
	thief                   thief
}

// question is what becomes of tokens that were handed out after the end: a
// checkpoint asks the ledger within seconds.
type question uint8

const (
	notNeeded question = iota
	asked
	forgotten // nothing asks
	unasked   // and time has passed
)

// Marks that no request can name any more.
const (
	deadClient = 100
	deadServer = -100
)

// canonical renames attempts in the order of their appearance and sorts the
// tabs: worlds that differ in names only are one.
func (w world) canonical() world {
	slices.SortFunc(w.tabs[:], compareTabs)
	var names [16]int8 // names[k] is what k+1 stands for
	count := 0
	visit := func(mark int8) {
		if mark == 0 || mark == deadClient || mark == deadServer || slices.Contains(names[:count], mark) {
			return
		}
		names[count] = mark
		count++
	}
	visit(w.intent)
	visit(w.thief.stolen)
	for i := range w.tabs {
		visit(w.tabs[i].attempt)
	}
	rename := func(mark *int8) {
		if *mark == 0 {
			return
		}
		at := slices.Index(names[:count], *mark)
		switch {
		case at >= 0 && *mark > 0:
			*mark = int8(at + 1)
		case at >= 0:
			*mark = -int8(at + 1)
		case *mark > 0:
			*mark = deadClient
		default:
			*mark = deadServer
		}
	}
	for _, mark := range []*int8{
		&w.intent, &w.thief.stolen, &w.store.attempt, &w.ledger.attempt, &w.snapshot.attempt, &w.noted.attempt,
		&w.tabs[0].attempt, &w.tabs[1].attempt, &w.tabs[2].attempt,
	} {
		rename(mark)
	}
	w.countEpochs()
	return w
}

// hots are all places where the hot state is written down.
func (w *world) hots() [4]*hot { return [4]*hot{&w.store, &w.ledger, &w.snapshot, &w.noted} }

// countEpochs names the recoveries 1, 2, 3 … in their order.
func (w *world) countEpochs() {
	var epochs []uint8
	for _, h := range w.hots() {
		if h.epoch != 0 && !slices.Contains(epochs, h.epoch) {
			epochs = append(epochs, h.epoch)
		}
	}
	slices.Sort(epochs)
	for _, h := range w.hots() {
		if h.epoch != 0 {
			h.epoch = uint8(slices.Index(epochs, h.epoch) + 1)
		}
	}
}

func compareTabs(a, b tab) int { return cmp.Compare(a.key(), b.key()) }

func (t tab) key() uint64 {
	return uint64(2-t.phase)<<48 | uint64(t.generation)<<40 | uint64(t.age)<<32 | uint64(t.carries)<<24 |
		uint64(uint8(t.attempt))<<16 | uint64(t.by)<<8 | uint64(bit(t.answered))<<1 | uint64(bit(t.settles))<<2 |
		uint64(bit(t.resent))<<3 | uint64(bit(t.renders))<<4
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// fresh is an attempt that nothing names.
func (w *world) fresh(client bool) int8 {
	for n := int8(20); ; n++ {
		mark := n
		if !client {
			mark = -n
		}
		taken := w.intent == mark || w.thief.stolen == mark || w.store.attempt == mark ||
			w.ledger.attempt == mark || w.snapshot.attempt == mark || w.noted.attempt == mark
		for _, t := range w.tabs {
			taken = taken || t.attempt == mark
		}
		if !taken {
			return mark
		}
	}
}
