package main

import (
	"io"
	"time"
)

// What the tests of the program reach into it for.
var (
	Run           = run
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

// Account is one that an import adds.
type Account struct{ Email, Hash, Role string }

// ReadAccounts reads an import; problems are those of its lines, by number.
func ReadAccounts(file io.Reader) (accounts []Account, problems map[int]string, err error) {
	read, bad, err := readAccounts(file)
	for _, a := range read {
		accounts = append(accounts, Account{a.email, a.hash.Reveal(), string(a.role)})
	}
	problems = map[int]string{}
	for _, b := range bad {
		problems[b.Line] += b.Problem
	}
	return accounts, problems, err
}

// Clocks is the level of two clocks that are so far apart, when the question
// took that long.
func Clocks(apart, between time.Duration) (level, found string) {
	asked := time.Now()
	f := clocks("it", asked.Add(between/2+apart), asked, between, problem)
	return string(f.Level), f.String()
}
