use netwatch_common::{Addr, prefixes};
use proptest::prelude::*;

use super::*;
use crate::feeds::format::of_prefix;
use crate::feeds::{Contents, NEVER};

/// The set of a feed with these lines.
fn set(lines: &str) -> Set {
    let contents = Contents::read(lines.as_bytes(), true, jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(contents.bad, []);
    contents.set
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn found(set: &Set, text: &str) -> Option<(String, u32)> {
    set.find(addr(text)).map(|(prefix, line, _)| (prefix.to_string(), line))
}

#[test]
fn the_narrowest_entry_is_found() {
    let set =
        set("203.0.113.0/24\n203.0.113.64/26\n203.0.113.70\n203.0.113.64/28\n2001:db8::/32\n2001:db8:1::/48");
    for (text, entry) in [
        ("203.0.112.255", None),
        ("203.0.113.0", Some(("203.0.113.0/24", 1))),
        ("203.0.113.70", Some(("203.0.113.70", 3))),
        ("203.0.113.71", Some(("203.0.113.64/28", 4))),
        ("203.0.113.80", Some(("203.0.113.64/26", 2))),
        ("203.0.113.128", Some(("203.0.113.0/24", 1))),
        ("203.0.114.0", None),
        ("::ffff:203.0.113.255", Some(("203.0.113.0/24", 1))),
        ("2001:db8::1", Some(("2001:db8::/32", 5))),
        ("2001:db8:1:ffff::1", Some(("2001:db8:1::/48", 6))),
        ("2001:db9::", None),
    ] {
        let entry = entry.map(|(prefix, line): (&str, u32)| (prefix.to_owned(), line));
        assert_eq!(found(&set, text), entry, "{text}");
    }
}

#[test]
fn what_is_never_listed_is_cut_out() {
    let of = |lines: &str, never: &[Prefix]| {
        let set = set(lines);
        flatten(std::iter::once(&set), never)
    };
    let holds = |lines: &[prefixes::Line], text: &str| prefixes::contains(lines, &Addr::from(addr(text)));
    let everything = of("0.0.0.0/0\n::/0", &NEVER);
    for (text, is_listed) in [
        ("0.255.255.255", false),
        ("1.0.0.0", true),
        ("9.255.255.255", true),
        ("10.0.0.0", false),
        ("10.255.255.255", false),
        ("11.0.0.0", true),
        ("172.15.255.255", true),
        ("172.31.0.1", false),
        ("223.255.255.255", true),
        ("224.0.0.1", false),
        ("240.0.0.1", true),
        ("255.255.255.254", true),
        ("255.255.255.255", false),
        ("::1", false),
        ("2001:db8::1", true),
        ("fe80::1", false),
        ("fbff:ffff::", true),
        ("fd00::1", false),
        ("ff02::1", false),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
    ] {
        assert_eq!(holds(&everything, text), is_listed, "{text}");
    }
    let own = Prefix { first: addr("203.0.113.7"), bits: 32 };
    let rest = of("203.0.113.0/29", &[own]);
    assert!(holds(&rest, "203.0.113.6") && !holds(&rest, "203.0.113.7") && holds(&rest, "203.0.113.0"));
    assert!(!holds(&of("203.0.113.7\n2001:db8::1", &[own]), "203.0.113.7"));
    assert_eq!(of("203.0.113.7", &[own]), of("", &[]));
}

#[test]
fn a_large_set_is_laid_out_as_a_small_one_is() {
    // Every other /32, so that nothing merges: a tree of five levels and a filter.
    let count = 100_000_u32;
    let text: String = (0..count).map(|n| format!("{}\n", Ipv4Addr::from(0x2000_0000 + n * 2))).collect();
    let text6: String =
        (0..count).map(|n| format!("2001:db8:{:x}:{:x}::/64\n", n >> 12, (n & 0xfff) * 2)).collect();
    let set = set(&format!("{text}{text6}"));
    let lines = flatten(std::iter::once(&set), &NEVER);
    for n in 0..count {
        let listed = Ipv4Addr::from(0x2000_0000 + n * 2);
        let other = Ipv4Addr::from(0x2000_0001 + n * 2);
        assert!(prefixes::contains(&lines[..], &listed.into()), "{listed}");
        assert!(!prefixes::contains(&lines[..], &other.into()), "{other}");
        let listed = addr(&format!("2001:db8:{:x}:{:x}::ff", n >> 12, (n & 0xfff) * 2));
        let other = addr(&format!("2001:db8:{:x}:{:x}::ff", n >> 12, (n & 0xfff) * 2 + 1));
        assert!(prefixes::contains(&lines[..], &listed.into()), "{listed}");
        assert!(!prefixes::contains(&lines[..], &other.into()), "{other}");
    }
}

/// A prefix near others, so that they overlap and touch.
fn any_prefix() -> impl Strategy<Value = (IpAddr, u8)> {
    let v4 = (prop_oneof![0_u32..64, 0xffff_ffc0..=u32::MAX, any::<u32>()], 0_u8..=32);
    let v6 = (prop_oneof![0_u128..64, u128::MAX - 64..=u128::MAX, any::<u128>()], 0_u8..=128);
    prop_oneof![
        v4.prop_map(|(addr, bits)| (IpAddr::V4(addr.into()), bits.max(20))),
        v4_wide().prop_map(|(addr, bits)| (IpAddr::V4(addr.into()), bits)),
        v6.prop_map(|(addr, bits)| (IpAddr::V6(addr.into()), bits)),
    ]
}

fn v4_wide() -> impl Strategy<Value = (u32, u8)> {
    (any::<u32>(), 12_u8..=32)
}

fn naive(prefixes: &[(IpAddr, u8)], addr: IpAddr) -> Option<u8> {
    let holds = |(first, bits): &&(IpAddr, u8)| {
        let range = of_prefix(*first, *bits).unwrap();
        range.first.is_ipv4() == addr.is_ipv4() && range.first <= addr && addr <= range.last
    };
    prefixes.iter().filter(holds).map(|(_, bits)| *bits).max()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_set_says_what_its_prefixes_say(
        listed in prop::collection::vec(any_prefix(), 0..60),
        never in prop::collection::vec(any_prefix(), 0..6),
        others in prop::collection::vec(any_prefix(), 20),
    ) {
        // Addresses of IPv6 that name one of IPv4 are that one.
        let is_plain = |(addr, _): &(IpAddr, u8)| addr.to_canonical() == *addr;
        let listed: Vec<_> = listed.into_iter().filter(is_plain).collect();
        let never: Vec<_> = never.into_iter().filter(is_plain).collect();
        let text: String = listed.iter().map(|(addr, bits)| format!("{addr}/{bits}\n")).collect();
        let set = set(&text);
        let cut: Vec<_> = never.iter().map(|(first, bits)| Prefix { first: *first, bits: *bits }).collect();
        let lines = flatten(std::iter::once(&set), &cut);
        let around = listed.iter().chain(&never).chain(&others).flat_map(|(addr, bits)| {
            let range = of_prefix(*addr, *bits).unwrap();
            [*addr, range.first, range.last, next(range.last), before(range.first)]
        });
        for addr in around.filter(|addr| addr.to_canonical() == *addr) {
            let narrowest = naive(&listed, addr);
            prop_assert_eq!(set.find(addr).map(|(prefix, ..)| prefix.bits), narrowest, "{}", addr);
            let is_last = matches!(addr, IpAddr::V4(Ipv4Addr::BROADCAST)) || addr == IpAddr::V6(u128::MAX.into());
            let is_listed = narrowest.is_some() && naive(&never, addr).is_none() && !is_last;
            prop_assert_eq!(prefixes::contains(&lines[..], &Addr::from(addr)), is_listed, "{}", addr);
        }
    }
}

fn next(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(addr) => Ipv4Addr::from(addr.to_bits().wrapping_add(1)).into(),
        IpAddr::V6(addr) => Ipv6Addr::from(addr.to_bits().wrapping_add(1)).into(),
    }
}

fn before(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(addr) => Ipv4Addr::from(addr.to_bits().wrapping_sub(1)).into(),
        IpAddr::V6(addr) => Ipv6Addr::from(addr.to_bits().wrapping_sub(1)).into(),
    }
}
