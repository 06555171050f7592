//! Captures as bytes in, packets out.

mod build;
mod damage;
mod formats;
mod links;
mod merge;
mod open;
mod property;
mod seeds;
mod write;

use std::io::Cursor;

use super::{Captures, Counts, Direction, OpenError, Problem};

/// A packet that outlives its capture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    at_ns: i64,
    wire_bytes: u32,
    frame: Vec<u8>,
    direction: Direction,
}

/// All that comes out of captures.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    packets: Vec<Owned>,
    counts: Counts,
    problems: Vec<Problem>,
}

impl Outcome {
    fn of(mut captures: Captures) -> Self {
        let mut packets = Vec::new();
        while let Some(packet) = captures.next() {
            packets.push(owned(&packet));
        }
        assert!(captures.next().is_none(), "the end is the end");
        Self { packets, counts: captures.counts(), problems: captures.problems().to_vec() }
    }

    fn times(&self) -> Vec<i64> {
        self.packets.iter().map(|packet| packet.at_ns).collect()
    }
}

fn owned(packet: &super::Packet<'_>) -> Owned {
    let super::Packet { at_ns, wire_bytes, frame, direction } = *packet;
    Owned { at_ns, wire_bytes, frame: frame.to_vec(), direction }
}

fn open(bytes: &[u8]) -> Result<Captures, OpenError> {
    Captures::from_reader("test", Cursor::new(bytes.to_vec()))
}

fn read(bytes: &[u8]) -> Outcome {
    Outcome::of(open(bytes).unwrap())
}

/// Reads what must be in order.
fn read_whole(bytes: &[u8]) -> Outcome {
    let outcome = read(bytes);
    assert_eq!(outcome.problems, []);
    outcome
}
