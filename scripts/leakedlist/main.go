// Command leakedlist writes the list of leaked passwords that the server embeds
// anew, and its licence beside it: internal/password/leaked. It takes one
// version of one npm package, and nothing whose digest is another. A newer
// version: change the constants, run it, and say so in SOURCE.md.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	source    = "@zxcvbn-ts/language-common@4.1.3"
	integrity = "g2bg4skmlJG9aJqC/nWziZzgYpSe/f3rKeGobrkdFiOrfZVFqqzUgC6BUQWuX54Sua9j0Jxxt+1bf4f/Mal1Kg==" // SHA-512, as npm has it
	target    = "internal/password/leaked"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "leakedlist:", err)
		os.Exit(1)
	}
}

func run() error {
	files, err := download()
	if err != nil {
		return err
	}
	list, entries, err := compress(files["package/src/passwords.json"])
	if err == nil {
		err = os.WriteFile(filepath.Join(target, "list.gz"), list, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(target, "LICENSE.txt"), files["package/LICENSE.txt"], 0o644)
	}
	if err == nil {
		fmt.Printf("%s: %d entries in %d bytes\n", source, entries, len(list))
	}
	return err
}

// download is the package's files by name.
func download() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "pawl-leakedlist-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	pack := exec.Command("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", dir, source)
	pack.Stderr = os.Stderr
	name, err := pack.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", source, err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, filepath.Base(strings.TrimSpace(string(name)))))
	if err != nil {
		return nil, err
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != integrity {
		return nil, fmt.Errorf("%s is not what it was: its SHA-512 is another", source)
	}
	return unpack(archive)
}

func unpack(archive []byte) (map[string][]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(plain); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
}

// compress sorts a JSON array of words and writes them as lines.
func compress(array []byte) (list []byte, entries int, err error) {
	var words []string
	if err := json.Unmarshal(array, &words); err != nil {
		return nil, 0, fmt.Errorf("the list cannot be read: %w", err)
	}
	slices.Sort(words)
	words = slices.Compact(words)
	var out bytes.Buffer
	writer, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, 0, err
	}
	if _, err := io.WriteString(writer, strings.Join(words, "\n")); err != nil {
		return nil, 0, err
	}
	err = writer.Close()
	return out.Bytes(), len(words), err
}
