package redistest

import (
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// options are what Pawl gives its Redis clients.
func options(addrs []string) *redis.UniversalOptions {
	const timeout = 800 * time.Millisecond
	return &redis.UniversalOptions{
		Addrs: addrs, ContextTimeoutEnabled: true,
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout, DialerRetries: 1, PoolSize: 32,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// addrs are where clients are told to find servers.
func addrs(procs []*Proc) []string {
	var all []string
	for _, p := range procs {
		all = append(all, net.JoinHostPort(host, strconv.Itoa(p.door)))
	}
	return all
}
