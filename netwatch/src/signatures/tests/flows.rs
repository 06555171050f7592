//! Flows whose bytes come in pieces, twice, late or not at all.

use netwatch_common::Proto::{Tcp, Udp};

use super::{answer, ids, sample, signatures, starter};
use crate::signatures::limits::{BYTES_KEPT, DIRECTIONS, IDLE_NS, SETTLED_NS};
use crate::signatures::{Match, Matcher, Ports, Sample, Sender};

const PAIR: &str = r#"
[[signature]]
id = "one"
name = "one"
proto = "tcp"
ports = ["80"]
all = [{ regex = "^begin" }, { text = "end" }]
severity = "high"
reference = "RFC 854"

[[signature]]
id = "two"
name = "two"
proto = "any"
ports = "any"
from = "any"
text = "needle"
severity = "low"
reference = "RFC 854"
"#;

fn at<'a>(sample: &Sample<'a>, sequence: u32, bytes: &'a [u8]) -> Sample<'a> {
    Sample { sequence, bytes, payload_len: u32::try_from(bytes.len()).unwrap(), ..*sample }
}

#[test]
fn a_signature_is_found_across_segments_and_once() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures.clone());
    let mut told = Vec::new();
    let flow = sample(Tcp, 80, b"");
    for (sequence, bytes) in
        [(1_000, &b"begin nee"[..]), (1_000, b"begin nee"), (1_009, b"dle "), (1_013, b"the end")]
    {
        told.push(ids(&signatures, &matcher.sample(&at(&flow, sequence, bytes))));
    }
    assert_eq!(told, [vec![], vec![], vec!["two"], vec!["one"]]);
    let again = matcher.sample(&at(&flow, 1_020, b"needle end"));
    assert!(again.is_empty(), "{again:?}");
    // The other side is another direction.
    assert_eq!(ids(&signatures, &matcher.sample(&answer(Tcp, 80, b"needle"))), ["two"]);
    let counters = matcher.counters();
    assert_eq!((counters.samples, counters.matches, counters.repeated), (6, 3, 1));
}

#[test]
fn a_match_says_who_and_where() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures);
    let flow = Sample { at_ns: 5, outgoing: true, ..sample(Tcp, 8080, b"a needle in hay") };
    let found = matcher.sample(&flow);
    let [Match { sender, at_ns: 5, outgoing: true, source_port: 40_000, dest_port: 8080, excerpt, .. }] =
        &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((*sender, excerpt.offset, excerpt.matched.clone()), (Sender::Client, 0, 2..8));
    assert_eq!((found[0].source, found[0].dest), (flow.source, flow.dest));
    assert_eq!(excerpt.to_string(), "a needle in hay");
}

#[test]
fn behind_a_gap_only_what_can_lie_anywhere_is_found() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures.clone());
    let flow = sample(Tcp, 80, b"");
    assert!(matcher.sample(&at(&flow, 1_000, b"x")).is_empty());
    let found = matcher.sample(&at(&flow, 1_010, b"begin needle end"));
    assert_eq!(ids(&signatures, &found), ["two"]);
    // Of what was not sampled nothing is shown.
    assert_eq!((found[0].excerpt.offset, found[0].excerpt.matched.clone()), (10, 6..12));
}

#[test]
fn a_cut_packet_leaves_a_gap() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures);
    let flow = sample(Tcp, 80, b"");
    assert!(matcher.sample(&Sample { payload_len: 9, ..at(&flow, 1_000, b"nee") }).is_empty());
    assert!(matcher.sample(&at(&flow, 1_009, b"dle")).is_empty());
    assert_eq!(matcher.counters().cut, 1);
}

#[test]
fn only_the_first_bytes_are_looked_at() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures.clone());
    let mut bytes = vec![b'x'; BYTES_KEPT - 3];
    bytes.extend(b"needle");
    assert!(matcher.sample(&sample(Tcp, 9, &bytes)).is_empty());
    let beyond = 1_000 + u32::try_from(BYTES_KEPT).unwrap();
    assert!(matcher.sample(&at(&sample(Tcp, 9, b""), beyond, b"needle")).is_empty());
    assert_eq!(matcher.counters().beyond, 1);
    assert!(matcher.sample(&sample(Udp, 9, &bytes)).is_empty());
    assert_eq!(ids(&signatures, &matcher.sample(&sample(Udp, 9, &bytes[9..]))), ["two"]);
}

#[test]
fn a_new_connection_between_the_same_ports_is_another_flow() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures);
    let flow = sample(Tcp, 80, b"needle");
    assert_eq!(matcher.sample(&flow).len(), 1);
    assert_eq!(matcher.sample(&at(&flow, 2_000_000_000, b"needle")).len(), 1);
    let later = Sample { at_ns: IDLE_NS + 1, ..at(&flow, 2_000_000_000, b"needle") };
    assert_eq!(matcher.sample(&later).len(), 1);
    assert_eq!(matcher.counters().restarted, 2);
}

#[test]
fn datagrams_stand_by_themselves() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures);
    assert!(matcher.sample(&sample(Udp, 53, b"nee")).is_empty());
    assert!(matcher.sample(&sample(Udp, 53, b"dle")).is_empty());
    assert_eq!(matcher.sample(&sample(Udp, 53, b"needle")).len(), 1);
    assert!(matcher.sample(&sample(Udp, 53, b"needle")).is_empty());
    let later = Sample { at_ns: IDLE_NS + 1, ..sample(Udp, 53, b"needle") };
    assert_eq!(matcher.sample(&later).len(), 1);
    assert!(matcher.sample(&later).is_empty());
}

#[test]
fn the_oldest_flow_is_forgotten_and_counted_if_it_was_young() {
    let signatures = signatures(PAIR);
    let mut matcher = Matcher::new(signatures);
    let of = |port: usize, bytes, at_ns| Sample {
        source_port: u16::try_from(port).unwrap(),
        at_ns,
        ..sample(Tcp, 9, bytes)
    };
    for port in 0..DIRECTIONS {
        assert!(matcher.sample(&of(port, b"nee", 0)).is_empty());
    }
    assert!(matcher.sample(&of(DIRECTIONS, b"nee", 1)).is_empty());
    assert_eq!(matcher.counters().forgotten, 1);
    let rest = |port, at_ns| Sample { sequence: 1_003, ..of(port, b"dle", at_ns) };
    assert_eq!(matcher.sample(&rest(1, 1)).len(), 1);
    // That of port 0 was forgotten; to begin it anew, that of port 1 is.
    assert!(matcher.sample(&rest(0, 1)).is_empty());
    assert_eq!(matcher.counters().forgotten, 2);
    assert!(matcher.sample(&of(DIRECTIONS + 1, b"nee", SETTLED_NS + 1)).is_empty());
    assert_eq!(matcher.counters().forgotten, 2);
}

#[test]
fn other_signatures_take_over_and_what_was_found_stays_found() {
    let (both, all) = (signatures(PAIR), starter());
    let mut matcher = Matcher::new(both);
    assert_eq!(matcher.sample(&sample(Tcp, 80, b"needle")).len(), 1);
    let (_, two) = PAIR.split_once("\n\n").unwrap();
    matcher.replace(signatures(two));
    assert!(matcher.sample(&at(&sample(Tcp, 80, b""), 1_006, b"needle")).is_empty());
    matcher.replace(all);
    assert!(matcher.sample(&at(&sample(Tcp, 80, b""), 1_012, b"needle")).is_empty());
}

#[test]
fn a_sample_without_payload_is_counted_and_nothing_else() {
    let mut matcher = Matcher::new(signatures(PAIR));
    assert!(matcher.sample(&sample(Tcp, 80, b"")).is_empty());
    assert_eq!((matcher.counters().samples, matcher.counters().empty), (1, 1));
}

#[test]
fn ports_of_interest_are_those_of_the_signatures() {
    let signatures = signatures(PAIR);
    assert!(signatures.ports_of_interest(Tcp, Sender::Server).is_any());
    let (one, _) = PAIR.split_once("\n\n").unwrap();
    let one = super::signatures(one);
    assert_eq!(one.ports_of_interest(Tcp, Sender::Client), Ports::of(vec![(80, 80)]));
    assert!(one.ports_of_interest(Tcp, Sender::Server).is_empty());
    assert!(one.ports_of_interest(Udp, Sender::Client).is_empty());
    let starter = starter();
    assert!(starter.ports_of_interest(Tcp, Sender::Client).is_any());
    assert_eq!(starter.ports_of_interest(Tcp, Sender::Server).to_string(), "445");
    assert_eq!(starter.ports_of_interest(Udp, Sender::Client).to_string(), "53,123,5060-5061");
}

#[test]
fn a_frame_says_what_its_payload_is() {
    use netwatch_common::{Settings, parse};
    // IPv4 and a SYN with twelve bytes of options and four of payload; padding follows.
    let mut frame = vec![2; 12];
    frame.extend(b"\x08\x00\x45\0\0\x38\0\0\0\0\x40\x06\0\0\xc6\x33\x64\x07\xc0\0\x02\x50");
    frame.extend(b"\x9c\x40\0\x50\xff\xff\xff\xff\0\0\0\0\x80\x02\xff\xff\0\0\0\0");
    frame.extend([1; 12]);
    frame.extend(b"data\0\0");
    let packet = parse(&frame[..], &Settings::DEFAULT).unwrap();
    let found = Sample::of(&packet, &frame, 72).unwrap();
    assert_eq!((found.bytes, found.payload_len, found.sequence), (&b"data"[..], 4, 0));
    assert_eq!((found.source, found.dest), (sample(Tcp, 80, b"").source, sample(Tcp, 80, b"").dest));
    assert_eq!((found.source_port, found.dest_port, found.proto), (40_000, 80, Tcp));
    let cut = &frame[..68];
    let found = Sample::of(&parse(cut, &Settings::DEFAULT).unwrap(), cut, 72).unwrap();
    assert_eq!((found.bytes, found.payload_len), (&b"da"[..], 6));
}
