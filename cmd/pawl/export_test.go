package main

// What the tests of the program reach into it for.
var (
	Main          = main
	ParseRedisURL = parseRedisURL
	RedisClient   = redisClient
	PlainSQLite   = plainSQLite
)

// PlaceKeys writes files of these names into a folder, as the first keys are.
func PlaceKeys(dir string, names ...string) error {
	files := make([]keyText, len(names))
	for i, name := range names {
		files[i] = keyText{name, []byte(name)}
	}
	_, err := placeAll(dir, files)
	return err
}

// Parts of a Redis URL, for comparison.
func (p redisPlace) Parts() (kind string, hosts []string, master, user, password string, db int, secure bool) {
	return p.kind, p.hosts, p.master, p.user, p.password.Reveal(), p.db, p.secure
}
