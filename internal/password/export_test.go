package password

// Occupy takes one slot of h, as a hash in progress does.
func Occupy(h *Hasher) (release func()) {
	h.slots <- struct{}{}
	return func() { <-h.slots }
}

// DecodePHC reads an Argon2id hash and writes it again.
func DecodePHC(text string) (params Params, again string, ok bool) {
	a, ok := decodeArgon2(text)
	if !ok {
		return Params{}, "", false
	}
	return a.params, a.encode(), true
}
