//! A line per packet, for people. All of it is made of numbers and of words of netwatch's own: of the packet's bytes only
//! printable ASCII is ever printed, and that in the dump of its payload alone.

use core::fmt::{self, Display, Formatter};
use core::net::SocketAddr;

use netwatch_common::{Class, Sample};

use super::packet::{Arp, Told, What};
use crate::sinks::Wall;

/// The letters of TCP flags, from the lowest bit on, in the order in which they are printed.
const FLAGS: [(u8, char); 8] =
    [(0x02, 'S'), (0x01, 'F'), (0x04, 'R'), (0x08, 'P'), (0x10, 'A'), (0x20, 'U'), (0x40, 'E'), (0x80, 'C')];
/// Bytes in a line of a dump.
const DUMPED: usize = 16;

/// How packets are printed.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours.
    pub colour: bool,
    /// With the payload.
    pub payload: bool,
}

/// A packet's line, and the dump of its payload where that is wanted.
pub struct Line<'a> {
    /// The packet.
    pub told: &'a Told<'a>,
    /// The wall clock.
    pub wall: Wall,
    /// How it is printed.
    pub style: Style,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { told, wall, style } = self;
        let time = format!("{:.6}", wall.at(told.sample.at_ns));
        // Of `2026-11-21T22:41:03.123456Z` the time of day: who watches knows the day.
        let time = time.split_once('T').map_or(&*time, |(_, time)| time.trim_end_matches('Z'));
        let direction = if told.sample.direction == Sample::OUT { "out" } else { "in " };
        write!(f, "{time} {direction} {:<5} ", Word(told).to_string())?;
        for vlan in told.vlans() {
            write!(f, "vlan {vlan} ")?;
        }
        who(f, told)?;
        what(f, told)?;
        write!(f, "  {} bytes  ", told.wire_bytes())?;
        class(f, told, style.colour)?;
        f.write_str("\n")?;
        if style.payload { Dump(told.payload).fmt(f) } else { Ok(()) }
    }
}

/// The protocol.
struct Word<'a>(&'a Told<'a>);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.what {
            What::Tcp(_) => "tcp",
            What::Udp => "udp",
            What::Icmp { is_v6: false, .. } => "icmp",
            What::Icmp { is_v6: true, .. } => "icmp6",
            What::Arp(_) => "arp",
            What::Ip { protocol: Some(protocol), .. } => match name(protocol) {
                Some(name) => name,
                None => return write!(f, "ip {protocol}"),
            },
            What::Ip { protocol: None, .. } => "ip",
            What::Frame(_) => "eth",
        })
    }
}

/// Protocols over IP that have a name.
pub(super) const fn name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmp6",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        _ => return None,
    })
}

fn who(f: &mut Formatter<'_>, told: &Told<'_>) -> fmt::Result {
    match (told.ends, told.ports) {
        (Some((source, dest)), Some((source_port, dest_port))) => {
            write!(f, "{} > {}", SocketAddr::new(source, source_port), SocketAddr::new(dest, dest_port))
        }
        (Some((source, dest)), None) => write!(f, "{source} > {dest}"),
        (None, _) => match (told.what, told.frame) {
            (What::Arp(Some(arp)), _) => about_arp(f, &arp),
            (What::Frame(Some(_)), [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, ..]) => {
                mac(f, [*s0, *s1, *s2, *s3, *s4, *s5])?;
                f.write_str(" > ")?;
                mac(f, [*d0, *d1, *d2, *d3, *d4, *d5])
            }
            _ => f.write_str("-"),
        },
    }
}

fn about_arp(f: &mut Formatter<'_>, arp: &Arp) -> fmt::Result {
    let Arp { operation, sender, target, .. } = arp;
    match operation {
        1 => write!(f, "{sender} asks who has {target}"),
        2 => {
            write!(f, "{sender} tells {target} that it is at ")?;
            mac(f, arp.sender_mac)
        }
        other => write!(f, "{sender} > {target}  operation {other}"),
    }
}

fn mac(f: &mut Formatter<'_>, address: [u8; 6]) -> fmt::Result {
    let [a, b, c, d, e, g] = address;
    write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
}

fn what(f: &mut Formatter<'_>, told: &Told<'_>) -> fmt::Result {
    match told.what {
        What::Tcp(Some(flags)) => write!(f, "  {}", Flags(flags)),
        What::Tcp(None) => f.write_str("  flags hidden by a fragment"),
        What::Icmp { is_v6, message: Some((kind, code)) } => {
            match message(is_v6, kind) {
                Some(name) => write!(f, "  {name}")?,
                None => write!(f, "  type {kind}")?,
            }
            if code == 0 { Ok(()) } else { write!(f, " code {code}") }
        }
        What::Ip { is_fragment: true, .. } => f.write_str("  fragment"),
        What::Frame(Some(ether_type)) => write!(f, "  type 0x{ether_type:04x}"),
        What::Udp | What::Icmp { .. } | What::Arp(_) | What::Ip { .. } | What::Frame(None) => Ok(()),
    }
}

/// TCP flags by their letters.
pub(super) struct Flags(pub(super) u8);

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        let set = FLAGS.iter().filter(|(flag, _)| self.0 & flag != 0);
        set.into_iter().try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// Messages of ICMP and ICMPv6 that are seen daily.
const fn message(is_v6: bool, kind: u8) -> Option<&'static str> {
    Some(match (is_v6, kind) {
        (false, 0) | (true, 129) => "echo reply",
        (false, 3) | (true, 1) => "unreachable",
        (false, 5) | (true, 137) => "redirect",
        (false, 8) | (true, 128) => "echo request",
        (false, 11) | (true, 3) => "time exceeded",
        (false, 13) => "timestamp request",
        (true, 2) => "packet too big",
        (true, 133) => "router solicitation",
        (true, 134) => "router advertisement",
        (true, 135) => "neighbour solicitation",
        (true, 136) => "neighbour advertisement",
        (true, 143) => "group report",
        _ => return None,
    })
}

fn class(f: &mut Formatter<'_>, told: &Told<'_>, colour: bool) -> fmt::Result {
    let verdict = told.sample.verdict();
    let class = verdict.class();
    let code = match class {
        Class::Malformed => "31",
        class if class.is_unsolicited() && told.sample.direction == Sample::IN => "33",
        _ => "2",
    };
    let (start, end) = if colour { (format!("\x1b[{code}m"), "\x1b[0m") } else { (String::new(), "") };
    write!(f, "{start}{}", class.name())?;
    // What a class is not called after says more.
    if matches!(class, Class::Malformed) {
        write!(f, " ({})", verdict.name())?;
    }
    f.write_str(end)
}

/// Bytes in hex and ASCII.
pub(super) struct Dump<'a>(pub(super) &'a [u8]);

impl Display for Dump<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, line) in self.0.chunks(DUMPED).enumerate() {
            write!(f, "    {:04x} ", index * DUMPED)?;
            for place in 0..DUMPED {
                match line.get(place) {
                    Some(byte) => write!(f, " {byte:02x}")?,
                    None => f.write_str("   ")?,
                }
            }
            f.write_str("  ")?;
            for byte in line {
                let is_printable = byte.is_ascii_graphic() || *byte == b' ';
                write!(f, "{}", if is_printable { char::from(*byte) } else { '.' })?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
