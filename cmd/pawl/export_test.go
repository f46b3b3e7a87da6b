package main

// What the tests of the program reach into it for.
var (
	Main          = main
	ParseRedisURL = parseRedisURL
	RedisClient   = redisClient
)

// Parts of a Redis URL, for comparison.
func (p redisPlace) Parts() (kind string, hosts []string, master, user, password string, db int, secure bool) {
	return p.kind, p.hosts, p.master, p.user, p.password.Reveal(), p.db, p.secure
}
