// Command pawl is the whole product in one program: the server for production
// (serve) and for a developer's machine (dev), and the operator's tools. This
// package owns the command line, the settings and the choice of backends; it
// puts the parts together and hands every one the values it needs. What a
// session is worth is decided below.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// streams are where a command reads and writes.
type streams struct {
	in       *os.File
	out, err io.Writer
}

// cli is every command. Its fields are the program's table of contents.
type cli struct {
	Dev   devCmd   `cmd:"" help:"Run everything on this machine, with nothing to install: SQLite and memory, demo users, explorer. For development only." set:"addr=localhost:8080" set:"admin_addr=off" set:"issuer=pawl-dev" set:"audience=pawl-dev" set:"origins=" set:"origins_note= Unset: the server's own, http://localhost:3000 and http://localhost:5173." set:"login_min=0s" set:"explorer=on" set:"introspection=on" set:"log_format=text" set:"access_range=1s to 1h" set:"ttl_range=1s to 2160h"`
	Serve serveCmd `cmd:"" help:"Run the server for production." set:"addr=:8080" set:"admin_addr=127.0.0.1:9464" set:"issuer=" set:"audience=" set:"origins=" set:"origins_note=" set:"login_min=300ms" set:"explorer=off" set:"introspection=off" set:"log_format=json" set:"access_range=1m to 1h" set:"ttl_range=1m to 2160h"`

	Doctor doctorCmd `cmd:"" help:"Check a production configuration against the live stores, and say what to mend." set:"addr=:8080" set:"admin_addr=127.0.0.1:9464" set:"issuer=" set:"audience=" set:"origins=" set:"origins_note=" set:"login_min=300ms" set:"explorer=off" set:"introspection=off" set:"log_format=json" set:"access_range=1m to 1h" set:"ttl_range=1m to 2160h"`

	Migrate struct {
		Up     migrateUpCmd     `cmd:"" help:"Bring the database schema up to date."`
		Status migrateStatusCmd `cmd:"" help:"Show which migrations the database has."`
	} `cmd:"" help:"The database schema."`
	User struct {
		Add     userAddCmd     `cmd:"" help:"Add an account. The password is one line of stdin, or asked for at a terminal."`
		Passwd  userPasswdCmd  `cmd:"" help:"Set a password, and end all of the user's sessions."`
		Disable userDisableCmd `cmd:"" help:"Lock an account, and end all of the user's sessions."`
		Enable  userEnableCmd  `cmd:"" help:"Unlock a disabled account."`
		Delete  userDeleteCmd  `cmd:"" help:"Delete an account for good, and end all of the user's sessions."`
		Role    userRoleCmd    `cmd:"" help:"Set a role, and end all of the user's sessions."`
		Unlock  userUnlockCmd  `cmd:"" help:"Forget an account's failed logins, so that it may log in at once."`
		List    userListCmd    `cmd:"" help:"List accounts."`
		Import  userImportCmd  `cmd:"" help:"Add the accounts of a file, with the password hashes that they have: all that are new, or none."`
	} `cmd:"" help:"Accounts."`
	Session struct {
		List   sessionListCmd   `cmd:"" help:"List a user's sessions that have not ended."`
		Revoke sessionRevokeCmd `cmd:"" help:"End one session, or all of a user's."`
	} `cmd:"" help:"Sessions, from the operator's seat."`
	Audit struct {
		List auditListCmd `cmd:"" help:"List events that matter to security, the newest first."`
		Tail auditTailCmd `cmd:"" help:"Print the newest events, and then those that follow, until it is stopped."`
	} `cmd:"" help:"What happened to accounts, sessions and servers."`
	Keys struct {
		Init   keysInitCmd   `cmd:"" help:"Make the first signing and refresh key. A folder that has keys is left alone."`
		List   keysListCmd   `cmd:"" help:"List the keys of a folder, and where each stands."`
		Rotate keysRotateCmd `cmd:"" help:"Publish the next access or refresh key, which servers use some time later, and remove those that are over."`
		Revoke keysRevokeCmd `cmd:"" help:"Withdraw a key: end its sessions, or its access tokens."`
	} `cmd:"" help:"Signing keys and refresh keys."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask /readyz of PAWL_ADDR; for containers."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	Help        helpCmd        `cmd:"" help:"Show help for a command, with its flags and environment variables."`
}

// usageError is wrong usage that the parser could not see.
type usageError struct{ error }

// run is the program without its process: it returns the exit code.
func run(args []string, in *os.File, out, errOut io.Writer) int {
	// pawl help CMD and pawl CMD --help are one.
	if len(args) > 0 && args[0] == "help" && !strings.HasPrefix(strings.Join(args[1:], " "), "-") {
		args = append(args[1:len(args):len(args)], "--help")
	}
	helped := false
	parser, err := kong.New(&cli{},
		kong.Name("pawl"),
		kong.Description("Pawl is a session service for GraphQL front ends: refresh tokens that turn one way only."),
		kong.Writers(out, errOut),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.Bind(streams{in, out, errOut}),
	)
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "pawl:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if helped {
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "pawl: %s\nRun \"pawl help\" for the commands, \"pawl help CMD\" for one of them.\n", usageText(args, err))
		return exitUsage
	}
	err = command.Run()
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(errOut, "pawl:", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// usageText is the parser's complaint, without the value that it is about, and
// without a surplus argument where somebody may have typed a password.
func usageText(args []string, err error) string {
	text := err.Error()
	if len(args) > 0 && args[0] == "user" && strings.HasPrefix(text, "unexpected argument") {
		return "unexpected argument (not shown: it may be a password, which is one line of stdin)"
	}
	if flag, _, ok := strings.Cut(text, ": bool value must be"); ok { // the only values that the parser reads
		variable := "PAWL_" + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(flag, "--"), "-", "_"))
		return variable + " (" + flag + "): must be true or false"
	}
	return text
}
