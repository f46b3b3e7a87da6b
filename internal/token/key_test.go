package token_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/token"
)

// publicFromJWKS reads a key as a foreign library would (RFC 7518, RFC 8037).
func publicFromJWKS(jwks []byte, kid any) (any, error) {
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X, Y, N, E, Use, Alg string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	decode := func(s string) []byte {
		b, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil {
			panic(err)
		}
		return b
	}
	for _, key := range set.Keys {
		if key.Kid != kid || key.Use != "sig" {
			continue
		}
		switch key.Kty + key.Crv + key.Alg {
		case "OKPEd25519EdDSA":
			return ed25519.PublicKey(decode(key.X)), nil
		case "ECP-256ES256":
			return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, decode(key.X)...), decode(key.Y)...))
		case "RSARS256":
			return &rsa.PublicKey{N: new(big.Int).SetBytes(decode(key.N)), E: int(new(big.Int).SetBytes(decode(key.E)).Int64())}, nil
		}
	}
	return nil, errors.New("no such key in the set")
}

func pkcs8(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestKeySurvivesItsFile(t *testing.T) {
	for _, alg := range algorithms {
		key := generate(t, alg)
		loaded, err := token.LoadKey(key.PEM())
		if err != nil {
			t.Fatalf("%s: LoadKey: %v", alg, err)
		}
		if loaded.ID() != key.ID() || loaded.Algorithm() != alg || !bytes.Equal(loaded.PEM(), key.PEM()) {
			t.Errorf("%s: got %s %s, want %s", alg, loaded.Algorithm(), loaded.ID(), key.ID())
		}
		if _, err := newParty(t, loaded, config).verifier.Verify(newParty(t, key, config).issue(t).Token); err != nil {
			t.Errorf("%s: verifying with the loaded key: %v", alg, err)
		}
	}
}

// RFC 8037, appendix A.1 to A.3.
func TestThumbprintOfTheRFC(t *testing.T) {
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.LoadKey(pkcs8(t, ed25519.NewKeyFromSeed(seed)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; key.ID() != want {
		t.Errorf("thumbprint: got %s, want %s", key.ID(), want)
	}
	ring, err := token.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"keys":[{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","use":"sig","alg":"EdDSA","kid":"` + key.ID() + `"}]}`
	if got := string(ring.JWKS()); got != want {
		t.Errorf("JWKS:\n got %s\nwant %s", got, want)
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	good := generate(t, token.EdDSA).PEM()
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	for name, file := range map[string][]byte{
		"nothing":          nil,
		"text":             []byte("hello"),
		"two keys":         append(bytes.Clone(good), good...),
		"trailing text":    append(bytes.Clone(good), "x"...),
		"damaged":          pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("damaged")}),
		"SEC 1":            pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(p256))}),
		"PKCS#1":           pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)}),
		"another label":    bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("SECRET")),
		"public":           marshalPublic(t, p256.Public()),
		"encrypted":        pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}),
		"P-224":            pkcs8(t, must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))),
		"P-384":            pkcs8(t, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))),
		"X25519":           pkcs8(t, must(ecdh.X25519().GenerateKey(rand.Reader))),
		"RSA of 1024 bits": pkcs8(t, small),
		"RSA of 2047 bits": pkcs8(t, must(rsa.GenerateKey(rand.Reader, 2047))),
	} {
		key, err := token.LoadKey(file)
		if err == nil || key.ID() != "" {
			t.Errorf("%s: got key %q, want an error", name, key.ID())
			continue
		}
		if body := strings.Split(string(file), "\n"); len(body) > 2 && strings.Contains(err.Error(), body[1]) {
			t.Errorf("%s: the error %q repeats the file", name, err)
		}
	}
	if _, err := token.LoadKey(pkcs8(t, must(rsa.GenerateKey(rand.Reader, 2048)))); err != nil {
		t.Errorf("RSA of 2048 bits: got %v, want a key", err)
	}
	if _, err := token.LoadKey(append(good, " \n\n"...)); err != nil {
		t.Errorf("blank lines at the end: got %v, want a key", err)
	}
}

func TestGenerateKeyRefusesOtherAlgorithms(t *testing.T) {
	for _, alg := range []token.Algorithm{"", "none", "HS256", "eddsa", "RS512"} {
		if key, err := token.GenerateKey(alg); err == nil {
			t.Errorf("GenerateKey(%q): got %s, want an error", alg, key.ID())
		}
	}
}

func TestKeyringRefuses(t *testing.T) {
	a, b := generate(t, token.EdDSA), generate(t, token.ES256)
	for name, keys := range map[string][]token.Key{
		"no signing key":      {{}},
		"an empty key":        {a, {}},
		"the signing twice":   {a, b, a},
		"a verifying twice":   {a, b, b},
		"the same, from file": {a, must(token.LoadKey(a.PEM()))},
	} {
		if _, err := token.NewKeyring(keys[0], keys[1:]...); err == nil {
			t.Errorf("%s: got a ring, want an error", name)
		}
	}
}

func TestJWKSIsPublic(t *testing.T) {
	keys := []token.Key{generate(t, token.EdDSA), generate(t, token.ES256), generate(t, token.RS256)}
	ring, err := token.NewKeyring(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{
		"OKP": {"alg", "crv", "kid", "kty", "use", "x"},
		"EC":  {"alg", "crv", "kid", "kty", "use", "x", "y"},
		"RSA": {"alg", "e", "kid", "kty", "n", "use"},
	}
	var set map[string][]map[string]any
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set) != 1 || len(set["keys"]) != len(keys) {
		t.Fatalf("got %s, want %d keys", ring.JWKS(), len(keys))
	}
	for i, key := range set["keys"] {
		want := map[string]any{}
		for _, name := range allowed[key["kty"].(string)] {
			want[name] = nil
		}
		if !sameKeys(key, want) || key["kid"] != keys[i].ID() {
			t.Errorf("key %d: got %v, want exactly %v", i, key, allowed[key["kty"].(string)])
		}
		if x, ok := key["x"].(string); ok && len(x) != 43 {
			t.Errorf("key %d: x has %d characters, want 43", i, len(x))
		}
	}
	ring.JWKS()[0] = 'x'
	if ring.JWKS()[0] != '{' {
		t.Error("changing what JWKS returned changed the ring")
	}
}

// Coordinates with leading zeros keep their length (RFC 7518, section 6.2.1.2).
func TestCoordinatesKeepTheirLength(t *testing.T) {
	for range 2000 {
		private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		point := must(private.PublicKey.Bytes())
		if point[1] != 0 && point[33] != 0 {
			continue
		}
		ring := must(token.NewKeyring(must(token.LoadKey(pkcs8(t, private)))))
		var set struct{ Keys []struct{ X, Y string } }
		if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
			t.Fatal(err)
		}
		if got := set.Keys[0]; len(got.X) != 43 || len(got.Y) != 43 {
			t.Errorf("got x of %d and y of %d characters, want 43", len(got.X), len(got.Y))
		}
		return
	}
	t.Skip("no key with a leading zero was drawn")
}

func TestKeysNeverPrint(t *testing.T) {
	for _, alg := range algorithms {
		key := generate(t, alg)
		block, _ := pem.Decode(key.PEM())
		ring := must(token.NewKeyring(key))
		issuer := newParty(t, key, config).issuer
		holder := struct{ key token.Key }{key}
		var out bytes.Buffer
		for _, value := range []any{key, &key, holder, &holder, []token.Key{key}, ring, *ring, issuer, *issuer} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%w", "%c"} {
				fmt.Fprintf(&out, verb, value)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "k", value)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "k", value)
		}
		secretBytes := block.Bytes[16:48] // inside the private key for all three
		if alg == token.RS256 {
			secretBytes = must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey).Primes[0].Bytes()
		}
		for _, spelling := range []string{
			fmt.Sprintf("%x", secretBytes), fmt.Sprintf("%X", secretBytes), strings.Trim(fmt.Sprint(secretBytes), "[]"),
			string(secretBytes), new(big.Int).SetBytes(secretBytes).String(), "PRIVATE KEY",
			strings.Split(string(key.PEM()), "\n")[1],
		} {
			if strings.Contains(out.String(), spelling) {
				t.Errorf("%s: a printed value shows the private key", alg)
			}
		}
		if !strings.Contains(out.String(), key.ID()) {
			t.Errorf("%s: want the id in what is printed", alg)
		}
	}
}
