// Package sessiontest owns the proof that a session store keeps its contract:
// a conformance suite in which every sentence of the contract is a case, and a
// property test that compares a store with the rules of package model while
// tabs, thieves, lost answers, restarts and rollbacks have their way with it.
// It refuses to know how a store works.
package sessiontest
