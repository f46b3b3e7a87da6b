package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/bcrypt"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/user"
)

const (
	phcHash    = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
	bcryptHash = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
)

func TestReadAccounts(t *testing.T) {
	ann, bob := pawl.Account{Email: "ann@example.com", Hash: bcryptHash, Role: "USER"}, pawl.Account{Email: "Bob@example.com", Hash: phcHash, Role: "ADMIN"}
	both := []pawl.Account{ann, bob}
	annCSV, bobCSV := "ann@example.com,"+bcryptHash, `Bob@example.com,"`+phcHash+`",admin`
	annJSON, bobJSON := `{"email":"ann@example.com","password_hash":"`+bcryptHash+`"}`, `{"role":"ADMIN","password_hash":"`+phcHash+`","email":"Bob@example.com"}`
	for _, c := range []struct {
		name, text string
		want       []pawl.Account
		problems   map[int]string // a part of each
	}{
		{"CSV", annCSV + "\n" + bobCSV + "\n", both, nil},
		{"CSV with a header", "email,password_hash,role\n" + annCSV + ",\n" + bobCSV, both, nil},
		{"CSV with the shorter header", "Email,Password_Hash\n" + annCSV + "\n" + bobCSV, both, nil},
		{"CSV of a spreadsheet", "\ufeffemail,password_hash,role\r\n" + annCSV + ",user\r\n\r\n" + bobCSV + "\r\n", both, nil},
		{"CSV with blanks", "\n\n  ann@example.com , " + bcryptHash + " \n" + strings.Replace(bobCSV, ",", ", ", 1), both, nil},
		{"CSV, bad after empty lines", "\n \r\nann\n\na\"b\n" + annCSV, []pawl.Account{ann}, map[int]string{3: "two or three fields", 5: "not CSV"}},
		{"JSON, bad after empty lines", "\n \r\n{}\n\n{\n" + annJSON, []pawl.Account{ann}, map[int]string{3: "one object", 5: "one object"}},
		{"JSON Lines", annJSON + "\n" + bobJSON + "\n", both, nil},
		{"JSON Lines with blanks", "\ufeff\r\n " + annJSON + "\r\n\r\n" + bobJSON, both, nil},
		{"nothing", "", nil, nil},
		{"a header alone", "email,password_hash\n", nil, nil},
		{"another header", "email,role,password_hash\n" + annCSV, []pawl.Account{ann}, map[int]string{1: "the header must be"}},
		{"columns in another order", bcryptHash + ",ann@example.com\n" + annCSV, []pawl.Account{ann}, map[int]string{1: "not an email address of at most 254 bytes; not a usable hash"}},
		{"bad lines among good ones", "ann,x,king\n\n" + annCSV + "\nbob@example.com\n" + bobCSV + ",x\n" + bobCSV, both, map[int]string{
			1: "not an email address of at most 254 bytes; not a usable hash: argon2id as a PHC string (at most m=262144, t=10, p=4), or bcrypt ($2a$, $2b$, $2y$; at most cost 14); the role must be USER or ADMIN",
			4: "two or three fields", 5: "two or three fields"}}, // 6 is what 5 should have been
		{"a hash without quotes", "Bob@example.com," + phcHash + "\n" + annCSV, []pawl.Account{ann}, map[int]string{1: "double quotes"}},
		{"a stray quote", "ann@example.com,ab\"c\n" + annCSV, []pawl.Account{ann}, map[int]string{1: "not CSV"}},
		{"a quote without end", annCSV + "\n\"bob@example.com,x\nmore,y\n", []pawl.Account{ann}, map[int]string{2: "not CSV"}},
		{"beyond the bounds", "a@example.com," + strings.Replace(bcryptHash, "$10$", "$15$", 1) + "\nb@example.com,\"" + strings.Replace(phcHash, "19456", "262145", 1) + "\"",
			nil, map[int]string{1: "not a usable hash", 2: "not a usable hash"}},
		{"a password in clear", "a@example.com,swordfish", nil, map[int]string{1: "not a usable hash"}},
		{"no hash", "a@example.com,\n{", nil, map[int]string{1: "not a usable hash", 2: "two or three fields"}},
		{"the same twice", annCSV + "\nANN@example.com," + bcryptHash + "\n\uff41nn@example.com," + bcryptHash, []pawl.Account{ann}, map[int]string{2: "as in line 1", 3: "as in line 1"}},
		{"bad UTF-8", "\xff@example.com," + bcryptHash, nil, map[int]string{1: "not an email address"}},
		{"bad JSON", "{}\n" + annJSON + "\nnull\n" + annJSON + annJSON + "\n{\"email\":1}\n[]\n" + strings.Replace(bobJSON, "role", "rank", 1) + "\n{\"email\":\"\xff@example.com\",\"password_hash\":\"\"}\n" + bobJSON,
			both, map[int]string{1: "one object", 3: "one object", 4: "one object", 5: "one object", 6: "one object", 7: "one object", 8: "one object"}},
		{"a line of JSON that is too long", annJSON + "\n" + `{"email":"` + strings.Repeat("a", 200_000) + "\"}\n" + bobJSON, both, map[int]string{2: "longer than 65536 bytes"}},
	} {
		got, problems, err := pawl.ReadAccounts(iotest.HalfReader(strings.NewReader(c.text)))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(problems)), slices.Sorted(maps.Keys(c.problems))) {
			t.Errorf("%s: got problems %v, want them in the lines of %v", c.name, problems, c.problems)
		}
		for line, want := range c.problems {
			if !strings.Contains(problems[line], want) {
				t.Errorf("%s, line %d: got %q, want %q in it", c.name, line, problems[line], want)
			}
		}
	}
}

func TestReadAccountsFails(t *testing.T) {
	broken := errors.New("broken")
	for _, begin := range []string{"", "ann@example.com,", `{"email":`} {
		file := io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken))
		if got, _, err := pawl.ReadAccounts(file); !errors.Is(err, broken) {
			t.Errorf("%q and an error: got %v, %v, want the error", begin, got, err)
		}
	}
}

// Whatever is read can be stored, and no problem repeats what it is about.
func FuzzReadAccounts(f *testing.F) {
	f.Add([]byte("email,password_hash,role\nann@example.com," + bcryptHash + ",ADMIN\n"))
	f.Add([]byte(`bob@example.com,"` + phcHash + `"` + "\n\"x\n"))
	f.Add([]byte(`{"email":"ann@example.com","password_hash":"` + bcryptHash + `","role":"user"}` + "\n{}\n"))
	f.Add([]byte("\ufeff\n\n{\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		accounts, problems, err := pawl.ReadAccounts(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("got %v from memory", err)
		}
		seen := map[string]bool{}
		for _, a := range accounts {
			normalized, err := user.Normalize(a.Email)
			if err != nil || seen[normalized] || !strings.HasPrefix(a.Hash, "$") || a.Role != "USER" && a.Role != "ADMIN" {
				t.Errorf("got the account %+v (%v), want one that can be stored, once", a, err)
			}
			seen[normalized] = true
		}
		lines := bytes.Count(text, []byte("\n")) + 1
		for line, problem := range problems {
			if line < 1 || line > lines {
				t.Errorf("got a problem in line %d of %d", line, lines)
			}
			if !knownProblem.MatchString(problem) {
				t.Errorf("got the problem %q, want only what is said of every file", problem)
			}
		}
	})
}

// knownProblem is all that may be said of a line: nothing that stands in it.
var knownProblem = regexp.MustCompile(`^(longer than 65536 bytes|not CSV: (bare " in non-quoted-field|extraneous or missing " in quoted-field)|` +
	`the header must be email,password_hash or email,password_hash,role|a hash with commas in it must stand in double quotes|` +
	`must have two or three fields: email,password_hash\[,role\]|must be one object with the texts "email", "password_hash" and perhaps "role", and nothing else|` +
	`((^|; )(not an email address of at most 254 bytes|the same email as in line \d+|not a usable hash: [^;]*; at most cost 14\)|the role must be USER or ADMIN))+)$`)

// TestImportIsUpgraded: whoever is imported with a bcrypt hash logs in with the
// password, and has an argon2id hash from then on.
func TestImportIsUpgraded(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
	url := "http://" + p.await(`msg=listening.* address="?([^" ]+)`)
	p.await(`msg=server.ready`)
	sum, err := bcrypt.GenerateFromPassword([]byte("imported long ago"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	place := "sqlite:" + filepath.Join(dir, ".pawl", "pawl.db")
	env := map[string]string{"PAWL_DATABASE_URL": place}
	line := "ann@example.com," + strings.Replace(string(sum), "$2a$", "$2y$", 1) + ",ADMIN\n"
	if out, want := operate(t, dir, env, line, "user", "import", "-"), "added: 1; skipped, because the email has an account already: 0\n"; out != want {
		t.Errorf("import: got %q, want %q", out, want)
	}
	if got := storedHash(t, place); !strings.HasPrefix(got, "$2y$04$") {
		t.Errorf("after the import: got a hash that begins %.8q, want $2y$04$", got)
	}
	login := func(password string) string {
		a, err := query(url, fmt.Sprintf(`mutation { login(input: {email: "ann@example.com", password: %q, refreshTokenDelivery: BODY}) {
			__typename ... on LoginPayload { user { role } } } }`, password))
		if err != nil {
			t.Fatal(err)
		}
		return a.text("login", "__typename") + a.text("login", "user.role")
	}
	if got := login("imported long ag"); got != "InvalidCredentialsError" {
		t.Errorf("another password: got %s, want InvalidCredentialsError", got)
	}
	if got := storedHash(t, place); !strings.HasPrefix(got, "$2y$04$") {
		t.Errorf("after a failed login: got a hash that begins %.8q, want $2y$04$", got)
	}
	for range 2 {
		if got := login("imported long ago"); got != "LoginPayloadADMIN" {
			t.Errorf("the password: got %s, want LoginPayloadADMIN", got)
		}
		if got := storedHash(t, place); !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("after a login: got a hash that begins %.8q, want argon2id of today's cost", got)
		}
	}
	p.stop()
}

// storedHash is that of ann@example.com.
func storedHash(t *testing.T, place string) (hash string) {
	t.Helper()
	db, err := database.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = database.Close(db) }()
	if err := db.Raw("SELECT password_hash FROM users WHERE normalized_email = ?", "ann@example.com").Scan(&hash).Error; err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestImportIsWhole: an import that breaks off half way adds nothing, and says
// nothing of hashes.
func TestImportIsWhole(t *testing.T) {
	for name, place := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLiteURL, "postgres": databasetest.PostgresURL} {
		t.Run(name, func(t *testing.T) {
			dir, env := t.TempDir(), map[string]string{"PAWL_DATABASE_URL": place(t)}
			operate(t, dir, env, "", "migrate", "up")
			// The second administrator is one too many.
			change(t, env["PAWL_DATABASE_URL"], "CREATE UNIQUE INDEX one_admin ON users (role) WHERE role = 'ADMIN'")
			var lines strings.Builder
			for i := range 100 {
				role := "USER"
				if i == 10 || i == 90 {
					role = "ADMIN"
				}
				_, _ = fmt.Fprintf(&lines, "user%d@example.com,%s,%s\n", i, bcryptHash, role)
			}
			file := filepath.Join(dir, "accounts.csv")
			if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			code, log := start(t, dir, list(env), "user", "import", file).end()
			if code != 1 || !strings.HasPrefix(log, "pawl: nothing was imported: PAWL_DATABASE_URL: ") || strings.Contains(log, "$2y") {
				t.Errorf("got exit %d and %q, want 1, that nothing was imported, and no hash", code, log)
			}
			if got := operate(t, dir, env, "", "user", "list", "--json"); got != "[]\n" {
				t.Errorf("got accounts %s, want none", got)
			}
			change(t, env["PAWL_DATABASE_URL"], "DROP INDEX one_admin")
			if got, want := operate(t, dir, env, "", "user", "import", file), "added: 100; skipped, because the email has an account already: 0\n"; got != want {
				t.Errorf("after that: got %q, want %q", got, want)
			}
		})
	}
}

// TestImportWhoseAnswerIsLost: what was imported is not said to be missing.
func TestImportWhoseAnswerIsLost(t *testing.T) {
	place := databasetest.PostgresURL(t)
	proxy := faultproxy.New(t, host(t, place))
	dir, env := t.TempDir(), map[string]string{"PAWL_DATABASE_URL": place}
	operate(t, dir, env, "", "migrate", "up")
	file := filepath.Join(dir, "accounts.csv")
	if err := os.WriteFile(file, []byte("a@example.com,"+bcryptHash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env["PAWL_DATABASE_URL"] = proxy.Through(place)
	proxy.Swallow(1, "COMMIT", true)
	code, log := start(t, dir, list(env), "user", "import", file).end()
	if code != 1 || !strings.HasPrefix(log, "pawl: all of the file was imported or nothing, and which is not known") || proxy.Left() != 0 {
		t.Errorf("got exit %d and %q, want 1, and that nobody knows", code, log)
	}
	if got, want := operate(t, dir, env, "", "user", "import", file), "added: 0; skipped, because the email has an account already: 1\n"; got != want {
		t.Errorf("again: got %q, want %q", got, want)
	}
}

// change runs a statement on a database.
func change(t *testing.T, place, statement string) {
	t.Helper()
	db, err := database.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = database.Close(db) }()
	if err := db.Exec(statement).Error; err != nil {
		t.Fatal(err)
	}
}
