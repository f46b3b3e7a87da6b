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
	named := regexp.MustCompile("`([\\w./-]+\\.(?:go|txtar|ts)|scripts/[\\w-]+)(?::(\\w+))?`").FindAllSubmatch(page, -1)
	tests := 0
	for _, name := range named {
		file, function := string(name[1]), string(name[2])
		text, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("docs/threats.md names a file that is not there: %v", err)
		} else if function != "" && !strings.Contains(string(text), "\nfunc "+function+"(") {
			t.Errorf("docs/threats.md names %s in %s, which is not there", function, file)
		}
		if function != "" {
			tests++
		}
	}
	if tests < 100 {
		t.Errorf("docs/threats.md names %d tests: the way in which it names them has changed", tests)
	}
}
