// Package explorer owns the page at /explorer: GraphiQL, built from ui/ and
// embedded as compressed files. It refuses to know GraphQL, sessions and
// configuration: the page asks the server it came from, and nobody else.
package explorer

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Only gzip: every browser takes it, and the standard library can undo it for a
// client that does not. A second encoding would double the size of the program.
//
//go:embed dist
var dist embed.FS

const (
	root      = "/explorer"
	page      = "index.html"
	nonceMark = "PAWL_NONCE" // ui/vite.config.js
)

// mediaType goes by the ending of a built file's name; empty for one that is not known.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".md":
		return "text/plain; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".ttf":
		return "font/ttf"
	}
	return ""
}

type handler struct {
	page  string            // with nonceMark where its nonces go
	files map[string][]byte // gzip, by path below root/
}

// New unpacks nothing but the page. The handler answers GET and HEAD of /explorer
// and of what is below, everything else there with 404, and sets
// Content-Security-Policy, Content-Type and Cache-Control itself. It is safe for
// concurrent use. An error means that the program was built from incomplete files.
func New() (http.Handler, error) {
	h := handler{files: map[string][]byte{}}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := dist.ReadFile(name)
		name = strings.TrimSuffix(strings.TrimPrefix(name, "dist/"), ".gz")
		if name == page {
			h.page, err = unpack(content)
			return err
		}
		if mediaType(name) == "" {
			return fmt.Errorf("explorer: %s: no media type for this ending", name)
		}
		h.files[name] = content
		return err
	})
	if err == nil && !strings.Contains(h.page, nonceMark) {
		err = fmt.Errorf("explorer: %s is missing or has no place for a nonce: run make explorer", page)
	}
	return h, err
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == root || r.URL.Path == root+"/" {
		h.servePage(w)
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, root+"/")
	content, ok := h.files[name]
	if !below || !ok {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy("")) // a worker obeys that of its own file
	header.Set("Content-Type", mediaType(name))
	header.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") { // their names change with their content
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	header.Set("Vary", "Accept-Encoding")
	serve(w, content, takesGzip(r.Header.Values("Accept-Encoding")))
}

// servePage answers with a page of its own for each request: the styles that
// scripts make at run time are allowed by a nonce.
func (h handler) servePage(w http.ResponseWriter) {
	nonce := rand.Text()
	w.Header().Set("Content-Security-Policy", policy(nonce))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = io.WriteString(w, strings.ReplaceAll(h.page, nonceMark, nonce))
}

func serve(w http.ResponseWriter, packed []byte, asIs bool) {
	if asIs {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(len(packed)))
		_, _ = w.Write(packed)
		return
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		http.Error(w, "damaged file", http.StatusInternalServerError)
		return
	}
	_, _ = io.Copy(w, unpacked) //nolint:gosec // files of this program, of known size
}

func unpack(packed []byte) (string, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", fmt.Errorf("explorer: %s: %w", page, err)
	}
	text, err := io.ReadAll(unpacked)
	return string(text), err
}

// policy is the Content-Security-Policy (level 3): files of this server and
// nothing else, no script or style in the page, but for style elements that
// carry the nonce.
func policy(nonce string) string {
	styles := "'self'"
	if nonce != "" {
		styles += " 'nonce-" + nonce + "'"
	}
	return "default-src 'none'; script-src 'self'; worker-src 'self'; style-src " + styles +
		"; connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
}

// takesGzip reads Accept-Encoding (RFC 9110 §12.5.3): gzip, or * where gzip is
// not named, with a weight that is not zero.
func takesGzip(values []string) bool {
	var others bool
	for coding := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		_, q, weighted := strings.Cut(strings.ToLower(strings.TrimSpace(weight)), "q=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		takes := !weighted || (err == nil && value > 0)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return takes
		case "*":
			others = takes
		}
	}
	return others
}
