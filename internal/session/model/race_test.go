//go:build race

package model_test

// The race detector makes a search ten times as slow and has nothing to find in
// it; the full search is that of a test without it.
const maxStates = 20_000
