package password

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params is the cost of an Argon2id hash (RFC 9106).
type Params struct {
	MemoryKiB   uint32
	Time        uint32
	Parallelism uint8
}

// Bounds of what is computed for a stored hash. Whoever can write a hash must
// not decide how much memory the server spends.
const (
	maxMemoryKiB   = 256 * 1024
	maxTime        = 10
	maxParallelism = 4
	lanesKiB       = 8 // RFC 9106, section 3.1: at least 8 KiB per lane

	saltSize, minSaltSize, maxSaltSize = 16, 8, 48 // bytes; the bounds are those of the PHC string format
	hashSize, minHashSize, maxHashSize = 32, 16, 64
)

func (p Params) readable() bool {
	return p.Time >= 1 && p.Time <= maxTime &&
		p.Parallelism >= 1 && p.Parallelism <= maxParallelism &&
		p.MemoryKiB >= lanesKiB*uint32(p.Parallelism) && p.MemoryKiB <= maxMemoryKiB
}

// argon2Hash is an Argon2id hash, version 0x13, without key or associated data.
type argon2Hash struct {
	params     Params
	salt, hash []byte
}

func newArgon2Hash(params Params, password string) argon2Hash {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	return argon2Hash{params: params, salt: salt, hash: params.derive(password, salt, hashSize)}
}

func (p Params) derive(password string, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Parallelism, uint32(size))
}

func (a argon2Hash) matches(password string) bool {
	return equal(a.hash, a.params.derive(password, a.salt, len(a.hash)))
}

func (a argon2Hash) isToday(today Params) bool {
	return a.params == today && len(a.salt) == saltSize && len(a.hash) == hashSize
}

const argon2Prefix = "$argon2id$v=19$"

var phcBase64 = base64.RawStdEncoding.Strict() //nolint:gochecknoglobals // a table, never written

// encode writes the PHC string format.
func (a argon2Hash) encode() string {
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", argon2Prefix, a.params.MemoryKiB, a.params.Time, a.params.Parallelism,
		phcBase64.EncodeToString(a.salt), phcBase64.EncodeToString(a.hash))
}

// decodeArgon2 reads what encode writes, in that one spelling, within the
// bounds above.
func decodeArgon2(text string) (argon2Hash, bool) {
	fields, ok := strings.CutPrefix(text, argon2Prefix)
	parts := strings.Split(fields, "$")
	if !ok || len(parts) != 3 {
		return argon2Hash{}, false
	}
	cost := strings.Split(parts[0], ",")
	if len(cost) != 3 {
		return argon2Hash{}, false
	}
	memory, ok1 := decodeNumber(cost[0], "m=", maxMemoryKiB)
	time, ok2 := decodeNumber(cost[1], "t=", maxTime)
	parallelism, ok3 := decodeNumber(cost[2], "p=", maxParallelism)
	salt, ok4 := decodeBytes(parts[1], minSaltSize, maxSaltSize)
	hash, ok5 := decodeBytes(parts[2], minHashSize, maxHashSize)
	a := argon2Hash{
		params: Params{MemoryKiB: memory, Time: time, Parallelism: uint8(parallelism)},
		salt:   salt,
		hash:   hash,
	}
	return a, ok1 && ok2 && ok3 && ok4 && ok5 && a.params.readable()
}

// decodeNumber reads a decimal from 1 to limit without sign or leading zeros.
func decodeNumber(text, prefix string, limit uint64) (uint32, bool) {
	digits, ok := strings.CutPrefix(text, prefix)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil && n <= limit
}

func decodeBytes(text string, least, most int) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, false
	}
	data, err := phcBase64.DecodeString(text)
	return data, err == nil && len(data) >= least && len(data) <= most
}
