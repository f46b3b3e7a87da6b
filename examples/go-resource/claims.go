package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/golang-jwt/jwt/v5"
)

// latestDate is the end of the year 9999, in seconds since 1970.
const latestDate = 253402300799

var errClaims = errors.New("the claims are not what RFC 7519 asks for")

// claims are what an access token of Pawl says (RFC 9068).
type claims struct {
	jwt.RegisteredClaims
	SessionID string `json:"sid"`
	Role      string `json:"role"` // USER or ADMIN
}

// Validate is called by the parser beside its own checks.
func (c claims) Validate() error {
	if c.Subject == "" || c.SessionID == "" {
		return errors.New("the token names no user or no session")
	}
	return nil
}

// UnmarshalJSON demands of each claim that it comes once, under its exact name
// and with its type. The library alone takes "EXP" for exp, and text for a number.
func (c *claims) UnmarshalJSON(data []byte) error {
	members, err := uniqueMembers(data)
	if err != nil {
		return err
	}
	known := map[string]json.RawMessage{}
	for name, value := range members {
		ok := true
		switch name {
		case "iss", "sub", "sid", "role", "jti":
			ok = value[0] == '"'
		case "aud":
			ok = value[0] == '"' || value[0] == '['
		case "exp", "nbf", "iat":
			seconds, err := strconv.ParseFloat(string(value), 64)
			ok = err == nil && seconds >= 0 && seconds <= latestDate
		default:
			continue
		}
		if !ok {
			return errClaims
		}
		known[name] = value
	}
	exact, err := json.Marshal(known)
	if err != nil {
		return err
	}
	type plain claims // without this method
	return json.Unmarshal(exact, (*plain)(c))
}

// uniqueMembers reads a JSON object whose names are unique.
func uniqueMembers(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errClaims
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		text, _ := name.(string)
		if _, twice := members[text]; twice {
			return nil, errClaims
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		members[text] = value
	}
	return members, nil
}
