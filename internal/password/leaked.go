package password

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// leakedList is described in leaked/SOURCE.md.
//
//go:embed leaked/list.gz
var leakedList []byte

// leakedWords are the entries of the list, in order; unpacked when they are
// first asked for, which takes some milliseconds and 1.2 MB.
var leakedWords = sync.OnceValue(func() []string { //nolint:gochecknoglobals // a table, never written
	reader, err := gzip.NewReader(bytes.NewReader(leakedList))
	if err != nil {
		panic("password: the embedded list is damaged: " + err.Error())
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		panic("password: the embedded list is damaged: " + err.Error())
	}
	return strings.Split(string(text), "\n")
})

const (
	longestLeaked  = 20 // characters of an entry
	shortestLeaked = 4  // shorter ones are left alone
	shortestRun    = 3
	longestPeriod  = 4
	mostBeside     = 10 // characters beside an entry and runs
)

// lines are what fingers and counting run along, in both directions and from the
// end to the beginning. No character stands in one of them twice.
var lines = [][]rune{ //nolint:gochecknoglobals // a table, never written
	[]rune("1234567890"), []rune("!@#$%^&*()"), []rune("abcdefghijklmnopqrstuvwxyz"),
	[]rune("qwertyuiop"), []rune("asdfghjkl"), []rune("zxcvbnm"),
	[]rune("qwertzuiop"), []rune("yxcvbnm"), []rune("azertyuiop"), []rune("qsdfghjklm"), []rune("wxcvbn"),
	[]rune("йцукенгшщзхъ"), []rune("фывапролджэ"), []rune("ячсмитьбю"), []rune("абвгдежзийклмнопрстуфхцчшщъыьэюя"),
	[]rune("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"), []rune("1qa2ws3ed4rf5tg6yh7uj8ik9ol0p"), []rune("qazwsxedcrfvtgbyhnujmikolp"),
	[]rune("1q2w3e4r5t6y7u8i9o0p"), []rune("q1w2e3r4t5y6u7i8o9p0"),
}

// leaked reports whether a folded text is an entry of the list or hardly more
// than one: it repeats up to four characters, or all its letters (all its
// digits, where it has no letters) belong to one entry, repeated or not, or to
// runs of neighbouring or equal characters, with at most ten digits and signs
// beside them. A phrase of several words is none of these, even if each of them
// is an entry.
func leaked(text string) bool {
	runes := []rune(text)
	return len(runes) > 0 && (repeats(runes) || newCover(runes).complete())
}

func listed(word []rune) bool {
	_, found := slices.BinarySearch(leakedWords(), string(word))
	return found
}

func repeats(text []rune) bool {
	for period := 1; period <= longestPeriod && period < len(text); period++ {
		if slices.Equal(text[period:], text[:len(text)-period]) {
			return true
		}
	}
	return false
}

// cover lays runs and one entry over a text.
type cover struct {
	text   []rune
	counts int   // the weight of the characters that must be covered
	runs   []int // the length of the run that begins here; zero where it was not asked for yet
}

func newCover(text []rune) cover {
	c := cover{text: text, runs: make([]int, len(text))}
	for _, r := range text {
		c.counts = max(c.counts, weight(r))
	}
	return c
}

// step is how far a run leads from here, or a character that may stand beside;
// zero for nowhere.
func (c cover) step(at int) (n, beside int) {
	if c.runs[at] == 0 {
		c.runs[at] = run(c.text[at:])
	}
	switch {
	case c.runs[at] >= shortestRun:
		return c.runs[at], 0
	case weight(c.text[at]) < c.counts:
		return 1, 1
	}
	return 0, 0
}

// weight tells letters (and whatever is none of the others) from digits, and
// digits from punctuation and blanks.
func weight(r rune) int {
	switch {
	case unicode.IsDigit(r):
		return 1
	case unicode.In(r, unicode.P, unicode.Z, unicode.Sc, unicode.Sk, unicode.Sm):
		return 0
	}
	return 2
}

// complete reports whether runs and one entry cover the text. The entry is
// sought wherever runs lead.
func (c cover) complete() bool {
	beside := 0
	for at := 0; at < len(c.text) && beside <= mostBeside; {
		rest := c.text[at:]
		for size := shortestLeaked; size <= min(len(rest), longestLeaked); size++ {
			if word := rest[:size]; listed(word) && c.completeWith(word, at+size, beside) {
				return true
			}
		}
		n, more := c.step(at)
		if n == 0 {
			return false
		}
		at, beside = at+n, beside+more
	}
	return beside <= mostBeside
}

// completeWith reports whether the word and runs cover the text from at on. The
// last word may be cut off.
func (c cover) completeWith(word []rune, at, beside int) bool {
	for at < len(c.text) && beside <= mostBeside {
		rest := c.text[at:]
		n, more := min(len(word), len(rest)), 0
		if !slices.Equal(word[:n], rest[:n]) {
			n, more = c.step(at)
		}
		if n == 0 {
			return false
		}
		at, beside = at+n, beside+more
	}
	return beside <= mostBeside
}

// run is how many characters from the first on are all the same, or each the
// same as the one before or its neighbour, in one direction along one line.
func run(text []rune) int {
	longest := 1
	for longest < len(text) && text[longest] == text[0] {
		longest++
	}
	for _, line := range lines {
		if at := slices.Index(line, text[0]); at >= 0 {
			longest = max(longest, runAlong(line, at, 1, text), runAlong(line, at, len(line)-1, text))
		}
	}
	return longest
}

// runAlong is a run of at least three different characters, or zero.
func runAlong(line []rune, at, step int, text []rune) int {
	n, different := 1, 1
	for ; n < len(text); n++ {
		next := (at + step) % len(line)
		if text[n] == line[next] {
			at, different = next, different+1
		} else if text[n] != line[at] {
			break
		}
	}
	if different < shortestRun {
		return 0
	}
	return n
}
