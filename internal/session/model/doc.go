// Package model proves the rules of a refresh on small models. It owns a
// second, independent statement of the rules (an oracle for tests of the
// stores) and three exhaustive searches: of tabs with one cookie jar and a
// server that renders, requests that are processed and answered in any order,
// lost answers, a store that loses everything or comes back old, a ledger that
// is behind, tombstones that are pruned, two servers, and a thief ([Search]); of
// what a thief can know who sees when a session was used ([Watch]); and of two
// users who begin more sessions than the cap ([Accounts]). It refuses to know
// any real store, clock or token.
package model
