package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// latestDate is the largest date that a token may carry: the end of the year
// 9999, in seconds since 1970.
const latestDate = 253402300799

var (
	errMembers = errors.New("token: not a JSON object with unique names")
	errType    = errors.New("token: a claim has the wrong type")
)

// received are the claims of a token as it came. Only what is judged is kept.
type received struct {
	jwt.RegisteredClaims
	SessionID string
	Role      string
	AuthTime  *jwt.NumericDate
}

// UnmarshalJSON reads the claims by their exact names and demands the types of
// RFC 7519, section 4.1. The library alone would take "EXP" for exp, the last of
// two for the only one, and text for a number.
func (r *received) UnmarshalJSON(data []byte) error {
	m, err := readMembers(data)
	if err != nil {
		return err
	}
	var clientID string // not judged, but a string where it is there (RFC 8693, section 4.3)
	texts := map[string]*string{
		"iss": &r.Issuer, "sub": &r.Subject, "jti": &r.ID, "sid": &r.SessionID, "role": &r.Role, "client_id": &clientID,
	}
	for name, into := range texts {
		if raw, ok := m[name]; ok && (raw[0] != '"' || json.Unmarshal(raw, into) != nil) {
			return errType
		}
	}
	dates := map[string]**jwt.NumericDate{
		"exp": &r.ExpiresAt, "nbf": &r.NotBefore, "iat": &r.IssuedAt, "auth_time": &r.AuthTime,
	}
	for name, into := range dates {
		if raw, ok := m[name]; ok {
			seconds, err := strconv.ParseFloat(string(raw), 64) // of JSON only a number parses
			if err != nil || seconds < 0 || seconds > latestDate {
				return errType
			}
			*into = &jwt.NumericDate{Time: time.Unix(int64(seconds), 0)}
		}
	}
	if raw, ok := m["aud"]; ok {
		if raw[0] != '"' && raw[0] != '[' || r.Audience.UnmarshalJSON(raw) != nil {
			return errType
		}
	}
	return nil
}

// readMembers reads a JSON object whose names are unique.
func readMembers(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errMembers
	}
	m := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errMembers
		}
		text, ok := name.(string)
		if _, twice := m[text]; twice || !ok {
			return nil, errMembers
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errMembers
		}
		m[text] = value
	}
	return m, nil
}

// uniqueHeader reports whether an encoded header is an object with unique names:
// the library keeps the last of several.
func uniqueHeader(encoded string) bool {
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	_, err = readMembers(data)
	return err == nil
}
