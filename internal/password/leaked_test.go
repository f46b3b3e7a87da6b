package password_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/password"
)

func TestLeaked(t *testing.T) {
	for _, text := range []string{
		// entries of the list
		"123456789987654321", "1qaz2wsx3edc4rfv", "PasswordPassword", "q1w2e3r4t5y6u7i8o9p0", "p@ssw0rd", "trustno1",
		"\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", // wide letters
		// one entry, repeated or with digits and signs
		"password1password1", "password1password2", "Password-2024-Password", "monkey20240101!!", "!!!dragon!!!dragon!!!",
		"letmeinletmeinletm", "trustno1trustno1", "p@ssw0rdp@ssw0rd", "2024password2024", "1111111111love", "iloveyou iloveyou",
		"summer \u20ac 2024 +++", "dragon-084716392", "123qwe123qwe123qwe",
		// repetitions of little
		"aaaaaaaaaaaaaaa", "!!!!!!!!!!!!!!!", strings.Repeat("\U0001f600", 15), "xkxkxkxkxkxkxkx", "9k!z9k!z9k!z9k!z", "               ",
		// runs
		"123456789012345", "098765432109876", "abcdefghijklmno", "ponmlkjihgfedcba", "qwertyuiopasdfghjkl", "zxcvbnmasdfghjkl",
		"qwertzuiopasdfghjkl", "azertyuiopqsdfghjklm", "\u0439\u0446\u0443\u043a\u0435\u043d\u0433\u0448\u0449\u0437\u0445\u044a\u0444\u044b\u0432\u0430\u043f",
		"112233445566778899", "aabbccddeeffgghh", "1q2w3e4r5t6y7u8i", "qazwsxedcrfvtgbyhn", "111222333444555666", "1234-5678-9012-345",
		"abcd1234efgh5678", "xyzabcdefghijklm", "!@#$%^&*()!@#$%", "12345678910 12345678910",
		// an entry and runs
		"passwordqwerty123", "abcpassworddef", "asdfghjkl;monkey",
	} {
		if !password.Leaked(text) {
			t.Errorf("%q: got no problem, want it known as leaked", text)
		}
	}
}

func TestNotLeaked(t *testing.T) {
	for _, text := range []string{
		"", "correct horse battery staple", "correcthorsebatterystaple", "Correct-Horse-Battery-Staple-1", "a long enough sentence",
		"an even better sentence", "monkey dragon", "iloveyou monkey 2024", "passwordmonkey12", "my password is password",
		"dressed as sweet bees", "were you there?", "abc def ghi jkm", "nopqrst or defghi?", "the cat sat on the mat",
		// generated
		"kX7#mQ2$vL9@pR4!", "8401-7263-love-1128-9942", "dragon-0847163925", "08471639250dragon", "dog 84716392 dog", "x7k2m9q4w8e3r6t1", "84719350284719305", "8471-9350-2847-1930", "123e4567-e89b-12d3-a456-426614174000",
		"d41d8cd98f00b204e9800998ecf8427e", "xafqu-bokty-veglo", "TU5nVEVyZ0hKbDlN",
		// no letters of ours
		"\u4f60\u597d\u4e16\u754c\u4f60\u597d\u6211\u662f", "\u043f\u0430\u0440\u043e\u043b\u044c \u0434\u043b\u044f \u0432\u0445\u043e\u0434\u0430",
		"love \U0001f600\U0001f436\U0001f389\U0001f30d\U0001f680\U0001f34e\U0001f3b5", "                x",
	} {
		if password.Leaked(text) {
			t.Errorf("%q: known as leaked, want no problem", text)
		}
	}
}

// Three different words make a phrase, even if each of them is an entry of the
// list (and none a run on the keyboard), whatever stands between them.
func TestPhrasesAreFree(t *testing.T) {
	words := slices.DeleteFunc(slices.Clone(password.LeakedWords()), func(word string) bool {
		return len(word) < 5 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" || password.HasRun(word)
	})
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() string { return words[random.IntN(len(words))] }
	const phrases = 30_000
	refused := 0
	for range phrases {
		a, b, c := draw(), draw(), draw()
		text := a + []string{" ", "-", "", "7"}[random.IntN(4)] + b + " " + c
		if !related(a, b, c) && password.Leaked(text) {
			refused++
			if refused <= 10 {
				t.Logf("refused: %q", text)
			}
		}
	}
	if refused > 0 {
		t.Errorf("%d of %d phrases of three words are known as leaked, want none", refused, phrases)
	}
}

// related reports whether two of the words are parts of each other.
func related(a, b, c string) bool {
	in := func(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) }
	return in(a, b) || in(b, c) || in(a, c)
}

// What a generator draws is not refused; in sixteen hexadecimal digits few
// letters may happen to be runs.
func TestRandomPasswordsAreFree(t *testing.T) {
	const drawn = 20_000
	for alphabet, most := range map[string]int{
		"0123456789": 0, "0123456789abcdef": drawn / 4000,
		"abcdefghijklmnopqrstuvwxyz": 0, "0123456789abcdefghijklmnopqrstuvwxyz!#$%&*+-": 0,
	} {
		var refused []string
		random := rand.New(rand.NewPCG(3, 4))
		for range drawn {
			text := make([]byte, 16)
			for i := range text {
				text[i] = alphabet[random.IntN(len(alphabet))]
			}
			if password.Leaked(string(text)) {
				refused = append(refused, string(text))
			}
		}
		if len(refused) > most {
			t.Errorf("%d of %d from %s are known as leaked, want at most %d: %q", len(refused), drawn, alphabet, most, refused)
		}
	}
}

// Every entry is refused, stretched to the least length in the ways that people do.
func TestStretchedEntries(t *testing.T) {
	for _, word := range password.LeakedWords() {
		if len(word) < 4 {
			continue // too little, unless nothing stands beside it
		}
		for _, text := range []string{word, strings.Repeat(word, 4), strings.ToUpper(word), word + "!-" + word} {
			if !password.Leaked(text) {
				t.Errorf("%q: got no problem, want it known as leaked", text)
			}
		}
	}
}

// The list is the one that leaked/SOURCE.md describes, in the form that the
// search relies on.
func TestList(t *testing.T) {
	words := password.LeakedWords()
	if !slices.IsSorted(words) {
		t.Error("the list is not sorted")
	}
	for _, word := range words {
		if len(word) < 3 || len(word) > 20 || strings.ToLower(word) != word || strings.Trim(word, " \r") != word {
			t.Errorf("entry %q: want 3 to 20 characters in lower case", word)
		}
	}
	source, err := os.ReadFile("leaked/SOURCE.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(strings.Join(words, "\n")))
	for _, want := range []string{hex.EncodeToString(sum[:]), "49,233"} {
		if !strings.Contains(string(source), want) {
			t.Errorf("leaked/SOURCE.md does not have %s", want)
		}
	}
	if len(words) != 49_233 {
		t.Errorf("got %d entries, want 49233", len(words))
	}
}
