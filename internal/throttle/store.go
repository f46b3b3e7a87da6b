// Package throttle owns the gates that slow a guesser down: buckets of the
// networks that requests come from, and lanes that count the failures at one
// account. It holds the contract in words, [Store], and the implementation in a
// process's memory; redisthrottle has the one in Redis, and throttletest the
// proof that both keep the contract. It refuses to know what is guessed, what a
// password is, and what an account is called.
package throttle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Verdict is what a gate says.
type Verdict struct {
	// RetryAfter is how long the gate stays closed, above zero; zero lets the
	// caller through.
	RetryAfter time.Duration
	// Unknown says that Charge counted the failure in the lane of unknown devices,
	// because the account had no room for the lane of one more.
	Unknown bool
}

// Allowed reports whether the gate let the caller through.
func (v Verdict) Allowed() bool { return v.RetryAfter <= 0 }

// Bucket is a network's bucket of units, filled at a rate: see [Networks].
type Bucket struct {
	Key  string
	Rate Rate
}

// network is the text in the key's first braces, or the key where there is none:
// what a Redis Cluster chooses the slot by (the Cluster specification, "Hash
// tags").
func (b Bucket) network() string {
	if _, tag, found := strings.Cut(b.Key, "{"); found {
		if tag, _, found = strings.Cut(tag, "}"); found && tag != "" {
			return tag
		}
	}
	return b.Key
}

// Lane is where the failures at one account are counted that come from one
// device, or from all unknown ones.
type Lane struct {
	// Account is a keyed hash of the account's name, or a random id, in lower-case
	// hex: names never reach a store. See [CheckAccount].
	Account string
	// Device tells the account's known devices apart. Empty is the lane that all
	// unknown devices share.
	Device string
}

// MaxDevices is how many lanes of known devices an account has at a time. One
// more counts as an unknown device: see [Store].
const MaxDevices = 64

// CheckAccount refuses an account that is neither a keyed hash nor a random id,
// 32 to 128 lower-case hex digits: a name must never be kept.
func CheckAccount(account string) error {
	if len(account) < 32 || len(account) > 128 {
		return errors.New("throttle: an account must be a keyed hash of 32 to 128 hex digits")
	}
	for _, c := range []byte(account) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return errors.New("throttle: an account must be a keyed hash in lower-case hex, never a name")
		}
	}
	return nil
}

// Charged returns the buckets whose rate is not off: those that a [Store] looks
// at. A rate that makes no sense is an error, and so are keys of two networks,
// which a Redis Cluster could not look at in one step.
func Charged(buckets []Bucket) ([]Bucket, error) {
	on := buckets[:0:0]
	for i, b := range buckets {
		if err := b.Rate.Check(); err != nil {
			return nil, fmt.Errorf("throttle: bucket %d: %w", i, err)
		}
		if b.network() != buckets[0].network() {
			return nil, fmt.Errorf("throttle: bucket %d: all buckets of one call must name one network in braces", i)
		}
		if !b.Rate.Off() {
			on = append(on, b)
		}
	}
	return on, nil
}

// Store keeps buckets and lanes.
//
// What every implementation promises:
//
//   - Every operation is atomic. However many callers come at once, on however
//     many nodes, they get what they would get one after the other.
//   - An error means that the store did not answer, or cannot keep count. The
//     caller refuses. The operation may have happened, at most once, even after
//     its context ended; so nothing is given back for it.
//   - The clock is the store's own. Where it runs backwards, nothing becomes
//     free by that: a bucket may count as emptier than it was, and a pause begins
//     anew. No wait that is told is longer than the interval of the rate or the
//     pause of the schedule, and it is over when the clock has run on by as much.
//   - A rate or a schedule that is off allows everything and touches nothing.
//   - State is forgotten by itself when it can no longer matter: a bucket that is
//     full, a lane whose pause is over and whose count has halved to nothing,
//     which takes a day at least. No lane is forgotten to make room for another of
//     its account: whoever could bring that about would guess on. A store whose
//     whole memory is taken may forget lanes of other accounts, never one whose
//     pause is running, and those with the fewest failures first.
//
// The suite in throttletest holds every sentence of this contract.
type Store interface {
	// Spend takes one unit from every bucket, or from none where one of them has
	// none left: then RetryAfter is how long it takes until all of them have one.
	// The keys of one call differ, and name one network in braces, as those of
	// [Networks] do.
	Spend(ctx context.Context, buckets []Bucket) (Verdict, error)

	// Return gives one unit back to every bucket, never beyond full. It is for
	// units that Spend took.
	Return(ctx context.Context, buckets []Bucket) error

	// Charge counts one failure in the lane, before it is known whether it is one.
	// While a pause runs nothing is counted, and RetryAfter is what is left of it.
	//
	// The pause after a failure is that of the largest step of the schedule that
	// the count has reached, and runs from that failure. The count halves, rounded
	// down, for every whole day since the last failure.
	//
	// A device that has no lane counts as an unknown one where [MaxDevices] others
	// of the account have lanes that still matter. Verdict.Unknown says so: what
	// Uncharge or Reset must name then is the lane of unknown devices.
	Charge(ctx context.Context, lane Lane, schedule Schedule) (Verdict, error)

	// Uncharge takes back a failure that Charge counted, for an attempt that never
	// reached the password. Right after that Charge the lane is again as it was,
	// so that a pause which is over stays over; where other charges came between,
	// one failure less counts.
	Uncharge(ctx context.Context, lane Lane, schedule Schedule) error

	// Reset forgets the lane's failures, and its pause.
	Reset(ctx context.Context, lane Lane) error

	// Clear forgets all lanes of an account.
	Clear(ctx context.Context, account string) error
}
