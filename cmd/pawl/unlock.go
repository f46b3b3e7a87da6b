package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/user"
)

type userUnlockCmd struct {
	storeFlags `embed:""`
	emailArg   `embed:""`
	KeysDir    string `env:"PAWL_KEYS_DIR" placeholder:"DIR" help:"Folder with the keys of the servers: failures are counted under keyed hashes."`
}

// Run forgets the failed logins of an account.
func (c *userUnlockCmd) Run(io streams) error {
	if c.RedisURL == "" {
		return &settingError{"PAWL_REDIS_URL", "must be set: failed logins are counted there; a server with sessions in memory forgets them when it restarts"}
	}
	if c.KeysDir == "" {
		return &settingError{"PAWL_KEYS_DIR", "must be set: failed logins are counted under keyed hashes"}
	}
	files, err := loadKeys(c.KeysDir, ofOperator(c.KeysDir))
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	set, err := files.at(time.Now())
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	devices, err := set.devices(time.Now)
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	return c.operate(io, func(ctx context.Context, op *operator) error {
		name, err := user.Normalize(c.Email)
		if err != nil {
			return usageError{errors.New("this is not an email address")}
		}
		u, err := op.byEmail(ctx, c.Email)
		if err != nil {
			return err
		}
		if err := op.gates.Clear(ctx, devices.Account(name)); err != nil {
			return &settingError{"PAWL_REDIS_URL", plain(err)}
		}
		op.Audit.Record(audit.Event{Name: audit.UserUnlocked, UserID: u.ID})
		_, _ = fmt.Fprintln(io.out, "unlocked: failed logins of this account are forgotten")
		return nil
	})
}
