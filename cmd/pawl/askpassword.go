package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

// readPassword asks twice at a terminal, without showing what is typed;
// otherwise it reads one line of stdin.
func readPassword(ctx context.Context, std streams) (secret.Text, error) {
	if !term.IsTerminal(int(std.in.Fd())) {
		return readLine(std.in)
	}
	state, err := term.GetState(int(std.in.Fd()))
	if err != nil {
		return secret.Text{}, fmt.Errorf("the terminal cannot be used: %w", err)
	}
	// A signal ends the program while nothing is shown: the terminal comes back first.
	stop := context.AfterFunc(ctx, func() { _ = term.Restore(int(std.in.Fd()), state) })
	defer stop()
	first, err := ask(std, "Password: ")
	if err != nil {
		return first, err
	}
	second, err := ask(std, "The same again: ")
	if err == nil && first.Reveal() != second.Reveal() {
		err = errors.New("the two passwords differ; nothing was changed")
	}
	return first, err
}

func ask(std streams, prompt string) (secret.Text, error) {
	_, _ = fmt.Fprint(std.err, prompt)
	typed, err := term.ReadPassword(int(std.in.Fd()))
	_, _ = fmt.Fprintln(std.err)
	if err != nil {
		return secret.Text{}, fmt.Errorf("the password could not be read: %w", err)
	}
	return secret.New(string(typed)), nil
}

// readLine is the first line of r, without its end.
func readLine(r io.Reader) (secret.Text, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 2*password.MaxBytes)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return secret.Text{}, fmt.Errorf("the password could not be read: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return secret.Text{}, errors.New("no password came: give it as one line of stdin")
	}
	return secret.New(line), nil
}
