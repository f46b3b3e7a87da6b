package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

// account is one that an import adds.
type account struct {
	email string
	hash  secret.Text
	role  user.Role
}

// badLine is a line that cannot be imported. Problem says why, and repeats
// nothing of the line: with columns in another order any of them is the hash.
type badLine struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

// maxImportLine is the most bytes of a line of JSON.
const maxImportLine = 64 * 1024

// accountReader collects what a file says.
type accountReader struct {
	accounts []account
	bad      []badLine
	seen     map[string]int // normalised emails, and the lines they stand in
}

// readAccounts reads a whole file, JSON Lines where it begins with a brace, else
// CSV. Lines that cannot be imported are in bad, all of them; the error is that
// of reading.
func readAccounts(file io.Reader) (accounts []account, bad []badLine, err error) {
	text := bufio.NewReaderSize(file, maxImportLine)
	if mark, _ := text.Peek(3); string(mark) == "\ufeff" { // as spreadsheets write it
		_, _ = text.Discard(3)
	}
	blank := 0 // lines before the first that is not empty
	for {
		next, err := text.Peek(1)
		if err != nil || strings.IndexByte(" \t\r\n", next[0]) < 0 {
			break
		}
		if next[0] == '\n' {
			blank++
		}
		_, _ = text.Discard(1)
	}
	r := &accountReader{bad: []badLine{}, seen: map[string]int{}}
	if next, _ := text.Peek(1); string(next) == "{" {
		err = r.readJSON(text, blank)
	} else {
		err = r.readCSV(text, blank)
	}
	return r.accounts, r.bad, err
}

func (r *accountReader) refuse(line int, problem string) {
	r.bad = append(r.bad, badLine{line, problem})
}

func (r *accountReader) readCSV(text io.Reader, before int) error {
	reader := csv.NewReader(text)
	reader.FieldsPerRecord = -1
	reader.TrimLeadingSpace = true
	for first := true; ; first = false {
		fields, err := reader.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			r.refuse(before+wrong.StartLine, "not CSV: "+wrong.Err.Error())
			continue
		case err != nil:
			return err
		}
		line, _ := reader.FieldPos(0)
		line += before
		switch {
		case first && strings.EqualFold(strings.TrimSpace(fields[0]), "email"):
			if header := strings.ToLower(strings.Join(fields, ",")); header != "email,password_hash" && header != "email,password_hash,role" {
				r.refuse(line, "the header must be email,password_hash or email,password_hash,role")
			}
		case len(fields) > 3 && strings.HasPrefix(fields[1], "$argon2") && !strings.Contains(fields[1], ","):
			r.refuse(line, "a hash with commas in it must stand in double quotes")
		case len(fields) != 2 && len(fields) != 3:
			r.refuse(line, "must have two or three fields: email,password_hash[,role]")
		default:
			r.add(line, fields[0], fields[1], strings.Join(fields[2:], ""))
		}
	}
}

func (r *accountReader) readJSON(text *bufio.Reader, before int) error {
	for line := before + 1; ; line++ {
		object, err := text.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = text.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		switch object = bytes.TrimSpace(object); {
		case tooLong:
			r.refuse(line, fmt.Sprintf("longer than %d bytes", maxImportLine))
		case len(object) > 0:
			r.addObject(line, object)
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the file
		}
	}
}

func (r *accountReader) addObject(line int, object []byte) {
	var a struct {
		Email *string `json:"email"`
		Hash  *string `json:"password_hash"`
		Role  string  `json:"role"`
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&a)
	if _, more := decoder.Token(); err != nil || !errors.Is(more, io.EOF) || a.Email == nil || a.Hash == nil || !utf8.Valid(object) {
		r.refuse(line, `must be one object with the texts "email", "password_hash" and perhaps "role", and nothing else`)
		return
	}
	r.add(line, *a.Email, *a.Hash, a.Role)
}

// add judges one account and keeps it, or says everything that is wrong with it.
func (r *accountReader) add(line int, email, hash, role string) {
	a := account{email: strings.TrimSpace(email), hash: secret.New(strings.TrimSpace(hash)), role: user.RoleUser}
	var problems []string
	normalized, err := user.Normalize(a.email)
	if err != nil {
		problems = append(problems, "not an email address of at most 254 bytes")
	} else if earlier, twice := r.seen[normalized]; twice {
		problems = append(problems, fmt.Sprintf("the same email as in line %d", earlier))
	} else {
		r.seen[normalized] = line
	}
	if password.CheckHash(a.hash) != nil {
		problems = append(problems, "not a usable hash: argon2id as a PHC string (at most m=262144, t=10, p=4), or bcrypt ($2a$, $2b$, $2y$; at most cost 14)")
	}
	if role = strings.TrimSpace(role); role != "" {
		if a.role, err = user.ParseRole(role); err != nil {
			problems = append(problems, "the role must be USER or ADMIN")
		}
	}
	if len(problems) > 0 {
		r.refuse(line, strings.Join(problems, "; "))
		return
	}
	r.accounts = append(r.accounts, a)
}
