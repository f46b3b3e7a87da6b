package token

// CacheLen is how many tokens v remembers.
func CacheLen(v *Verifier) int { return v.cache.Len() }
