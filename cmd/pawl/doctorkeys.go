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
	files, err := loadKeys(dir)
	if err == nil {
		_, _, err = files.rings()
	}
	if err == nil {
		_, err = files.devices(now)
	}
	if err != nil {
		return []finding{{problem, check, err.Error(), ""}}
	}
	signing := files.access[len(files.access)-1]
	return []finding{
		{fine, check, fmt.Sprintf("signing keys: %d (%s), refresh keys: %d; nobody else can read them", len(files.access), signing.key.Algorithm(), len(files.refresh)), ""},
		keyAge(keyCreated(signing.file), now()),
	}
}

// keyAge judges when the signing key was made, as [keyCreated] spells it.
func keyAge(created string, now time.Time) finding {
	const check = "keys.age"
	at, err := time.Parse(time.RFC3339, created)
	switch {
	case err != nil:
		return finding{fine, check, "the signing key's file name does not say when it was made", ""}
	case now.Sub(at) > oldKey:
		return finding{warning, check, fmt.Sprintf("the signing key was made %d days ago", int(now.Sub(at).Hours()/24)), "make a new one each year"}
	}
	return finding{fine, check, "the signing key was made at " + when(at), ""}
}
