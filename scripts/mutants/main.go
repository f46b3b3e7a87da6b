// Command mutants sabotages Pawl's rules one by one, in a copy of the module,
// and demands that the tests notice every time. A sabotage that no test notices
// is a rule that nothing holds. It knows nothing about the rules: list.go names
// them and the tests that guard them.
//
//	go run ./scripts/mutants [-only REGEXP] [-v]
//
// It exits with 1 when a sabotage survived, could not be applied any more, or
// when the tests fail without one. Sabotages that only a real Redis shows are
// left out unless PAWL_TEST_REDIS_URL is set.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// mutant is one sabotage and the tests that must notice it.
type mutant struct {
	name  string
	edits []edit
	tests guard
	redis bool // only a real Redis shows it
}

// edit replaces text that occurs exactly once in a file.
type edit struct{ file, before, after string }

// guard is a set of tests: packages, and what of them to run ("" for all).
type guard struct{ packages, run string }

func main() {
	only := flag.String("only", "", "sabotages whose name fits this regexp, instead of all")
	verbose := flag.Bool("v", false, "show what the tests say")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := sabotage(ctx, *only, *verbose)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// sabotage copies the module and works through the list.
func sabotage(ctx context.Context, only string, verbose bool) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	mutants := slices.DeleteFunc(all(), func(m mutant) bool {
		return !chosen.MatchString(m.name) || m.redis && os.Getenv("PAWL_TEST_REDIS_URL") == ""
	})
	// Two workshops: what needs a real Redis mostly waits, so the other goes on.
	// Tests that share that Redis never run at the same time.
	var missed [2]int
	var failed [2]error
	var both sync.WaitGroup
	for i, waits := range []bool{true, false} {
		mine := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return m.redis != waits })
		both.Go(func() { missed[i], failed[i] = work(ctx, mine, verbose) })
	}
	both.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	survived := missed[0] + missed[1]
	fmt.Fprintf(os.Stdout, "%d of %d sabotages caught\n", len(mutants)-survived, len(mutants))
	if survived > 0 {
		return fmt.Errorf("%d of %d sabotages were not caught", survived, len(mutants))
	}
	return nil
}

// work tries sabotages one after the other in a copy of the module, and counts
// those that were not caught.
func work(ctx context.Context, mutants []mutant, verbose bool) (missed int, err error) {
	dir, err := os.MkdirTemp("", "pawl-mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := copyModule(dir); err != nil {
		return 0, err
	}
	w := workshop{ctx: ctx, dir: dir, verbose: verbose}
	if err := w.healthy(mutants); err != nil {
		return 0, err
	}
	for _, m := range mutants {
		begin := time.Now()
		word := w.try(m)
		if ctx.Err() != nil {
			return missed, ctx.Err()
		}
		if word != "caught" {
			missed++
		}
		fmt.Fprintf(os.Stdout, "%-9s %5.1fs  %s\n", word, time.Since(begin).Seconds(), m.name)
	}
	return missed, nil
}

// workshop is the copy in which the sabotages happen.
type workshop struct {
	ctx     context.Context
	dir     string
	verbose bool
}

// healthy fails unless all tests pass while nothing is sabotaged.
func (w workshop) healthy(mutants []mutant) error {
	var done []guard
	for _, m := range mutants {
		if slices.Contains(done, m.tests) {
			continue
		}
		done = append(done, m.tests)
		if out, err := w.goTest(m.tests); err != nil {
			return fmt.Errorf("the tests %q of %s fail without any sabotage: %w\n%s", m.tests.run, m.tests.packages, err, out)
		}
	}
	return nil
}

// try applies a sabotage, runs its tests and takes it back. It returns caught,
// SURVIVED, or BROKEN when the sabotage cannot be tried.
func (w workshop) try(m mutant) string {
	originals := map[string][]byte{}
	defer func() {
		for path, content := range originals {
			_ = os.WriteFile(path, content, 0o600)
		}
	}()
	for _, e := range m.edits {
		path := filepath.Join(w.dir, filepath.FromSlash(e.file))
		content, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return "BROKEN"
		}
		if n := bytes.Count(content, []byte(e.before)); n != 1 {
			fmt.Fprintf(os.Stderr, "%s: %q occurs %d times, want once\n", e.file, e.before, n)
			return "BROKEN"
		}
		if _, saved := originals[path]; !saved {
			originals[path] = content
		}
		if err := os.WriteFile(path, bytes.Replace(content, []byte(e.before), []byte(e.after), 1), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return "BROKEN"
		}
	}
	out, err := w.goTest(m.tests)
	if w.verbose {
		fmt.Fprint(os.Stderr, string(out))
	}
	var failed *exec.ExitError
	switch {
	case err == nil:
		return "SURVIVED"
	case !errors.As(err, &failed), bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		fmt.Fprint(os.Stderr, string(out))
		return "BROKEN"
	}
	return "caught"
}

func (w workshop) goTest(g guard) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Minute)
	defer cancel()
	args := []string{"test", "-count=1", "-failfast", "-timeout=2m"}
	if g.run != "" {
		args = append(args, "-run", g.run)
	}
	command := exec.CommandContext(ctx, "go", append(args, strings.Fields(g.packages)...)...)
	command.Dir = w.dir
	return command.CombinedOutput()
}

// copyModule copies the module around the working directory, without what is
// no source.
func copyModule(to string) error {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, inside)
		switch {
		case d.IsDir() && slices.Contains([]string{".git", ".pawl", "bin", "node_modules", "rapid"}, d.Name()):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}
