//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// giveTo makes the owner of one file that of another, too.
func giveTo(path, like string) error {
	want, err := owner(like)
	if err != nil {
		return err
	}
	have, err := owner(path)
	if err != nil || have == want {
		return err
	}
	return os.Chown(path, want.user, want.group)
}

type owners struct{ user, group int }

func owner(path string) (owners, error) {
	info, err := os.Stat(path)
	if err != nil {
		return owners{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok { // a file system without owners
		return owners{}, nil
	}
	return owners{int(stat.Uid), int(stat.Gid)}, nil
}

// fileOwner is the id of a file's user; root's on a file system without owners.
func fileOwner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return 0
}

// othersWrite reports whether the mode lets more than the owner write.
func othersWrite(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// anybodyWrites reports whether all users can replace what is in a folder: where
// it has the sticky bit nobody can touch what is another's.
func anybodyWrites(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
}
