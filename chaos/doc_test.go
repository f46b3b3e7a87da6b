// Package chaos_test takes everything away from Pawl that can be taken away,
// while honest clients and thieves use it, and counts what must not happen: an
// honest client that is signed out, a thief who is not caught, an ended session
// that comes back, an answer that mixes two users.
//
// Two servers of the built program run on real stores behind proxies that cut,
// hang, delay and swallow replies. Faults follow a schedule that is drawn from a
// printed seed. What the clients saw is held against the servers' own metrics.
// `go test ./chaos` is a short run; `make chaos` is a long one, which must have
// had every fault, every kind of client and every kind of thief in it.
//
// An honest client is one that keeps to docs/sessions.md, "What a client does":
// its requests are in flight for at most half a grace, and without attempt ids
// an answer is lost for at most one grace (one tab) or half of one (several). A
// client that a fault kept from any answer for longer is counted apart.
package chaos_test
