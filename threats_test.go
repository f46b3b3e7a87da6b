package pawl_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsNameTests: each test and file that docs/threats.md names is there.
func TestThreatsNameTests(t *testing.T) {
	page, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([\\w./-]+/[\\w.-]+|\\w+_test\\.go)(?::((?:Test|Fuzz|Benchmark)\\w+))?`").FindAllSubmatch(page, -1)
	tests := 0
	for _, name := range named {
		file, function := string(name[1]), string(name[2])
		text, err := os.ReadFile(file)
		switch {
		case function != "":
			tests++
			if err != nil || !strings.Contains(string(text), "\nfunc "+function+"(") {
				t.Errorf("docs/threats.md names %s in %s, which is not there (%v)", function, file, err)
			}
		case err != nil && !strings.Contains(file, "//") && !foreign.MatchString(file):
			t.Errorf("docs/threats.md names %s, which is not there: %v", file, err)
		}
	}
	if tests < 100 {
		t.Errorf("docs/threats.md names %d tests: the way in which it names them has changed", tests)
	}
}

// foreign are names with a slash that are no files: modules, media types.
var foreign = regexp.MustCompile(`^(github\.com|golang\.org|net|crypto|@pawlauth|application)/`)
