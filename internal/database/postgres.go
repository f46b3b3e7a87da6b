package database

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	// maxConns is both the open and the idle limit: with fewer idle ones every
	// burst reconnects.
	maxConns = 16
	// connectTimeout bounds connections that the pool opens on its own, outside
	// any caller's context.
	connectTimeout = 3 * time.Second
	// connLifetime lets connections follow a server that moved.
	connLifetime = time.Hour
)

func openPostgres(url string) (gorm.Dialector, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The parser's message repeats parts of the URL.
		return nil, errors.New("database: the PostgreSQL URL cannot be read; check its host, port and parameters, and escape special characters of the password")
	}
	if config.ConnectTimeout <= 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "pawl"
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxLifetime(connLifetime)
	return postgres.New(postgres.Config{Conn: pool}), nil
}
