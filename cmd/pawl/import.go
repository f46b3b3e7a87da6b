package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/user"
)

type userImportCmd struct {
	databaseFlag `embed:""`
	jsonFlag     `embed:""`
	File         string `arg:"" help:"CSV (email,password_hash[,role], with or without that header) or JSON Lines with the same names; - is stdin. Hashes: argon2id as PHC strings, which stand in double quotes in CSV, or bcrypt."`
	DryRun       bool   `env:"PAWL_DRY_RUN" help:"Only say what would be done."`
}

// importResult is what became of a file.
type importResult struct {
	DryRun  bool      `json:"dryRun"`
	Added   int       `json:"added"`
	Skipped int       `json:"skipped"` // there is an account with the email already
	Errors  []badLine `json:"errors"`  // with one of these nothing is added
}

// Run adds the accounts of a file, all that are new or none.
func (c *userImportCmd) Run(std streams) error {
	accounts, bad, err := c.read(std.in)
	if err != nil {
		return err
	}
	result := importResult{DryRun: c.DryRun, Errors: bad}
	if len(bad) > 0 {
		if err := c.tell(std, result); err != nil {
			return err
		}
		return fmt.Errorf("nothing was imported; lines that cannot be: %d", len(bad))
	}
	return storeFlags{DatabaseURL: c.DatabaseURL}.operate(std, func(ctx context.Context, op *operator) error {
		if err := c.add(ctx, op.db, accounts, &result); err != nil {
			if database.Dialect(op.db) == database.PostgreSQL && !replied(err) { // the answer may be what was lost
				return fmt.Errorf("all of the file was imported or nothing, and which is not known; import it again, what is there is skipped: %w", databaseError(err))
			}
			return fmt.Errorf("nothing was imported: %w", databaseError(err))
		}
		if !c.DryRun && result.Added > 0 {
			op.Audit.Record(audit.Event{Name: audit.UsersImported, Details: map[string]string{"added": strconv.Itoa(result.Added)}})
		}
		return c.tell(std, result)
	})
}

func (c *userImportCmd) read(stdin io.Reader) ([]account, []badLine, error) {
	file := stdin
	if c.File != "-" {
		opened, err := os.Open(c.File)
		if err != nil {
			return nil, nil, fmt.Errorf("the file cannot be read: %w", err)
		}
		defer func() { _ = opened.Close() }()
		file = opened
	}
	accounts, bad, err := readAccounts(file)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the file cannot be read: %w", err)
	case len(accounts) == 0 && len(bad) == 0:
		return nil, nil, errors.New("the file has no accounts")
	}
	return accounts, bad, nil
}

// add writes in one transaction. A dry run only looks which accounts are new.
func (c *userImportCmd) add(ctx context.Context, db *gorm.DB, accounts []account, result *importResult) error {
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		users := user.New(tx, time.Now)
		for _, a := range accounts {
			var err error
			if c.DryRun {
				if _, err = users.ByEmail(ctx, a.email); err == nil {
					err = user.ErrEmailTaken
				} else if errors.Is(err, user.ErrNotFound) {
					err = nil
				}
			} else {
				_, err = users.Add(ctx, a.email, a.hash, a.role)
			}
			switch {
			case errors.Is(err, user.ErrEmailTaken):
				result.Skipped++
			case err != nil:
				return err
			default:
				result.Added++
			}
		}
		return nil
	})
}

// tell prints the result: bad lines to stderr, or everything as JSON.
func (c *userImportCmd) tell(std streams, result importResult) error {
	if !c.JSON {
		for _, b := range result.Errors {
			_, _ = fmt.Fprintf(std.err, "line %d: %s\n", b.Line, b.Problem)
		}
		if len(result.Errors) > 0 {
			return nil
		}
	}
	return c.print(std, result, func(w *tabwriter.Writer) {
		added := "added"
		if result.DryRun {
			added = "would be added"
		}
		_, _ = fmt.Fprintf(w, "%s: %d; skipped, because the email has an account already: %d\n", added, result.Added, result.Skipped)
	})
}
