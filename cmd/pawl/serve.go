package main

import (
	"os"
	"runtime/debug"
	"time"

	"github.com/pawlauth/pawl/internal/secret"
)

// followServe is how long a running server may take to follow a change that
// only the ledger knows.
const followServe = 30 * time.Second

type serveCmd struct {
	serverFlags  `embed:""`
	storeFlags   `embed:""`
	SessionStore string `env:"PAWL_SESSION_STORE" default:"redis" placeholder:"redis" help:"Where live sessions are kept: redis, or memory for a single node. Default: redis."`
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
	s, err := c.serverFlags.settings(limits{shortest: time.Minute, argon2Floor: true})
	if err == nil {
		err = c.stores(&s)
	}
	if err != nil {
		return err
	}
	tuneMemory(s)
	ctx, stop := untilSignal()
	defer stop()
	n := &node{settings: s, log: newLog(io.err, s), ready: func(int) {}}
	return n.run(ctx)
}

// stores takes over what serve demands beyond the common settings.
func (c *serveCmd) stores(s *settings) error {
	var r reader
	memory := oneOf(&r, "PAWL_SESSION_STORE", c.SessionStore, choices[bool]{{"redis", false}, {"memory", true}})
	for _, required := range []struct{ setting, value string }{
		{"PAWL_DATABASE_URL", c.DatabaseURL}, {"PAWL_KEYS_DIR", c.KeysDir},
	} {
		if required.value == "" {
			r.refuse(required.setting, "must be set")
		}
	}
	switch {
	case memory && c.RedisURL != "":
		r.refuse("PAWL_REDIS_URL", "contradicts PAWL_SESSION_STORE=memory, which uses no Redis; take one of them away")
	case !memory && c.RedisURL == "":
		r.refuse("PAWL_REDIS_URL", "must be set, or PAWL_SESSION_STORE=memory chosen for a single node")
	case c.RedisURL != "":
		if _, err := parseRedisURL(c.RedisURL); err != nil {
			r.refuse("PAWL_REDIS_URL", err.Error())
		}
	}
	c.storeFlags.into(s)
	s.keysDir, s.secureCookie, s.reconcile = c.KeysDir, true, followServe
	return r.err
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
