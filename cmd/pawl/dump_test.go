package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// traces are all the spellings in which a session's credentials could have been
// left somewhere: the tokens, the secret in the refresh token, and hashes of the
// tokens.
func traces(s *session) []string {
	refresh := s.refresh
	if refresh == "" {
		_, refresh, _ = strings.Cut(s.cookie, "=")
	}
	body := strings.TrimPrefix(refresh, "pawl_rt1_")
	raw, _ := base64.RawURLEncoding.DecodeString(body)
	secret := raw[1+6+1+16+16:][:16]
	found := []string{refresh, body, body[len(body)-43:], s.access, s.access[strings.LastIndex(s.access, ".")+1:]}
	for _, bytes := range [][]byte{raw, secret, raw[64:], hash(refresh), hash(body), hash(string(raw)), hash(s.access)} {
		found = append(found, string(bytes), hex.EncodeToString(bytes),
			base64.RawURLEncoding.EncodeToString(bytes), base64.RawStdEncoding.EncodeToString(bytes))
	}
	return found
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// dumpTables is every row of every table as text.
func dumpTables(ctx context.Context, database string) (string, error) {
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close(ctx) }()
	rows, err := db.Query(ctx, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`)
	if err != nil {
		return "", err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	var dump strings.Builder
	for _, table := range tables {
		rows, err := db.Query(ctx, `SELECT row_to_json(t)::text FROM `+pgx.Identifier{table}.Sanitize()+` t`)
		if err != nil {
			return "", err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&dump, table, strings.Join(lines, "\n"))
	}
	return dump.String(), nil
}
