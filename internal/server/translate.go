package server

import (
	"errors"
	"net/netip"
	"slices"
)

// Prefixes below which an IPv6 address holds that of an IPv4 client. Whoever has
// the IPv4 address has all addresses around it, and the clients of one prefix are
// strangers to each other: they must count as the IPv4 clients that they are.
//
//   - 64:ff9b::/96, the well-known prefix of translators (RFC 6052, section 2.1).
//   - 64:ff9b:1::/48, for translators in one's own network (RFC 8215), which choose
//     a prefix below it.
//   - 2002::/16, 6to4 (RFC 3056): the 65,536 networks of one IPv4 address.
//   - 2001::/32, Teredo (RFC 4380): the address at the end, inverted. Before it
//     stands a server that the client chooses.
//
// IPv4-mapped addresses (::ffff:0:0/96) are read as IPv4 before. IPv4-compatible
// ones (::/96) are not translated: nobody sends them, and ::1 is one.
//
//nolint:gochecknoglobals // tables, never written
var (
	wellKnown = netip.MustParsePrefix("64:ff9b::/96")
	localUse  = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour = netip.MustParsePrefix("2002::/16")
	teredo    = netip.MustParsePrefix("2001::/32")
	loopback  = netip.MustParsePrefix("::1/128")
	// lengths are those that a prefix of a translator may have (RFC 6052, section 2.2).
	lengths = []int{32, 40, 48, 56, 64, 96}
)

// CheckNAT64Prefix refuses what cannot be the prefix of a translator.
func CheckNAT64Prefix(p netip.Prefix) error {
	switch {
	case !p.Addr().Is6() || p.Addr().Is4In6() || !slices.Contains(lengths, p.Bits()):
		return errors.New("a translator's prefix is one of IPv6 with 32, 40, 48, 56, 64 or 96 bits")
	case p.Addr().As16()[8] != 0:
		return errors.New("bits 64 to 71 of a translator's prefix are zero")
	case p.Overlaps(loopback):
		return errors.New("the prefix holds ::1, this machine's own address")
	}
	return nil
}

// translated is the IPv4 client behind an address that holds one, below a prefix of
// nat64 or a known one; any other address is itself. Whom to trust is decided
// before, by the address that was there.
func translated(addr netip.Addr, nat64 []netip.Prefix) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	raw := addr.As16()
	if own := longest(nat64, addr); own > 0 {
		return embedded(raw, own)
	}
	switch {
	case wellKnown.Contains(addr):
		return embedded(raw, 96)
	case localUse.Contains(addr) && [4]byte(raw[12:]) != [4]byte{}:
		return embedded(raw, 96)
	case localUse.Contains(addr): // what stands after the address in a shorter prefix is zero
		return embedded(raw, 48)
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(raw[2:6]))
	case teredo.Contains(addr):
		return netip.AddrFrom4([4]byte{^raw[12], ^raw[13], ^raw[14], ^raw[15]})
	}
	return addr
}

// longest is the length of the longest prefix that has the address; 0 for none.
func longest(prefixes []netip.Prefix, addr netip.Addr) (bits int) {
	for _, p := range prefixes {
		if p.Contains(addr) {
			bits = max(bits, p.Bits())
		}
	}
	return bits
}

// embedded is the IPv4 address that follows a prefix of so many bits; bits 64 to
// 71 are no part of it (RFC 6052, section 2.3).
func embedded(raw [16]byte, bits int) netip.Addr {
	rest := raw[bits/8:]
	if bits < 96 {
		rest = slices.Concat(raw[bits/8:8], raw[9:])
	}
	return netip.AddrFrom4([4]byte(rest[:4]))
}
