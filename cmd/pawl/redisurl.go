package main

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/pawlauth/pawl/internal/secret"
)

// redisPlace is what a Redis URL says. The forms, each with rediss for TLS:
//
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
//	redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]/MASTER[/DB]
//	redis+cluster://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]
//
// User, password, TLS and database are those of the data nodes; TLS is used
// towards the Sentinels too.
type redisPlace struct {
	kind     string // redis, redis+sentinel, redis+cluster
	hosts    []string
	master   string
	user     string
	password secret.Text
	db       int
	secure   bool
}

// tls is nil for plain connections. Certificates are checked against each
// node's own host name.
func (p redisPlace) tls() *tls.Config {
	if !p.secure {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12}
}

// parseRedisURL reads a Redis URL. net/url cannot: it knows one host. Errors
// repeat nothing of it.
func parseRedisURL(text string) (redisPlace, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	p := redisPlace{kind: scheme}
	if plain, found := strings.CutPrefix(scheme, "rediss"); found {
		p.kind, p.secure = "redis"+plain, true
	}
	port := "6379"
	switch p.kind {
	case "redis", "redis+cluster":
	case "redis+sentinel":
		port = "26379"
	default:
		ok = false
	}
	if !ok {
		return p, errors.New("must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://")
	}
	if strings.ContainsAny(rest, "?#") {
		return p, errors.New("has no parameters; a ? or # in the password is written %3F or %23")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := p.credentials(authority[:at]); err != nil {
			return p, err
		}
		authority = authority[at+1:]
	}
	if err := p.addHosts(authority, port); err != nil {
		return p, err
	}
	return p, p.readPath(path)
}

func (p *redisPlace) credentials(userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	user, err1 := url.PathUnescape(user)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("has a % in user or password that is no escape; write it %25")
	}
	p.user, p.password = user, secret.New(password)
	return nil
}

func (p *redisPlace) addHosts(authority, port string) error {
	for host := range strings.SplitSeq(authority, ",") {
		if !strings.Contains(strings.TrimPrefix(host, "["), ":") || strings.HasSuffix(host, "]") {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		name, number, err := net.SplitHostPort(host)
		if n, numErr := strconv.ParseUint(number, 10, 16); err != nil || numErr != nil || n == 0 || name == "" {
			return errors.New("needs host or host:port for every node")
		}
		p.hosts = append(p.hosts, host)
	}
	if p.kind == "redis" && len(p.hosts) > 1 {
		return errors.New("names several nodes; begin with redis+sentinel:// or redis+cluster://")
	}
	return nil
}

func (p *redisPlace) readPath(path string) error {
	if p.kind == "redis+sentinel" {
		var err error
		p.master, path, _ = strings.Cut(path, "/")
		if p.master, err = url.PathUnescape(p.master); err != nil || p.master == "" {
			return errors.New("needs the name of the master, as in redis+sentinel://host,host/master")
		}
	}
	if path == "" {
		return nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return errors.New("has something other than a database number at its end")
	}
	if p.db = int(n); p.kind == "redis+cluster" && n != 0 {
		return errors.New("names a database; a Redis Cluster has number 0 only")
	}
	return nil
}

func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
