//! One JSON object per packet. Names are those of Suricata's EVE where that has them.

use core::net::IpAddr;
use std::fmt::Write as _;

use netwatch_common::{Class, Sample};
use serde::Serialize;

use super::line::{Flags, name};
use super::packet::{Told, What};
use crate::sinks::Wall;

/// A packet.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    timestamp: String,
    event_type: &'static str,
    in_iface: &'a str,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ether_type: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vlan: Vec<u16>,
    /// Bytes on the wire.
    length: u32,
    class: &'static str,
    /// What of the class it is, where that has another name.
    verdict: &'static str,
    /// What was captured of the payload, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

impl<'a> Event<'a> {
    pub(super) fn of(told: &Told<'_>, wall: Wall, interface: &'a str, payload: bool) -> Self {
        let (src_ip, dest_ip) = told.ends.unzip();
        let (src_port, dest_port) = told.ports.unzip();
        let (icmp_type, icmp_code) = match told.what {
            What::Icmp { message, .. } => message.unzip(),
            _ => (None, None),
        };
        let verdict = told.sample.verdict();
        let class: Class = verdict.class();
        Self {
            timestamp: format!("{:.6}", wall.at(told.sample.at_ns)),
            event_type: "packet",
            in_iface: interface,
            direction: if told.sample.direction == Sample::OUT { "out" } else { "in" },
            src_ip,
            src_port,
            dest_ip,
            dest_port,
            proto: proto(told.what),
            tcp_flags: match told.what {
                What::Tcp(Some(flags)) => Some(Flags(flags).to_string()),
                _ => None,
            },
            icmp_type,
            icmp_code,
            ether_type: match told.what {
                What::Frame(ether_type) => ether_type,
                _ => None,
            },
            vlan: told.vlans().collect(),
            length: told.wire_bytes(),
            class: class.name(),
            verdict: verdict.name(),
            payload: payload.then(|| hex(told.payload)),
        }
    }
}

/// As EVE names protocols.
fn proto(what: What) -> Option<String> {
    Some(match what {
        What::Tcp(_) => "TCP".to_owned(),
        What::Udp => "UDP".to_owned(),
        What::Icmp { is_v6: false, .. } => "ICMP".to_owned(),
        What::Icmp { is_v6: true, .. } => "IPv6-ICMP".to_owned(),
        What::Arp(_) => "ARP".to_owned(),
        What::Ip { protocol: Some(58), .. } => "IPv6-ICMP".to_owned(),
        What::Ip { protocol: Some(protocol), .. } => {
            name(protocol).map_or_else(|| protocol.to_string(), str::to_uppercase)
        }
        What::Ip { protocol: None, .. } | What::Frame(_) => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
