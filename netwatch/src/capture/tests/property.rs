//! What holds whatever the bytes are.

use netwatch_common::{Settings, parse};
use proptest::prelude::*;

use super::build::*;
use super::*;
use crate::capture::FRAME_MAX;

/// Reads whatever it is, to its end.
fn survive(bytes: &[u8]) {
    let Ok(mut captures) = open(bytes) else { return };
    // No packet takes fewer bytes than this, uncompressed; compressed data is told by its position.
    let bound = bytes.len().max(1) * 2_000;
    let mut packets = 0_u64;
    let mut left = 3;
    captures.look_ahead(200, |packet| {
        assert!(packet.frame.len() <= FRAME_MAX);
        left -= 1;
        left > 0
    });
    while let Some(packet) = captures.next() {
        assert!(packet.frame.len() <= FRAME_MAX);
        let _ = parse(packet.frame, &Settings::DEFAULT);
        packets += 1;
        assert!(packets < bound as u64);
    }
    assert_eq!(captures.counts().packets, packets);
    assert!(captures.problems().len() <= 1);
}

/// Captures that are in order, of every kind.
fn good() -> Vec<Vec<u8>> {
    let samples = samples(4);
    let flags: Options<'_> = &[(1, b"comment"), (2, &[1, 0, 0, 0])];
    let blocks = Blocks::new(Order::Little)
        .interface(1, 96, &[(2, b"eth0"), (9, &[0x8a]), (14, &[0; 8])])
        .interface(113, 0, &[])
        .simple(&samples[0])
        .enhanced(0, 1 << 40, &samples[1], flags)
        .section(Order::Big)
        .interface(276, 0, &[(9, &[9])])
        .obsolete(0, 1 << 60, &samples[2], flags)
        .block(4, &[0; 16])
        .bytes;
    let plain = [
        pcap(Order::Little, MICROSECONDS, &samples),
        pcap_of(Order::Big, NANOSECONDS, 0, &samples),
        pcap_of(Order::Little, MODIFIED, 101, &samples),
        pcapng(Order::Big, &samples),
        blocks,
    ];
    plain.iter().flat_map(|file| [file.clone(), gzip(file), zstd(file)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_good_start(which in 0..15_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let good = &good()[which];
        survive(&[&good[..], &bytes].concat());
        survive(&[&good[..good.len().min(48)], &bytes].concat());
    }

    #[test]
    fn any_mutation_of_a_good_file(
        which in 0..15_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = good().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        survive(&file);
        survive(&file[..cut.index(file.len())]);
    }

    #[test]
    fn any_length_in_a_good_file(which in 0..15_usize, at in any::<prop::sample::Index>(), value in any::<u32>(), shift in 0..32_u32) {
        let mut file = good().swap_remove(which);
        let at = at.index(file.len() / 4) * 4;
        for order in ORDERS {
            file[at..at + 4].copy_from_slice(&order.four(value >> shift));
            survive(&file);
        }
    }
}

#[test]
fn the_good_files_are_good() {
    let packets: Vec<_> = good().iter().map(|file| read_whole(file).counts.packets).collect();
    assert_eq!(packets, [[4; 12].as_slice(), &[3; 3]].concat());
}
