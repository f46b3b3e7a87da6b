package main

import (
	"fmt"
	"time"
)

// oldKey is the age from which a signing key should be replaced.
const oldKey = 365 * 24 * time.Hour

// examineKeys looks at the folder as serve does, and at the age of the key that
// signs.
func examineKeys(dir string, now func() time.Time) []finding {
	const check = "PAWL_KEYS_DIR"
	files, err := loadKeys(dir, ofServer())
	var set keySet
	if err == nil {
		set, err = files.at(now())
	}
	if err == nil {
		_, err = set.signing()
	}
	if err == nil {
		_, err = set.refreshing()
	}
	if err == nil {
		_, err = set.devices(now)
	}
	if err != nil {
		return []finding{{problem, check, err.Error(), ""}}
	}
	signing := set.inUse(accessKind)
	return []finding{
		{fine, check, fmt.Sprintf("signing keys: %d (%s), refresh keys: %d; nobody else can read or replace them",
			len(set.accepted(accessKind)), signing.access.Algorithm(), len(set.accepted(refreshKind))), ""},
		keyAge(signing.from, now()),
	}
}

// keyAge judges since when the signing key is in use.
func keyAge(from, now time.Time) finding {
	const check = "keys.age"
	if now.Sub(from) > oldKey {
		return finding{warning, check, fmt.Sprintf("the signing key is in use for %d days", int(now.Sub(from).Hours()/24)), "publish the next one with: pawl keys rotate access"}
	}
	return finding{fine, check, "the signing key is in use since " + when(from), ""}
}
