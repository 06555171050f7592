//! Long conversations as one endless stream with times: five hundred clients fetch and send, segment by segment.
//!
//! The opposite of a [`mixture`](super::mixture): few flows with many packets each, most of them full or empty, as
//! downloads and backups have them.

use std::net::Ipv4Addr;

use super::scenario::directed;
use super::transport::{ACK, SYN, Tcp};

/// Connections, all of them under way from the beginning to the end.
const CONNECTIONS: u64 = 500;

/// What a segment carries: a full one, or nothing.
const PAYLOAD: [u8; 1_446] = [0x6e; 1_446];

/// The stream: each item is a frame and its time, in microseconds since the stream began.
#[derive(Clone, Debug)]
pub struct Bulk {
    pace: u64,
    nth: u64,
    /// What client and host of each connection have sent so far.
    sent: Vec<[u32; 2]>,
}

impl Bulk {
    /// The stream at this many packets a second: at least one, and at most a million.
    #[must_use]
    pub fn new(pace: u32) -> Self {
        let connections = usize::try_from(CONNECTIONS).unwrap_or(0);
        Self { pace: u64::from(pace).clamp(1, 1_000_000), nth: 0, sent: vec![[1_000, 9_000]; connections] }
    }

    fn packet(&mut self) -> Vec<u8> {
        // Every connection has its turn, but not always in the same order.
        let (round, place) = (self.nth / CONNECTIONS, self.nth % CONNECTIONS);
        let connection = (place + round * 7) % CONNECTIONS;
        let Some(sent) = usize::try_from(connection).ok().and_then(|at| self.sent.get_mut(at)) else {
            return Vec::new();
        };
        let [client, host] = *sent;
        let (flags, bytes, is_client) = match round {
            0 => (SYN, 0, true),
            1 => (SYN | ACK, 0, false),
            2 => (ACK, 0, true),
            // Two segments, and an acknowledgement; every fifth client sends, all others fetch.
            _ => match (round % 3, connection.is_multiple_of(5)) {
                (2, sends) => (ACK, 0, !sends),
                (_, sends) => (ACK, PAYLOAD.len(), sends),
            },
        };
        let [.., third, last] = connection.to_be_bytes();
        let (away, ours) = (Ipv4Addr::new(198, 18, third, last), Ipv4Addr::new(192, 168, 0, 10 + last % 16));
        let port = 40_000 + u16::from_be_bytes([third, last]);
        let advance = u32::try_from(bytes).unwrap_or(0) + u32::from(flags & SYN != 0);
        let payload = &PAYLOAD[..bytes];
        if is_client {
            sent[0] = client.wrapping_add(advance);
            let segment = Tcp::new(port, 443, flags).sequence(client, host).payload(payload);
            directed(away.into(), ours.into(), segment, false)
        } else {
            sent[1] = host.wrapping_add(advance);
            let segment = Tcp::new(443, port, flags).sequence(host, client).payload(payload);
            directed(ours.into(), away.into(), segment, true)
        }
    }
}

impl Iterator for Bulk {
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.nth / self.pace * 1_000_000 + self.nth % self.pace * 1_000_000 / self.pace;
        let frame = self.packet();
        self.nth += 1;
        Some((at, frame))
    }
}
