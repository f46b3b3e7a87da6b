package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// Algorithm is how a key signs, as the header of a JWT spells it (RFC 7518,
// RFC 8037). A key has exactly one.
type Algorithm string

// The algorithms. EdDSA is Ed25519 only, ES256 is P-256 only.
const (
	EdDSA Algorithm = "EdDSA"
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
)

// RSA moduli outside these sizes, in bits, are refused: shorter ones are weak,
// longer ones make a verification expensive enough to be a weapon.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Key is a signing key with its public half. It prints as its id. The zero
// value is no key; a [Keyring] refuses it.
type Key struct {
	id     string
	method jwt.SigningMethod
	public crypto.PublicKey
	jwk    jwk
	// The private half is behind functions: where package fmt cannot call the
	// methods of Key it walks the fields, through pointers too, but not these.
	signer func() crypto.Signer
	file   func() []byte
}

// jwk is a public key (RFC 7517). The fields stand in the order in which RFC
// 7638, section 3.3, hashes them.
type jwk struct {
	Curve    string `json:"crv,omitempty"`
	Exponent string `json:"e,omitempty"`
	Type     string `json:"kty"`
	Modulus  string `json:"n,omitempty"`
	X        string `json:"x,omitempty"`
	Y        string `json:"y,omitempty"`
}

// GenerateKey draws a key: Ed25519, P-256, or RSA of 3072 bits.
func GenerateKey(alg Algorithm) (Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		return Key{}, fmt.Errorf("token: no algorithm %q; use EdDSA, ES256 or RS256", alg)
	}
	if err != nil {
		return Key{}, fmt.Errorf("token: generating a key: %w", err)
	}
	return newKey(private)
}

// LoadKey reads one private key, PKCS#8 in PEM, as [Key.PEM] writes it. The
// kind of key decides the algorithm. Its errors never repeat the file.
func LoadKey(file []byte) (Key, error) {
	block, rest := pem.Decode(file)
	switch {
	case block == nil:
		return Key{}, errors.New("token: no PEM block in the key file")
	case len(bytes.TrimSpace(rest)) != 0:
		return Key{}, errors.New("token: more than one key in the file; use one file per key")
	case block.Type != "PRIVATE KEY":
		return Key{}, errors.New("token: not an unencrypted PKCS#8 key (BEGIN PRIVATE KEY); convert it with `openssl pkcs8 -topk8 -nocrypt`")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("token: the key file is damaged or its kind of key is not known; use Ed25519, P-256 or RSA")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return Key{}, errUnsupported
	}
	return newKey(private)
}

var errUnsupported = errors.New("token: a key of this kind cannot sign access tokens; use Ed25519, P-256 or RSA")

func newKey(private crypto.Signer) (Key, error) {
	key := Key{public: private.Public(), signer: func() crypto.Signer { return private }}
	encode := base64.RawURLEncoding.EncodeToString
	switch public := key.public.(type) {
	case ed25519.PublicKey:
		key.method = jwt.SigningMethodEdDSA
		key.jwk = jwk{Type: "OKP", Curve: "Ed25519", X: encode(public)}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return Key{}, errors.New("token: of the elliptic curves only P-256 and Ed25519 can be used")
		}
		point, err := public.Bytes() // 4, then X and Y in their full length (RFC 7518, section 6.2.1.2)
		if err != nil {
			return Key{}, errUnsupported
		}
		key.method = jwt.SigningMethodES256
		key.jwk = jwk{Type: "EC", Curve: "P-256", X: encode(point[1:33]), Y: encode(point[33:])}
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return Key{}, fmt.Errorf("token: an RSA key of %d bits; use %d to %d", bits, minRSABits, maxRSABits)
		}
		key.method = jwt.SigningMethodRS256
		key.jwk = jwk{Type: "RSA", Modulus: encode(public.N.Bytes()), Exponent: encode(big.NewInt(int64(public.E)).Bytes())}
	default:
		return Key{}, errUnsupported
	}
	canonical, err := json.Marshal(key.jwk)
	if err != nil {
		return Key{}, fmt.Errorf("token: writing a public key: %w", err)
	}
	thumbprint := sha256.Sum256(canonical)
	key.id = encode(thumbprint[:])
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, errUnsupported
	}
	file := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	key.file = func() []byte { return bytes.Clone(file) }
	return key, nil
}

// ID is the key's name in headers and in the JWKS: its RFC 7638 thumbprint.
func (k Key) ID() string { return k.id }

// Algorithm is how the key signs.
func (k Key) Algorithm() Algorithm {
	if k.isZero() {
		return ""
	}
	return Algorithm(k.method.Alg())
}

// PEM is the private key as PKCS#8 in PEM. Write it to a file that only the
// server can read, and nowhere else. It is nil for the zero value.
func (k Key) PEM() []byte {
	if k.isZero() {
		return nil
	}
	return k.file()
}

func (k Key) isZero() bool { return k.signer == nil }

// String is the id.
func (k Key) String() string { return k.id }

// Format writes the id for every verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(k.id)) }

// MarshalText writes the id, for logs.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.id), nil }
