//go:build !unix

package main

import "io/fs"

// giveTo does nothing where files have no owner as on Unix.
func giveTo(string, string) error { return nil }

// fileOwner is always the same.
func fileOwner(fs.FileInfo) int { return 0 }

// othersWrite is not told by a mode.
func othersWrite(fs.FileInfo) bool { return false }

// anybodyWrites is not told by a mode.
func anybodyWrites(fs.FileInfo) bool { return false }
