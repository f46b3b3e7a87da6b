package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

type keysRotateCmd struct {
	keysFlag `embed:""`
	Kind     string `arg:"" help:"access or refresh."`
	Lead     string `env:"PAWL_LEAD" default:"15m" placeholder:"15m" help:"How long until the new key is used, 5m10s to 720h: every server must have its file before. Default: 15m."`
	Alg      string `env:"PAWL_ALG" placeholder:"EdDSA" help:"How the new access key signs: EdDSA, ES256 or RS256. Default: as the one in use."`
}

// Run publishes the next key, which servers use when its time comes, and removes
// those that are over.
func (c *keysRotateCmd) Run(io streams) error {
	kind := keyKind(c.Kind)
	if kind != accessKind && kind != refreshKind {
		return usageError{errors.New("give the kind of key to rotate: access or refresh")}
	}
	dir, err := c.dir()
	if err != nil {
		return err
	}
	var alg token.Algorithm
	if c.Alg != "" && kind == accessKind { // PAWL_ALG may be set for all commands
		if alg, err = parseAlg(c.Alg); err != nil {
			return err
		}
	}
	var r reader
	lead := r.duration("PAWL_LEAD", c.Lead, minLead, 30*24*time.Hour)
	if r.err != nil {
		return r.err
	}
	done, err := rotateKeys(dir, kind, alg, lead, time.Now())
	if early := (*tooEarly)(nil); errors.As(err, &early) {
		return err
	}
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	from := moment(done.made.from)
	_, _ = fmt.Fprintf(io.out, "published %s key %s: %s\n", kind, done.made.id, filepath.Join(dir, done.made.file))
	for _, name := range done.removed {
		_, _ = fmt.Fprintf(io.out, "removed %s: its last token has expired\n", filepath.Join(dir, name))
	}
	_, _ = fmt.Fprintf(io.out, "Servers verify with the new key within %s and use it from %s (in %s) by themselves.\n", short(keysLook), from, short(lead))
	_, _ = fmt.Fprintf(io.out, "The one before, %s, verifies until %s.\n", done.before.id, moment(done.made.from.Add(kind.life())))
	_, _ = fmt.Fprintf(io.out, "The next step may come at %s.\n", from)
	return nil
}

type keysRevokeCmd struct {
	keysFlag   `embed:""`
	storeFlags `embed:""`
	ID         string `arg:"" help:"The id of the key, as pawl keys list shows it."`
}

// Run revokes a key, and ends the sessions of a refresh key.
func (c *keysRevokeCmd) Run(io streams) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	done, err := revokeKey(dir, c.ID, time.Now())
	if errors.Is(err, errNoKey) {
		return err
	}
	if err != nil {
		return &settingError{"PAWL_KEYS_DIR", err.Error()}
	}
	if done.made != "" {
		_, _ = fmt.Fprintf(io.out, "made %s, which is used at once\n", filepath.Join(dir, done.made))
	}
	what := "revoked " + string(done.kind) + " key " + c.ID
	if done.again {
		what = string(done.kind) + " key " + c.ID + " was revoked before"
	}
	if c.DatabaseURL == "" {
		_, _ = fmt.Fprintln(io.out, what)
	} else if err := c.endSessions(io, what, done.kind); err != nil {
		return fmt.Errorf("%s; running servers follow the folder within %s and end its sessions, which failed here: %w", what, short(keysLook), err)
	}
	_, _ = fmt.Fprintf(io.err, "Running servers follow the folder within %s, or at once on SIGHUP; where they have copies, copy it now.\n", short(keysLook))
	if done.kind == accessKind {
		_, _ = fmt.Fprintln(io.err, "Services that verify by the key set may accept its access tokens for 5 minutes more. Clients refresh.")
		return nil
	}
	if c.DatabaseURL == "" {
		_, _ = fmt.Fprintln(io.err, "PAWL_DATABASE_URL is not set: running servers end the key's sessions when they have followed.")
	}
	_, _ = fmt.Fprintln(io.err, "Devices that were known by the key are unknown until their next login.")
	if done.names {
		_, _ = fmt.Fprintln(io.err, "Failed logins are counted anew: the key named accounts.")
	}
	return nil
}

// endSessions tells of the revocation and ends the sessions of a refresh key.
func (c *keysRevokeCmd) endSessions(io streams, what string, kind keyKind) error {
	return c.operate(io, func(ctx context.Context, op *operator) error {
		op.Audit.Record(audit.Event{Name: audit.KeyRevoked, Details: map[string]string{"kind": string(kind), "key": c.ID, "by": "operator"}})
		if kind == accessKind {
			_, _ = fmt.Fprintln(io.out, what)
			return nil
		}
		id, err := session.ParseKeyID(c.ID)
		if err != nil {
			return err
		}
		effect, err := op.RevokeKey(ctx, id)
		if err != nil {
			return fmt.Errorf("%w (sessions ended so far: %d; running servers end the others)", databaseError(err), len(effect.Ended))
		}
		op.say(what, effect)
		return nil
	})
}
