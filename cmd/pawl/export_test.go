package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"
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
	_, err := placeAll(dir, files, "")
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

// GateSettings are what a server does about logins.
type GateSettings struct {
	Network, Account, Success, Refresh string // as they are set
	Least                              time.Duration
	Hash                               string // memory, time, parallelism
	AtOnce                             int
	Words                              []string
}

// DefaultGates are the settings that pawl dev and pawl serve have of their own.
func DefaultGates() (dev, serve GateSettings, err error) {
	gates := func(command string, read func(c *cli, r *reader) settings) (g GateSettings, err error) {
		c := &cli{}
		parser, err := kong.New(c)
		if err == nil {
			_, err = parser.Parse([]string{command, "--issuer=https://id.example.org/eu", "--audience=api"})
		}
		if err != nil {
			return g, err
		}
		var r reader
		s := read(c, &r)
		return GateSettings{
			Network: s.loginRate.String(), Account: s.loginSchedule.String(), Success: s.loginSuccessRate.String(), Refresh: s.refreshRate.String(), Least: s.loginMin,
			Hash: fmt.Sprint(s.argon2), AtOnce: s.hashConcurrency, Words: s.passwordWords,
		}, r.err
	}
	dev, devErr := gates("dev", func(c *cli, r *reader) settings { return c.Dev.settings(r, limits{shortest: time.Second}) })
	serve, serveErr := gates("serve", func(c *cli, r *reader) settings {
		return c.Serve.settings(r, limits{shortest: time.Minute, argon2Floor: true})
	})
	return dev, serve, errors.Join(devErr, serveErr)
}
