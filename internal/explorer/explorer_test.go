package explorer_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/explorer"
)

func handler(t *testing.T) http.Handler {
	t.Helper()
	h, err := explorer.New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, encodings ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header["Accept-Encoding"] = encodings
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// built is what is embedded, unpacked, by path below /explorer/.
func built(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS("dist"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		packed, err := os.ReadFile(filepath.Join("dist", name))
		if err != nil {
			return err
		}
		short, ok := strings.CutSuffix(name, ".gz")
		if !ok {
			t.Errorf("dist/%s: got a file that is not compressed, want .gz only", name)
			return nil
		}
		files[short] = unpack(t, packed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func unpack(t *testing.T, packed []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestPage(t *testing.T) {
	h := handler(t)
	nonces := map[string]bool{}
	for _, path := range []string{"/explorer", "/explorer/", "/explorer"} {
		res := get(h, path, "gzip, br")
		text := string(body(t, res))
		policy := res.Header.Get("Content-Security-Policy")
		match := regexp.MustCompile(`^default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'nonce-([A-Z2-7]{26})'; ` +
			`connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'$`).FindStringSubmatch(policy)
		if match == nil {
			t.Fatalf("%s: got policy %q", path, policy)
		}
		nonces[match[1]] = true
		if want := `nonce="` + match[1] + `"`; !strings.Contains(text, want) || strings.Contains(text, "PAWL_NONCE") {
			t.Errorf("%s: got a page without %s: %s", path, want, text)
		}
		for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "Content-Encoding": ""} {
			if got := res.Header.Get(name); res.StatusCode != 200 || got != want {
				t.Errorf("%s: got %d, %s %q, want 200, %q", path, res.StatusCode, name, got, want)
			}
		}
	}
	if len(nonces) != 3 {
		t.Errorf("got nonces %v for three pages, want three", nonces)
	}
}

func TestFiles(t *testing.T) {
	h := handler(t)
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".ttf": "font/ttf",
		".svg": "image/svg+xml", ".md": "text/plain; charset=utf-8",
	}
	files := built(t)
	delete(files, "index.html")
	if len(files) < 10 {
		t.Fatalf("got %d files, want the page's scripts, styles and workers", len(files))
	}
	for name, want := range files {
		cache := "no-cache"
		if strings.HasPrefix(name, "assets/") {
			cache = "public, max-age=31536000, immutable"
		}
		for encodings, coded := range map[string]string{"gzip, deflate, br": "gzip", "br": ""} {
			res := get(h, "/explorer/"+name, encodings)
			content := body(t, res)
			if coded == "gzip" {
				if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(content)) {
					t.Errorf("%s: got Content-Length %q, want %d", name, got, len(content))
				}
				content = []byte(unpack(t, content))
			}
			if string(content) != want {
				t.Errorf("%s with Accept-Encoding %q: got other content than was built", name, encodings)
			}
			for header, want := range map[string]string{
				"Content-Type": types[filepath.Ext(name)], "Content-Encoding": coded, "Vary": "Accept-Encoding", "Cache-Control": cache,
			} {
				if got := res.Header.Get(header); res.StatusCode != 200 || got != want {
					t.Errorf("%s: got %d, %s %q, want 200, %q", name, res.StatusCode, header, got, want)
				}
			}
			// A worker obeys the policy of its own file.
			if got := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; script-src 'self'; ") || strings.Contains(got, "unsafe") {
				t.Errorf("%s: got policy %q", name, got)
			}
		}
	}
}

func TestEncodings(t *testing.T) {
	h := handler(t)
	for _, tt := range []struct {
		accept []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"gzip"}, "gzip"},
		{[]string{"GZIP;Q=0.5"}, "gzip"},
		{[]string{"br", "deflate , gzip"}, "gzip"},
		{[]string{"identity"}, ""},
		{[]string{"gzip;q=0"}, ""},
		{[]string{"gzip;q=0.000"}, ""},
		{[]string{"gzip;q=x"}, ""},
		{[]string{"*"}, "gzip"},
		{[]string{"*;q=0"}, ""},
		{[]string{"*, gzip;q=0"}, ""},
		{[]string{"gzip, *;q=0"}, "gzip"},
		{[]string{"gzipped"}, ""},
	} {
		if got := get(h, "/explorer/licenses.md", tt.accept...).Header.Get("Content-Encoding"); got != tt.want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", tt.accept, got, tt.want)
		}
	}
}

func TestNothingElse(t *testing.T) {
	h := handler(t)
	for _, path := range []string{
		"/explorer/none", "/explorer/index.html", "/explorer/index.html.gz", "/explorer/licenses.md.gz", "/explorer/assets", "/explorer/assets/",
		"/explorer/../explorer.go", "/explorer/assets/../index.html", "/explorer/%2e%2e/explorer.go", "/explorer//licenses.md",
		"/explorer/ui/package.json", "/explorerlicenses.md", "/explorer/dist/licenses.md",
	} {
		res := get(h, path, "gzip")
		if got := string(body(t, res)); res.StatusCode != 404 || got != "not found\n" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: got %d %.60q, want 404", path, res.StatusCode, got)
		}
	}
}

// TestAsksNobodyElse: nothing in the page loads from another host, and the page
// holds nothing that its policy would refuse.
func TestAsksNobodyElse(t *testing.T) {
	files := built(t)
	loads := regexp.MustCompile(`(?:src=|href=|url\(|import|import\(|fetch\(|Worker\(|importScripts\(|EventSource\(|WebSocket\()["'` + "`" + `]?$`) // what may load, up to the address
	for name, content := range files {
		if name == "licenses.md" {
			continue // read by people
		}
		for _, mark := range []string{"esm.sh", "unpkg.com", "jsdelivr", "cdnjs", "googleapis", "gstatic", "@import"} {
			if strings.Contains(content, mark) {
				t.Errorf("%s: got %q, want nothing from elsewhere", name, mark)
			}
		}
		// What stands before an address tells whether it is loaded.
		parts := strings.Split(content, "//")
		for i, before := range parts[:len(parts)-1] {
			before = strings.TrimSuffix(strings.TrimSuffix(before[max(0, len(before)-40):], "https:"), "http:")
			if loads.MatchString(before) {
				t.Errorf("%s: got %q, want nothing from elsewhere", name, before+"//"+parts[i+1][:min(40, len(parts[i+1]))])
			}
		}
	}
	page := files["index.html"]
	inline := regexp.MustCompile(`<style|<script(?:[^>]*)>[^<]|\son\w+=|\sstyle=|javascript:`)
	if found := inline.FindString(page); found != "" {
		t.Errorf("index.html: got %q, which the policy refuses: %s", found, page)
	}
}

// TestSize: the page must stay a small part of the program.
func TestSize(t *testing.T) {
	const limit = 1_800_000
	var total int64
	err := filepath.WalkDir("dist", func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil || total > limit {
		t.Errorf("got %d bytes (%v), want at most %d: see which chunk has grown", total, err, limit)
	}
}
