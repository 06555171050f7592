//! Captures that end early, lie about lengths, or were packed badly.

use super::build::*;
use super::merge::Folder;
use super::*;
use crate::capture::limits::RECORD_MAX;

/// Where the records of a capture of packets end, the header being the first.
fn ends(files: impl Fn(u16) -> Vec<u8>, count: u16) -> Vec<usize> {
    (0..=count).map(|number| files(number).len()).collect()
}

#[test]
fn wherever_a_capture_ends_what_came_before_is_used() {
    for order in ORDERS {
        let samples = samples(4);
        let of_pcap = |count: u16| pcap(order, MICROSECONDS, &samples[..usize::from(count)]);
        let of_pcapng = |count: u16| pcapng(order, &samples[..usize::from(count)]);
        for (whole, ends, first, what) in
            [(of_pcap(4), ends(of_pcap, 4), 24, "record"), (of_pcapng(4), ends(of_pcapng, 4), 28, "block")]
        {
            for cut in first..=whole.len() {
                let outcome = read(&whole[..cut]);
                let packets = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
                assert_eq!(outcome.packets.len(), packets, "{cut}");
                // A section ends well where its header does, too.
                let good = ends.iter().copied().chain([first]).filter(|end| *end <= cut).max().unwrap();
                if good == cut {
                    assert_eq!(outcome.problems, [], "{cut}");
                } else {
                    let [problem] = &outcome.problems[..] else { panic!("one problem at {cut}") };
                    assert_eq!(problem.offset, good as u64, "{cut}");
                    assert!(problem.what.ends_with("is cut short"), "{}", problem.what);
                    assert!(problem.what.contains(what), "{}", problem.what);
                }
            }
            for cut in 0..first {
                assert!(open(&whole[..cut]).is_err(), "{cut}");
            }
        }
    }
}

#[test]
fn wherever_compressed_data_ends_it_is_said() {
    let whole = pcap(Order::Little, MICROSECONDS, &samples(4));
    for packed in [gzip(&whole), zstd(&whole)] {
        for cut in 0..packed.len() {
            if let Ok(captures) = open(&packed[..cut]) {
                let outcome = Outcome::of(captures);
                let [problem] = &outcome.problems[..] else { panic!("one problem at {cut}") };
                let kept: usize = outcome.packets.iter().map(|packet| packet.frame.len() + 16).sum();
                assert_eq!(problem.offset, 24 + kept as u64);
                assert!(problem.what.starts_with("the "), "{}", problem.what);
            }
        }
    }
}

#[test]
fn checksums_of_compressed_data_are_checked() {
    let whole = pcap(Order::Little, MICROSECONDS, &samples(4));
    let mut packed = gzip(&whole);
    let at = packed.len() - 8;
    packed[at] ^= 1;
    let outcome = read(&packed);
    assert_eq!((outcome.packets.len(), outcome.problems.len()), (4, 1));
    assert_eq!(outcome.problems[0].offset, whole.len() as u64);
    assert!(outcome.problems[0].what.starts_with("the gzip data is damaged"), "{:?}", outcome.problems);

    // A frame of one uncompressed block, with the checksum of something else.
    let size = u8::try_from(whole.len() & 0xff).unwrap();
    let high = u8::try_from(whole.len() >> 8).unwrap();
    let block = (whole.len() << 3 | 1).to_le_bytes();
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x64, size, high - 1, block[0], block[1], block[2]];
    let packed = [&header[..], &whole, &[1, 2, 3, 4]].concat();
    let outcome = read(&packed);
    assert_eq!((outcome.packets.len(), outcome.problems.len()), (4, 1));
    assert_eq!(outcome.problems[0].what, "the zstd data is damaged: the checksum of a frame is wrong");
}

#[test]
fn a_zstd_window_has_a_bound() {
    // Windows of 256 MiB and of 128 MiB.
    for (window, expect) in
        [(18 << 3, "it needs a window of 256 MiB, and 128 MiB is the most"), (17 << 3, "")]
    {
        let error = open(&[0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0]).unwrap_err().to_string();
        assert_eq!(error.contains("window"), !expect.is_empty(), "{error}");
        assert!(error.contains(expect), "{error}");
    }
    // Many captures share what one may take.
    let folder = Folder::new("windows");
    let path = folder.file("a", &[0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0]);
    let error = Captures::open(&vec![path; 64]).unwrap_err().to_string();
    assert!(error.contains("it needs a window of 128 MiB, and 8 MiB is the most"), "{error}");
}

#[test]
fn what_follows_compressed_data_is_damage() {
    let whole = pcap(Order::Little, MICROSECONDS, &samples(4));
    for packed in [gzip(&whole), zstd(&whole)] {
        let outcome = read(&[&packed[..], b"and now for something completely different"].concat());
        assert_eq!((outcome.packets.len(), outcome.problems.len()), (4, 1));
        assert_eq!(outcome.problems[0].offset, whole.len() as u64);
    }
}

#[test]
fn lengths_that_cannot_be() {
    for order in ORDERS {
        let whole = pcap(order, MICROSECONDS, &samples(3));
        let second = 24 + (whole.len() - 24 + 1) / 3;
        for captured in [262_145, RECORD_MAX, u32::MAX as usize] {
            let mut file = whole.clone();
            let captured = u32::try_from(captured).unwrap();
            file[second + 8..second + 12].copy_from_slice(&order.four(captured));
            let outcome = read(&file);
            assert_eq!((outcome.packets.len(), outcome.problems.len()), (1, 1));
            assert_eq!(outcome.problems[0].offset, second as u64);
            let expect = format!("a record of {captured} bytes, where 262144 are the most");
            assert_eq!(outcome.problems[0].what, expect);
        }
        // A snap length beyond all reason does not raise the bound without end.
        let header = pcap_header(order, MICROSECONDS, u32::MAX, 1);
        let file = [&header[..], &[0; 8], &order.four(u32::MAX), &[0; 4]].concat();
        assert!(read(&file).problems[0].what.starts_with("a record of 4294967295 bytes, where "));

        let good = pcapng(order, &samples(2));
        let start = pcapng(order, &samples(1)).len();
        for len in [0, 8, 11, 13, RECORD_MAX + 4, u32::MAX as usize] {
            let mut file = good.clone();
            file[start + 4..start + 8].copy_from_slice(&order.four(u32::try_from(len).unwrap()));
            let outcome = read(&file);
            assert_eq!((outcome.packets.len(), outcome.problems[0].offset), (1, start as u64));
            assert_eq!(outcome.problems[0].what, format!("a block cannot have {len} bytes"));
        }
    }
}

#[test]
fn blocks_that_contradict_themselves() {
    for order in ORDERS {
        let sample = &samples(1)[0];
        let start = || Blocks::new(order).interface(1, 0, &[]).enhanced(0, 1, sample, &[]);
        let mut lengths = start().enhanced(0, 1, sample, &[]).bytes;
        let at = lengths.len() - 4;
        lengths[at..].copy_from_slice(&order.four(16));
        let mut captured = start().enhanced(0, 1, sample, &[]).bytes;
        let at = start().bytes.len() + 20;
        captured[at..at + 4].copy_from_slice(&order.four(100));
        let holds = |kind: u32| format!("a block of type {kind} does not hold what it should");
        let section = Blocks::new(order).bytes;
        let mut version_2 = section.clone();
        version_2[12..14].copy_from_slice(&order.two(2));
        let mut no_order = section;
        no_order[8..12].fill(7);
        for (file, what) in [
            (lengths, "the two lengths of a block differ".to_owned()),
            (captured, holds(6)),
            (start().block(6, &[0; 16]).bytes, holds(6)),
            (start().block(2, &[]).bytes, holds(2)),
            (start().block(3, &[]).bytes, holds(3)),
            (start().block(1, &[0; 4]).bytes, holds(1)),
            // An option that is longer than its block: the clock behind it would be misread.
            (
                start().block(1, &[&[0; 8][..], &order.two(2), &order.two(40), &[0; 4]].concat()).bytes,
                holds(1),
            ),
            (start().interface(1, 0, &[(14, &[0; 4])]).bytes, holds(1)),
            ([start().bytes, version_2].concat(), "a section of another version than 1".to_owned()),
            ([start().bytes, no_order].concat(), "a section does not say its byte order".to_owned()),
        ] {
            let outcome = read(&file);
            assert_eq!(outcome.packets.len(), 1, "{what}");
            let [problem] = &outcome.problems[..] else { panic!("one problem: {what}") };
            assert_eq!((problem.what.as_str(), problem.offset), (what.as_str(), start().bytes.len() as u64));
        }
        // Of a packet's options nothing but its direction depends.
        let broken = [order.two(2), order.two(4_000)].concat();
        let body = [&[0; 12][..], &order.four(4), &order.four(4), &[1, 2, 3, 4], &broken].concat();
        assert_eq!(read_whole(&start().block(6, &body).bytes).packets.len(), 2);
    }
}
