// Package deploy_test checks what can be checked of the files here without a
// container engine.
package deploy_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/pawlauth/pawl/internal/server"
)

// compose is the part of compose.yaml that the tests look at.
type compose struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Command     any               `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Volumes     []string          `yaml:"volumes"`
		DependsOn   map[string]any    `yaml:"depends_on"`
		StopGrace   string            `yaml:"stop_grace_period"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readCompose(t *testing.T) (c compose) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &c); err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return c
}

// TestDockerfileBuilds runs the image's build command, and what the files here
// call must be in the program.
func TestDockerfileBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	dockerfile := read(t, "Dockerfile")
	command := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindStringSubmatch(dockerfile)
	if command == nil {
		t.Fatal("Dockerfile: no line that builds a static program")
	}
	pawl := filepath.Join(t.TempDir(), "pawl")
	build := exec.Command("sh", "-c", strings.ReplaceAll(command[1], "/out/pawl", pawl))
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[1], err, out)
	}
	if file, err := elf.Open(pawl); err == nil { // where programs are ELF
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP {
				t.Error("the program is not static: it needs a loader, which the image lacks")
			}
		}
		_ = file.Close()
	}
	help := func(args ...string) string {
		out, err := exec.Command(pawl, append([]string{"help"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("pawl help %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if !strings.Contains(dockerfile, `CMD ["/usr/local/bin/pawl", "healthcheck"]`) || !strings.Contains(help("healthcheck"), "PAWL_ADDR") {
		t.Error("Dockerfile: no HEALTHCHECK by pawl healthcheck")
	}
	for name, service := range readCompose(t).Services {
		if service.Image != "pawl" {
			continue
		}
		var words, flags []string
		for _, word := range service.Command.([]any) {
			if text := word.(string); strings.HasPrefix(text, "-") {
				flags = append(flags, text)
			} else {
				words = append(words, text)
			}
		}
		text := help(words...)
		for _, flag := range flags {
			if !strings.Contains(text, flag) {
				t.Errorf("service %s: pawl %v has no flag %s", name, words, flag)
			}
		}
		for variable := range service.Environment {
			if !strings.Contains(text, "$"+variable) {
				t.Errorf("service %s: pawl %v has no setting %s", name, words, variable)
			}
		}
	}
}

func TestDockerfileIsHardened(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	final := dockerfile[strings.LastIndex(dockerfile, "\nFROM "):]
	for _, want := range []string{"FROM gcr.io/distroless/static", "\nUSER 65532", "\nHEALTHCHECK "} {
		if !strings.Contains(final, want) {
			t.Errorf("Dockerfile: the final stage lacks %q", want)
		}
	}
	if strings.Contains(final, "\nRUN ") {
		t.Error("Dockerfile: the final stage has no shell to RUN anything")
	}
}

func TestCompose(t *testing.T) {
	c := readCompose(t)
	for _, name := range []string{"postgres", "redis", "keys", "migrate", "pawl"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("no service %s", name)
		}
	}
	for name, service := range c.Services {
		for other := range service.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("service %s depends on %s, which is not there", name, other)
			}
		}
		for _, mount := range service.Volumes {
			volume, _, _ := strings.Cut(mount, ":")
			if _, ok := c.Volumes[volume]; !ok {
				t.Errorf("service %s mounts %s, which is not there", name, volume)
			}
		}
	}
	redis, _ := c.Services["redis"].Command.(string)
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction", "--requirepass"} {
		if !strings.Contains(redis, want) {
			t.Errorf("redis runs %q, want %s", redis, want)
		}
	}
}

// TestStopGrace: the engine waits for as long as the page asks for, which is more
// than the program takes.
func TestStopGrace(t *testing.T) {
	page := regexp.MustCompile(`Give the process (\d+) s before you kill it`).FindStringSubmatch(read(t, "../docs/operations.md"))
	parts := regexp.MustCompile(`in flight within (\d+) s, writes what is pending within (\d+) s more`).FindStringSubmatch(read(t, "../docs/faults.md"))
	if page == nil || parts == nil {
		t.Fatal("the pages do not say how long a stop takes")
	}
	seconds := func(text string) time.Duration {
		d, err := time.ParseDuration(text + "s")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	grace, err := time.ParseDuration(readCompose(t).Services["pawl"].StopGrace)
	if err != nil || grace != seconds(page[1]) {
		t.Errorf("compose.yaml: got a stop_grace_period of %s (%v), want %s s as docs/operations.md says", grace, err, page[1])
	}
	if flight := seconds(parts[1]); flight != server.DrainTimeout || grace <= flight+seconds(parts[2]) {
		t.Errorf("got a grace of %s, want more than the %s + %s s of docs/faults.md, and %s there for what is in flight", grace, flight, parts[2], server.DrainTimeout)
	}
}

// TestNoSecretInFiles: passwords come from .env, which version control leaves out.
func TestNoSecretInFiles(t *testing.T) {
	text := read(t, "compose.yaml")
	for _, line := range strings.Split(text, "\n") {
		if secret := regexp.MustCompile(`(?i)(password|auth)\w*:\s*(\S.*)`).FindStringSubmatch(line); secret != nil && !strings.HasPrefix(secret[2], "${") {
			t.Errorf("compose.yaml holds a secret: %s", line)
		}
		if url := regexp.MustCompile(`://[^@\s]*:([^@\s]+)@`).FindStringSubmatch(line); url != nil && !strings.HasPrefix(url[1], "${") {
			t.Errorf("compose.yaml holds a secret: %s", line)
		}
	}
	if !strings.Contains(read(t, ".gitignore"), ".env") || !strings.Contains(read(t, "Dockerfile.dockerignore"), "**/.env") {
		t.Error(".env must stay out of version control and of the image")
	}
	readme := read(t, "README.md")
	for _, variable := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(readme, variable[1]+"=") {
			t.Errorf("README.md does not say how to make %s", variable[1])
		}
	}
}
