//! Addresses and networks as the database has them: 16 bytes, in which IPv4 begins at bit 96, and a byte with the length.
//! Whether a network contains an address is then a question for a few keys of an index.

use core::net::IpAddr;

/// Bytes of a key.
pub(super) const KEY: usize = 17;

/// The key of `192.0.2.1`, `2001:db8::/64` and the like; none where it is neither.
pub(super) fn key(text: &str) -> Option<[u8; KEY]> {
    let (addr, bits) = match text.split_once('/') {
        Some((addr, bits)) => (addr, Some(bits)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().ok()?;
    let most: u8 = if addr.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
    Some(network(octets(addr), 128 - most + bits))
}

/// The key of one address.
pub(super) fn exactly(addr: IpAddr) -> [u8; KEY] {
    network(octets(addr), 128)
}

/// The keys of all networks that contain an address, itself included.
pub(super) fn containing(addr: IpAddr) -> impl Iterator<Item = [u8; KEY]> {
    // The shortest network of IPv4 is all of it.
    let shortest = if addr.is_ipv4() { 96 } else { 0 };
    let octets = octets(addr);
    (shortest..=128).rev().map(move |bits| network(octets, bits))
}

/// The first and the last key of all networks in a network, itself and its addresses included.
pub(super) fn within(addr: IpAddr, bits: u8) -> ([u8; KEY], [u8; KEY]) {
    let bits = if addr.is_ipv4() { 96 + bits.min(32) } else { bits.min(128) };
    let first = network(octets(addr), bits);
    let mut last = [u8::MAX; KEY];
    let free = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
    let highest = octets(addr) | free;
    last[..KEY - 1].copy_from_slice(&highest.to_be_bytes());
    (first, last)
}

/// Whether a source as it is written is this address, or a network with this address in it.
pub(super) fn contains(text: &str, addr: IpAddr) -> bool {
    key(text).is_some_and(|key| network(octets(addr), key[KEY - 1]) == key)
}

fn octets(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn network(addr: u128, bits: u8) -> [u8; KEY] {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    let mut key = [bits; KEY];
    key[..KEY - 1].copy_from_slice(&(addr & mask).to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        for (source, addr, is_in) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/64", "2001:db8::ffff:1", true),
            ("2001:db8::/64", "2001:db8:0:1::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::1", true),
            ("nobody", "192.0.2.1", false),
            ("192.0.2.0/33", "192.0.2.0", false),
        ] {
            let addr: IpAddr = addr.parse().unwrap();
            assert_eq!(contains(source, addr), is_in, "{source} {addr}");
            let found = key(source).is_some_and(|key| containing(addr).any(|one| one == key));
            assert_eq!(found, is_in, "{source} {addr}");
        }
        assert_eq!(key("192.0.2.1"), Some(exactly("192.0.2.1".parse().unwrap())));
    }
}
