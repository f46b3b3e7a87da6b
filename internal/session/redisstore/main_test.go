package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own: it tells of servers that are down on purpose
	m.Run()
}
