package main_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// TestDistantRedis: a server whose Redis is far away starts late, and no worse:
// opening a connection takes several replies, and no try starts over for that.
func TestDistantRedis(t *testing.T) {
	t.Parallel()
	p := newPlant(t, nil)
	ended := p.login("BODY")
	p.leaves(ended, "before the start")
	p.server.stop()
	url := p.env["PAWL_REDIS_URL"]
	for _, database := range []string{"", "/3"} { // choosing one takes a reply too
		for _, late := range []time.Duration{250 * time.Millisecond, 600 * time.Millisecond} {
			when := "with replies late by " + late.String()
			p.redis.Set(faultproxy.Weather{Late: late})
			p.env["PAWL_REDIS_URL"] = url + database
			began := time.Now()
			p.server, p.url = serveOne(t, p.dir, p.env)
			t.Logf("%s: ready after %s", when, time.Since(began).Round(time.Millisecond))
			p.reads(ended, `{ me { id } }`, "UNAUTHENTICATED", when)
			if late < 500*time.Millisecond {
				p.turns(p.login("BODY"), when)
			}
			p.server.stop()
		}
	}
}
