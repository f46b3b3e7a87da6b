package token_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/token"
)

// signText signs a header and claims as they are written.
func signText(t *testing.T, key token.Key, header, claims string) secret.Text {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	signature, err := jwt.SigningMethodEdDSA.Sign(text, private(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(text + "." + encode(signature))
}

func text(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// with is a JSON object with one more member at its end.
func with(object, member string) string { return strings.TrimSuffix(object, "}") + "," + member + "}" }

// without is claims without the one of this name.
func without(name string) map[string]any {
	claims := goodClaims()
	delete(claims, name)
	return claims
}

// TestClaimsHaveTypes: each claim that is read has one JSON type, whatever the
// signature says (RFC 7519, section 4.1).
func TestClaimsHaveTypes(t *testing.T) {
	key := generate(t, token.EdDSA)
	p := newParty(t, key, config)
	header := text(t, goodHeader(key))
	late, fraction := fmt.Sprint(start.Add(time.Minute).Unix()), fmt.Sprintf("%d.75", start.Add(time.Minute).Unix())
	expect(t, p, "the claims as they are", signText(t, key, header, text(t, goodClaims())), nil)
	wrong := map[string][]string{}
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		at := late
		if name != "exp" {
			at = fmt.Sprint(start.Unix())
		}
		wrong[name] = []string{
			`"` + at + `"`, `"9999999999"`, "null", "true", "[" + at + "]", "{}", `""`,
			"-1", "1e999", "1e300", fmt.Sprint(uint64(math.MaxUint64)), "253402300800",
		}
	}
	for _, name := range []string{"iss", "sub", "sid", "jti", "client_id", "role"} {
		good, _ := goodClaims()[name].(string)
		wrong[name] = []string{"null", "1", "true", "{}", `["` + good + `"]`}
	}
	wrong["aud"] = []string{"null", "1", "true", "{}", `{"` + config.Audience + `":1}`, `["` + config.Audience + `",1]`, `["` + config.Audience + `",null]`, `[["` + config.Audience + `"]]`}
	for name, values := range wrong {
		for _, value := range values {
			raw := signText(t, key, header, with(text(t, without(name)), `"`+name+`":`+value))
			expect(t, p, name+": "+value, raw, token.ErrInvalid)
		}
	}
	expect(t, p, "a fraction of a second", signText(t, key, header, with(text(t, without("exp")), `"exp":`+fraction)), nil)
	expect(t, p, "a claim nobody reads", signText(t, key, header, with(text(t, goodClaims()), `"scope":[1,null]`)), nil)
}

// TestNamesAreExact: no claim and no header comes twice, and another spelling of
// a name is another name.
func TestNamesAreExact(t *testing.T) {
	key := generate(t, token.EdDSA)
	p := newParty(t, key, config)
	header, claims := text(t, goodHeader(key)), text(t, goodClaims())
	var good map[string]json.RawMessage
	if err := json.Unmarshal([]byte(claims), &good); err != nil {
		t.Fatal(err)
	}
	for name, value := range good {
		expect(t, p, name+" twice", signText(t, key, header, with(claims, `"`+name+`":`+string(value))), token.ErrInvalid)
		spelled := strings.ToUpper(name[:1]) + name[1:]
		expect(t, p, spelled+" beside "+name, signText(t, key, header, with(claims, `"`+spelled+`":`+string(value))), nil)
	}
	for _, name := range []string{"iss", "sub", "sid", "aud", "exp"} {
		alone := with(text(t, without(name)), `"`+strings.ToUpper(name)+`":`+string(good[name]))
		expect(t, p, strings.ToUpper(name)+" alone", signText(t, key, header, alone), token.ErrInvalid)
	}
	expect(t, p, "a late EXP", signText(t, key, header, with(text(t, without("exp")), `"exp":1,"EXP":9999999999`)), token.ErrExpired)
	for _, again := range []string{`"typ":"at+jwt"`, `"alg":"EdDSA"`, `"kid":"` + key.ID() + `"`, `"x":1,"x":1`} {
		expect(t, p, "header with "+again+" again", signText(t, key, with(header, again), claims), token.ErrInvalid)
	}
	for _, object := range []string{"null", "[]", `""`, "1", "{}", "{", claims + "{}", claims + ","} {
		expect(t, p, "claims "+object, signText(t, key, header, object), token.ErrInvalid)
		if object != claims+"{}" && object != claims+"," {
			expect(t, p, "header "+object, signText(t, key, object, claims), token.ErrInvalid)
		}
	}
}

// TestCacheKnowsEveryCharacter: a token that was found good makes none that
// differs from it in one character good.
func TestCacheKnowsEveryCharacter(t *testing.T) {
	p := newParty(t, generate(t, token.EdDSA), config)
	good := p.issue(t).Token.Reveal()
	if _, err := p.verifier.Verify(secret.New(good)); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) {
		other := []byte(good)
		if other[i]++; good[i] == 'z' || good[i] == 'Z' || good[i] == '9' {
			other[i] = 'A'
		}
		expect(t, p, fmt.Sprintf("character %d of %d changed", i+1, len(good)), secret.New(string(other)), token.ErrInvalid)
	}
	expect(t, p, "the last one missing", secret.New(good[:len(good)-1]), token.ErrInvalid)
	for _, c := range []string{"A", "=", " ", ".", good[len(good)-1:]} {
		expect(t, p, "one more: "+c, secret.New(good+c), token.ErrInvalid)
	}
	if _, err := p.verifier.Verify(secret.New(good)); err != nil {
		t.Errorf("the token itself: got %v", err)
	}
}
