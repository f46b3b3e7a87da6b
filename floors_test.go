// Package pawl_test holds the floors of the house: imports point down only.
//
//	cmd → graph, server → auth → the nouns, which do not know each other
//
// .golangci.yml says the same to the linter.
package pawl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pawlauth/pawl"

// mayImport lists which packages of this module the packages of a folder may
// import, beside those of that folder. The longest entry that fits a package
// counts. "*" is everything but cmd.
//
// A folder under internal/ that is not listed is a noun: it knows secret alone.
var mayImport = map[string][]string{
	"cmd":              {"*"},
	"graph":            {"internal/auth", "internal/session", "internal/token", "internal/user", "internal/password", "internal/refreshcookie", "internal/device", "internal/mediatype", "internal/secret"},
	"internal/server":  {"internal/auth", "internal/refreshcookie", "internal/mediatype", "internal/secret"},
	"internal/auth":    {"internal/session", "internal/ledger", "internal/user", "internal/token", "internal/password", "internal/throttle", "internal/device", "internal/audit", "internal/revocation", "internal/secret"},
	"internal/audit":   {"internal/database", "internal/secret"},
	"internal/ledger":  {"internal/session", "internal/database", "internal/secret"},
	"internal/user":    {"internal/database", "internal/secret"},
	"internal/secret":  {},
	"internal":         {"internal/secret"},
	"migrations":       {},
	"internal/session": {"internal/secret"},

	"internal/telemetry": {"internal/auth", "internal/session", "internal/revocation"}, // beside graph and server: cmd alone knows it

	"internal/database/databasetest": {"internal/database", "internal/proctest", "migrations"},
	"internal/redistest":             {"internal/proctest"},
	"internal/postgrestest":          {"internal/proctest"},
}

// onlyIn lists folders outside the module, and where alone they may be imported.
// inTests: tests elsewhere may import them too.
var onlyIn = []struct {
	path    string
	rooms   []string
	inTests bool
}{
	{"github.com/99designs/gqlgen", []string{"graph"}, false},
	{"github.com/vektah/gqlparser", []string{"graph"}, false},
	{"gorm.io", []string{"internal/database", "internal/ledger", "internal/user", "internal/audit", "cmd"}, true},
	{"github.com/jackc/pgx", []string{"internal/database", "internal/ledger", "internal/user", "internal/postgrestest", "cmd"}, true},
	{"github.com/redis/go-redis", []string{"internal/session/redisstore", "internal/throttle", "internal/revocation", "internal/redistest", "cmd"}, true},
	{"database/sql", []string{"internal/database", "internal/ledger", "internal/user", "migrations", "cmd"}, true},
	{"net/http", []string{"cmd", "graph", "internal/server", "internal/refreshcookie", "internal/explorer", "internal/telemetry", "examples", "bench"}, true},
	{"github.com/alecthomas/kong", []string{"cmd"}, false},
	{"github.com/prometheus", []string{"internal/telemetry"}, false},
	{"github.com/pawlauth/pawl/internal/telemetry", []string{"internal/telemetry", "cmd"}, false},
	{"github.com/alicebob/miniredis", nil, true},
	{"github.com/rogpeppe/go-internal", nil, true},
	{"pgregory.net/rapid", []string{"internal/session/sessiontest", "internal/throttle/throttletest"}, true},
	{"testing", []string{"internal/session/sessiontest", "internal/throttle/throttletest", "internal/database/databasetest", "internal/redistest", "internal/postgrestest", "internal/proctest", "internal/pawltest", "internal/faultproxy", "internal/logtest"}, true},
}

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// TestImportsPointDown checks what the packages of this module import of each other.
func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		pkg := room(p.ImportPath)
		for _, imported := range p.Imports {
			if imported := room(imported); imported != "" && !allowed(pkg, imported) {
				t.Errorf("%s imports %s: imports point down only; %s may import %v", pkg, imported, floor(pkg), mayImport[floor(pkg)])
			}
		}
	}
}

// TestLibrariesStayInTheirRoom checks who imports the libraries that one folder hides.
func TestLibrariesStayInTheirRoom(t *testing.T) {
	for _, p := range packages(t) {
		pkg := room(p.ImportPath)
		for _, rule := range onlyIn {
			imports := p.Imports
			if !rule.inTests {
				imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			}
			known := slices.ContainsFunc(rule.rooms, func(r string) bool { return under(pkg, r) })
			for _, imported := range imports {
				if under(imported, rule.path) && !known {
					t.Errorf("%s imports %s: only %v may (tests too: %t)", pkg, imported, rule.rooms, rule.inTests)
				}
			}
		}
	}
}

// room is the folder of a package inside this module, or empty for others.
func room(importPath string) string {
	folder, _ := strings.CutPrefix(importPath, module+"/")
	if folder == importPath {
		return ""
	}
	return folder
}

// floor is the longest entry of mayImport that fits pkg.
func floor(pkg string) string {
	best := ""
	for entry := range mayImport {
		if under(pkg, entry) && len(entry) > len(best) {
			best = entry
		}
	}
	return best
}

func allowed(pkg, imported string) bool {
	own := floor(pkg)
	if own == "internal" { // an unlisted noun: its own folder is the one below internal/
		own = strings.Join(strings.SplitN(pkg, "/", 3)[:2], "/")
	}
	if own != "" && under(imported, own) {
		return true
	}
	return slices.ContainsFunc(mayImport[floor(pkg)], func(entry string) bool {
		return imported == entry || entry == "*" && !under(imported, "cmd")
	})
}

func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
