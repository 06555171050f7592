//! Feeds that nobody made: of the sizes and the proportions of real ones.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Of so many entries one is a /24, one a /48 of IPv6, and all others are single addresses of IPv4.
const ONE_IN: u32 = 20;

/// A feed of so many entries that are all different and in no order, and not from 16.0.0.0/8, where traffic begins.
pub fn text(entries: u32) -> String {
    let mut text = String::with_capacity(entries as usize * 16);
    text.push_str("# made up\n");
    for number in 0..entries {
        // Odd multiples go through all numbers of 32 bits, each once.
        let scattered = number.wrapping_mul(0x9e37_79b1);
        let v4 = Ipv4Addr::from(if scattered >> 24 == 16 { scattered ^ 0x8000_0000 } else { scattered });
        let _ = match number % ONE_IN {
            0 => writeln!(text, "{}/24", Ipv4Addr::from(u32::from(v4) & 0xffff_ff00)),
            1 => writeln!(text, "{}/48", Ipv6Addr::from(0x2a00 << 112 | u128::from(scattered) << 80)),
            _ => writeln!(text, "{v4}"),
        };
    }
    text
}
