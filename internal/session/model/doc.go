// Package model proves the rules of a refresh on a small model. It owns a
// second, independent statement of the rules (an oracle for tests of the
// stores) and an exhaustive search: tabs with one cookie jar, requests that are
// processed and answered in any order, lost answers, a store that loses
// everything or comes back old, a ledger that is behind, and a thief. It
// refuses to know any real store, clock or token.
package model
