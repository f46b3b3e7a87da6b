package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

type emailArg struct {
	Email string `arg:"" help:"The account's email address."`
}

type userAddCmd struct {
	storeFlags   `embed:""`
	passwordFlag `embed:""`
	emailArg     `embed:""`
	Role         string `env:"PAWL_ROLE" default:"USER" placeholder:"USER" help:"USER or ADMIN. Default: USER."`
}

// Run adds an account.
func (c *userAddCmd) Run(io streams) error {
	role, err := user.ParseRole(c.Role)
	if err != nil {
		return usageError{errors.New("--role: must be USER or ADMIN")}
	}
	if _, err := user.Normalize(c.Email); err != nil {
		return usageError{errors.New("this is not an email address")}
	}
	return c.operate(io, func(ctx context.Context, op *operator) error {
		switch _, err := op.Users.ByEmail(ctx, c.Email); { // before a password is asked for
		case err == nil:
			return errTaken
		case !errors.Is(err, user.ErrNotFound):
			return databaseError(err)
		}
		hash, err := c.newPassword(ctx, io, c.Email)
		if err != nil {
			return err
		}
		u, err := op.Users.Add(ctx, c.Email, hash, role)
		if errors.Is(err, user.ErrEmailTaken) {
			return errTaken
		}
		if err == nil {
			op.Audit.Record(audit.Event{Name: audit.UserAdded, UserID: u.ID})
			_, _ = fmt.Fprintf(io.out, "added %s (%s) with id %s\n", u.Email, u.Role, u.ID)
		}
		return databaseError(err)
	})
}

var errTaken = errors.New("there is an account with this email already")

type userPasswdCmd struct {
	storeFlags   `embed:""`
	passwordFlag `embed:""`
	emailArg     `embed:""`
}

// Run sets a password.
func (c *userPasswdCmd) Run(io streams) error {
	return c.change(io, c.Email, "password set", func(ctx context.Context, op *operator, u user.User) (auth.Effect, error) {
		hash, err := c.newPassword(ctx, io, u.Email)
		if err != nil {
			return auth.Effect{}, err
		}
		effect, err := op.SetPassword(ctx, u.ID, hash)
		return effect, databaseError(err)
	})
}

type userDisableCmd struct {
	storeFlags `embed:""`
	emailArg   `embed:""`
}

// Run locks an account.
func (c *userDisableCmd) Run(io streams) error {
	return c.change(io, c.Email, "disabled", func(ctx context.Context, op *operator, u user.User) (auth.Effect, error) {
		effect, err := op.Disable(ctx, u.ID)
		return effect, databaseError(err)
	})
}

type userEnableCmd struct {
	storeFlags `embed:""`
	emailArg   `embed:""`
}

// Run unlocks an account.
func (c *userEnableCmd) Run(io streams) error {
	return c.change(io, c.Email, "enabled", func(ctx context.Context, op *operator, u user.User) (auth.Effect, error) {
		return auth.Effect{}, databaseError(op.Enable(ctx, u.ID))
	})
}

type userDeleteCmd struct {
	storeFlags `embed:""`
	Account    string `arg:"" name:"email" help:"The account's email address, or its user id."`
}

// Run deletes an account. From then on it has no email: what went wrong after
// that is finished by its id.
func (c *userDeleteCmd) Run(io streams) error {
	return c.operate(io, func(ctx context.Context, op *operator) error {
		id, err := uuid.Parse(c.Account)
		if err != nil {
			u, err := op.byEmail(ctx, c.Account)
			if err != nil {
				return err
			}
			id = u.ID
		}
		effect, err := op.Delete(ctx, id)
		switch {
		case errors.Is(err, user.ErrNotFound):
			return errors.New("there is no account with this id")
		case err != nil && !errors.Is(err, auth.ErrSessionsLive):
			return databaseError(err)
		}
		if err := errors.Join(err, audit.Scrub(ctx, op.db, id)); err != nil {
			return fmt.Errorf("the account is deleted, but its sessions or events are not done with yet; finish it with: pawl user delete %s (PAWL_DATABASE_URL: %s)", id, plain(err))
		}
		op.say("deleted", effect)
		return nil
	})
}

type userRoleCmd struct {
	storeFlags `embed:""`
	emailArg   `embed:""`
	Role       string `arg:"" help:"USER or ADMIN."`
}

// Run sets a role.
func (c *userRoleCmd) Run(io streams) error {
	role, err := user.ParseRole(c.Role)
	if err != nil {
		return usageError{errors.New("ROLE must be USER or ADMIN")}
	}
	return c.change(io, c.Email, "role set", func(ctx context.Context, op *operator, u user.User) (auth.Effect, error) {
		effect, err := op.SetRole(ctx, u.ID, role)
		return effect, databaseError(err)
	})
}

// change does something to one account and says what became of its sessions.
func (f storeFlags) change(io streams, email, what string, do func(context.Context, *operator, user.User) (auth.Effect, error)) error {
	return f.operate(io, func(ctx context.Context, op *operator) error {
		u, err := op.byEmail(ctx, email)
		if err != nil {
			return err
		}
		effect, err := do(ctx, op, u)
		if err == nil {
			op.say(what, effect)
		}
		return err
	})
}

type userListCmd struct {
	databaseFlag `embed:""`
	jsonFlag     `embed:""`
}

// userRow is one line of the list.
type userRow struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"createdAt"`
}

// Run lists accounts.
func (c *userListCmd) Run(io streams) error {
	return storeFlags{DatabaseURL: c.DatabaseURL}.operate(io, func(ctx context.Context, op *operator) error {
		users, err := op.Users.List(ctx)
		if err != nil {
			return databaseError(err)
		}
		rows := make([]userRow, len(users))
		for i, u := range users {
			rows[i] = userRow{u.ID.String(), u.Email, string(u.Role), string(u.Status), u.CreatedAt.UTC()}
		}
		return c.print(io, rows, func(w *tabwriter.Writer) {
			_, _ = fmt.Fprintln(w, "ID\tEMAIL\tROLE\tSTATUS\tCREATED")
			for _, r := range rows {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID, shown(r.Email), r.Role, r.Status, when(r.CreatedAt))
			}
		})
	})
}

// passwordFlag is for commands that set a password.
type passwordFlag struct {
	Issuer string `env:"PAWL_ISSUER" placeholder:"URL" help:"Issuer of the servers; a password may not contain its host."`
}

// newPassword reads a password, holds it against the policy, and hashes it with
// the default cost: a server with other settings brings it to its own at the
// next login.
func (f passwordFlag) newPassword(ctx context.Context, io streams, email string) (hash secret.Text, err error) {
	text, err := readPassword(ctx, io)
	if err != nil {
		return hash, err
	}
	if problems := password.Check(text, append(passwordWords(f.Issuer), email)...); len(problems) > 0 {
		words := make([]string, len(problems))
		for i, p := range problems {
			words[i] = problemText(p)
		}
		return hash, errors.New("the password " + strings.Join(words, ", and "))
	}
	hasher, err := password.New(password.Params{MemoryKiB: 19456, Time: 2, Parallelism: 1}, 1)
	if err != nil {
		return hash, err
	}
	return hasher.Hash(ctx, "", text)
}

func problemText(p password.Problem) string {
	switch p {
	case password.TooShort:
		return fmt.Sprintf("has fewer than %d characters", password.MinLength)
	case password.TooLong:
		return fmt.Sprintf("has more than %d bytes", password.MaxBytes)
	case password.Compromised:
		return "is on the list of leaked passwords, or hardly more than an entry of it"
	case password.Contextual:
		return "contains the product's name, the email address or the host of PAWL_ISSUER"
	}
	return "is not acceptable (" + p.String() + ")"
}
