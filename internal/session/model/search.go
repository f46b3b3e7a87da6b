package model

// Config bounds a search. Windows are ticks.
type Config struct {
	Tabs        int
	Attempts    bool  // the owner's tabs send attempt ids
	Grace       uint8 // reuse grace
	Retry       uint8 // retry window
	Flight      uint8 // longest time from sending a request to its answer
	LostFor     uint8 // a lost answer is asked for again within this time of the turn
	Generations uint8 // turns beyond this generation are not looked at
	Losses      uint8 // flushes and rollbacks; the row of a recovery is written before the next
	Snapshots   uint8 // snapshots that a rollback can bring back
	Late        bool  // a checkpoint may wait before it is written
	Resend      bool  // the store may judge a request twice, after a lost reply of its own
	Halves      bool  // an answer may break off after its cookie, so that its attempt stays open
	Rests       bool  // after the answer to a lost one nothing is sent until what is on its way has arrived
	Prune       bool  // tombstones, and the ledger's rows of ended sessions, are forgotten
	LateEnds    bool  // the ledger may learn of an end late
	Presenters  bool  // presenters are told apart
	Roaming     bool  // the owner's requests come from two networks
	Bound       bool  // the session is bound, the thief elsewhere, and one of two servers binds no new ones
	RendersAfar bool  // the session is bound, and the rendering server elsewhere
	TwoServers  bool  // requests come to a second server with the windows of its own that follow
	OtherGrace  uint8
	OtherRetry  uint8
	Renderer    Renderer
	Thief       Thief
	MaxStates   int // gives up after so many; 0 looks at all

	// UnchangedSetsCookie: an answer that repeats the presented token sets the
	// cookie too, and may overtake, or be overtaken by, another answer.
	UnchangedSetsCookie bool
	RepeatsAttempt      bool // the client never draws a fresh attempt id
	PruneEarly          bool // tombstones are forgotten before the ledger knows the end
	MissingRowLives     bool // a session that the ledger does not know is taken to live
	AccessAsksNothing   bool // after an access token only, no checkpoint asks the ledger

	Rules // what is switched off; the windows are those above
}

type search struct {
	Config
	explorer[world]
	rules   Rules    // of the first server
	servers []server // a request may come to any
}

// Search looks at every world that can be reached, nearest first, and stops at
// the first violation.
func Search(c Config) Result {
	s := &search{Config: c, rules: c.Rules}
	s.rules.Idle, s.rules.Grace, s.rules.Retry = 1<<40, windowMillis(c.Grace), windowMillis(c.Retry)
	s.servers = []server{{rules: s.rules}}
	if c.TwoServers || c.Bound {
		other := server{rules: s.rules, unbinding: c.Bound}
		if c.TwoServers {
			other.rules.Grace, other.rules.Retry = windowMillis(c.OtherGrace), windowMillis(c.OtherRetry)
		}
		s.servers = append(s.servers, other)
	}
	return s.explore(c.start().canonical(), c.MaxStates, s.expand)
}

// start is a session just after its login; against a thief of a client with
// attempt ids, one that is held and whose checkpoint says so.
func (c Config) start() world {
	h := hot{status: live, generation: 1, turned: never, recovered: never}
	if c.Attempts && c.Thief != NoThief {
		h.generation, h.held, h.attempt = 2, !c.NothingHeld, deadClient
	}
	w := world{
		store: h, ledger: h, jar: h.generation, jarMax: h.generation,
		owed: never, used: never, losses: c.Losses, snapshots: c.Snapshots,
	}
	if c.Presenters {
		w.store.by = theOwner
	}
	w.thief.used = never
	return w
}

// arrive is reach for worlds that differ in more than names.
func (s *search) arrive(w world, format string, args ...any) {
	s.reach(w.canonical(), format, args...)
}

func (s *search) expand(w world) {
	s.requests(w)
	s.lossesOf(w)
	s.checkpoints(w)
	s.ends(w)
	s.theft(w)
	s.tick(w)
}
