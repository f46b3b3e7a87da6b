//go:build !race

package model_test

const maxStates = 0
