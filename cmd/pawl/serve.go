package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/pawlauth/pawl/internal/secret"
)

// followServe is how long a running server may take to follow a change that
// only the ledger knows.
const followServe = 30 * time.Second

type serveCmd struct {
	productionFlags `embed:""`
}

// productionFlags are the settings of serve.
type productionFlags struct {
	serverFlags  `embed:""`
	storeFlags   `embed:""`
	tlsFlags     `embed:""`
	SessionStore string `env:"PAWL_SESSION_STORE" default:"redis" placeholder:"redis" help:"Where live sessions are kept: redis, or memory for a single node. Default: redis."`
	StaleAfter   string `name:"revocation-stale-after" env:"PAWL_REVOCATION_STALE_AFTER" default:"3s" placeholder:"3s" help:"Without news of ended sessions for this long, access tokens are checked one by one, 500ms to 1m. Default: 3s."`
	Fail         string `name:"revocation-fail" env:"PAWL_REVOCATION_FAIL" default:"closed" placeholder:"closed" help:"When that is impossible too: closed refuses access tokens as UNAVAILABLE, open accepts them until they expire. Default: closed."`
	KeysDir      string `env:"PAWL_KEYS_DIR" placeholder:"DIR" help:"The folder of the keys, as pawl keys init makes it."`
}

// storeFlags say where the stores are.
type storeFlags struct {
	DatabaseURL           string `name:"database-url" env:"PAWL_DATABASE_URL" placeholder:"URL" help:"postgres://USER:PASSWORD@HOST/NAME, or sqlite:PATH."`
	RedisURL              string `name:"redis-url" env:"PAWL_REDIS_URL" placeholder:"URL" help:"redis://, rediss:// (TLS), redis+sentinel://HOST,HOST/MASTER or redis+cluster://HOST,HOST."`
	RedisSentinelPassword string `env:"PAWL_REDIS_SENTINEL_PASSWORD" placeholder:"PASSWORD" help:"Password of the Sentinels."`
}

// Run serves until it is told to stop.
func (c *serveCmd) Run(io streams) error {
	err := c.serve(io)
	c.tellRefused(io.err, err)
	return err
}

func (c *serveCmd) serve(io streams) error {
	var r reader
	s := c.read(&r)
	if r.err != nil {
		return r.err
	}
	tuneMemory(s)
	ctx, stop := untilSignal()
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	n := &node{settings: s, log: newLog(io.err, s), ready: func(int) {}, reload: reload}
	return n.run(ctx)
}

// read checks every setting of serve; r has what is wrong with them.
func (f *productionFlags) read(r *reader) settings {
	s := f.settings(r, limits{shortest: time.Minute, argon2Floor: true})
	f.stores(r, &s)
	s.certificate = f.certificate(r)
	return s
}

// stores takes over what serve demands beyond the common settings.
func (f *productionFlags) stores(r *reader, s *settings) {
	memory := oneOf(r, "PAWL_SESSION_STORE", f.SessionStore, choices[bool]{{"redis", false}, {"memory", true}})
	for _, required := range []struct{ setting, value string }{
		{"PAWL_DATABASE_URL", f.DatabaseURL}, {"PAWL_KEYS_DIR", f.KeysDir},
	} {
		if required.value == "" {
			r.refuse(required.setting, "must be set")
		}
	}
	switch {
	case !r.good("PAWL_SESSION_STORE"): // nobody knows whether there shall be a Redis
	case memory && f.RedisURL != "":
		r.refuse("PAWL_REDIS_URL", "contradicts PAWL_SESSION_STORE=memory, which uses no Redis; take one of them away")
	case !memory && f.RedisURL == "":
		r.refuse("PAWL_REDIS_URL", "must be set, or PAWL_SESSION_STORE=memory chosen for a single node")
	case f.RedisURL != "":
		if _, err := parseRedisURL(f.RedisURL); err != nil {
			r.refuse("PAWL_REDIS_URL", err.Error())
		}
	}
	if !memory {
		s.staleAfter = r.duration("PAWL_REVOCATION_STALE_AFTER", f.StaleAfter, 500*time.Millisecond, time.Minute)
	}
	s.failOpen = oneOf(r, "PAWL_REVOCATION_FAIL", f.Fail, choices[bool]{{"closed", false}, {"open", true}})
	f.storeFlags.into(s)
	s.keysDir, s.secureCookie, s.reconcile = f.KeysDir, true, followServe
}

func (f storeFlags) into(s *settings) {
	s.databaseURL = secret.New(f.DatabaseURL)
	s.redisURL = secret.New(f.RedisURL)
	s.sentinelPass = secret.New(f.RedisSentinelPassword)
}

// tuneMemory trades memory for fewer collections, within a limit, unless the
// operator chose: a server of short requests spends much of its time collecting.
func tuneMemory(s settings) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		hashes := int64(s.hashConcurrency) * int64(s.argon2.MemoryKiB) << 10
		debug.SetMemoryLimit(512<<20 + 2*hashes)
	}
}
