//! What a replay counts of real captures, against truth that was computed by another reader and decoder.
//!
//! `../shared/corpus/README.md` defines the truth, which there is of benign captures, scans and floods. Not compared is
//! what slots and totals do not hold: SYN-ACKs and RSTs by themselves, packets whose source is their destination, first
//! fragments, captured bytes, IP options, extension headers and VLAN tags. Odd flags are compared where replies are told
//! by flags alone: elsewhere they belong to known connections. ICMP is compared over both its versions, and frames that
//! are not IP over all of what they carry but for ARP.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod counted;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use netwatch_common::{Class, Control, Verdict};

use counted::{Counted, Sent, Window, add};

/// The truth counts fragments other than the first by the protocol in their IP header; here they are fragments, because
/// nobody reads their ports.
const FRAGMENTS: &str = "fragments of UDP are no UDP here";

/// What asks for the time or the mask is a probe here, as what asks for an echo.
const REQUESTS: &str = "timestamp and mask requests are probes";

/// Where we and the truth differ: in which file, in what, what we say, what the truth says, and why.
const KNOWN: [(&str, &str, &str, &str, &str); 8] = [
    (
        "benign/PcapPlusPlus__Tests__Packet++Test__PacketExamples__IcmpPackets.pcap",
        "echo",
        "3",
        "1",
        REQUESTS,
    ),
    ("benign/nDPI__dnscrypt-v1-and-resolver-pings.pcap", "window 0: udp", "12", "15", FRAGMENTS),
    ("benign/nDPI__dnscrypt-v1-and-resolver-pings.pcap", "window 59: udp", "111", "141", FRAGMENTS),
    ("benign/nDPI__dnscrypt-v1-and-resolver-pings.pcap", "window 60: udp", "238", "298", FRAGMENTS),
    ("benign/nDPI__dnscrypt-v1-and-resolver-pings.pcap", "window 61: udp", "105", "132", FRAGMENTS),
    ("benign/zeek__dns-edns-ecs.pcap", "window 1590144: udp", "10", "13", FRAGMENTS),
    ("benign/zeek__dns-edns-ecs.pcap", "window 1621842: udp", "13", "14", FRAGMENTS),
    (
        "flood/suricata-verify__security-8510__defrag-af-confusion-spray-h8.pcap",
        "window 0: udp",
        "4096",
        "8192",
        FRAGMENTS,
    ),
];

type Row = BTreeMap<String, String>;

#[test]
fn what_a_replay_counts_is_the_truth() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: corpus absent");
        return;
    }
    let files = table(&corpus.join("truth_files.tsv"));
    let windows = by_file(table(&corpus.join("truth_windows.tsv")));
    let sources = by_file(table(&corpus.join("truth.tsv")));
    for replies in [Control::REPLIES_BY_FLAGS, Control::REPLIES_MIRRORED] {
        let (mut differences, mut values, mut rows) = (BTreeSet::new(), 0, [0; 2]);
        for row in &files {
            let file = row["file"].as_str();
            let (windows, sources) = (rows_of(&windows, file), rows_of(&sources, file));
            let counted = Counted::replay(&corpus.join(file), replies);
            let odd_flags = replies == Control::REPLIES_BY_FLAGS;
            let mut compare = Compare { file, odd_flags, values: 0, differences: &mut differences };
            compare.whole(&counted, row);
            compare.windows(&counted, windows);
            compare.sources(&counted, sources);
            values += compare.values;
            rows = [rows[0] + windows.len(), rows[1] + sources.len()];
        }
        println!(
            "{} files, {} windows, {} sources in windows: of {values} values, all but {} agree",
            files.len(),
            rows[0],
            rows[1],
            differences.len()
        );
        assert!(files.len() > 900 && rows[0] > 4_000 && rows[1] > 190);
        let known = KNOWN.map(|(file, what, ours, truth, _)| [file, what, ours, truth].map(str::to_owned));
        let known = BTreeSet::from(known);
        let surprises: Vec<_> = differences.difference(&known).collect();
        let gone: Vec<_> = known.difference(&differences).collect();
        assert!(
            surprises.is_empty() && gone.is_empty(),
            "differ: {surprises:#?}; do not any more: {gone:#?}"
        );
    }
}

/// Takes down what differs between us and the truth about one file.
struct Compare<'a> {
    file: &'a str,
    /// Whether odd flags are, too.
    odd_flags: bool,
    /// Values that were compared.
    values: usize,
    differences: &'a mut BTreeSet<[String; 4]>,
}

impl Compare<'_> {
    fn whole(&mut self, counted: &Counted, truth: &Row) {
        let totals = &counted.totals;
        let sum = |columns: &[&str]| -> u64 { columns.iter().map(|column| number(truth, column)).sum() };
        let (mut sources, mut dests) = (BTreeSet::new(), BTreeSet::new());
        let (mut v4, mut probes, mut odd) = (0, 0, [[0; 2]; 3]);
        for Window { slot, .. } in counted.windows.values() {
            sources.extend(slot.sources().map(|(addr, _)| addr));
            dests.extend(slot.services().iter().map(|(key, _)| key.dest));
            let of_v4 = slot.sources().filter(|(addr, _)| IpAddr::from(*addr).is_ipv4());
            v4 += of_v4.map(|(_, stats)| stats.packets()).sum::<u64>();
            let sent = Sent::by_all(slot);
            probes += sent.probes;
            odd.iter_mut().zip([sent.null, sent.fin, sent.xmas]).for_each(|(sum, more)| add(sum, more));
        }
        let windows = counted.windows.values().filter(|window| window.slot.sources().len() > 0);
        for (what, ours, truth) in [
            ("packets", totals.seen, sum(&["packets"])),
            ("bytes", totals.bytes, sum(&["bytes"])),
            ("windows", windows.count() as u64, sum(&["windows"])),
            ("sources", sources.len() as u64, sum(&["sources"])),
            ("dests", dests.len() as u64, sum(&["dests"])),
            ("v4", v4, sum(&["v4"])),
            ("v6", totals.sourced - v4, sum(&["v6"])),
            ("arp", totals.verdict(Verdict::Arp), sum(&["arp"])),
            ("not IP", totals.verdict(Verdict::NonIp), sum(&["mpls", "pppoe", "llc", "other"])),
            ("undec", totals.class(Class::Malformed), sum(&["undec", "l4short"])),
            ("icmp", icmp(&totals.verdicts), sum(&["icmp", "icmp6"])),
            ("echo", probes, sum(&["echo"])),
        ] {
            self.is(what.into(), ours, truth);
        }
        self.flags("", odd, truth);
    }

    fn windows(&mut self, counted: &Counted, truth: &[Row]) {
        for row in truth {
            let window = row["window"].as_str();
            let Some(Window { slot, verdicts }) = counted.windows.get(&window.parse().unwrap()) else {
                self.differs(format!("window {window}"), "none", "is there");
                continue;
            };
            let sent = Sent::by_all(slot);
            let top_dst =
                row["top_dst"].parse::<IpAddr>().ok().and_then(|dest| sent.by_dest.get(&dest.into()));
            for (column, ours, truth) in [
                ("ip_packets", sent.packets, "ip_packets"),
                ("bytes", sent.bytes, "bytes"),
                ("sources", slot.sources().len() as u64, "sources"),
                ("dests", sent.by_dest.len() as u64, "dests"),
                ("top_dst", top_dst.copied().unwrap_or(0), "top_dst_packets"),
                ("top_dst_packets", most(&sent.by_dest), "top_dst_packets"),
                ("udp", sent.udp, "udp"),
                ("icmp", icmp(verdicts), "icmp"),
            ] {
                self.is(format!("window {window}: {column}"), ours, number(row, truth));
            }
            self.lies_within(format!("window {window}: syn"), sent.syns, number(row, "syn"));
        }
    }

    fn sources(&mut self, counted: &Counted, truth: &[Row]) {
        let mut over = BTreeMap::new();
        for (window, Window { slot, .. }) in &counted.windows {
            let senders = slot.sources().map(|(addr, _)| (addr, Sent::by(slot, addr)));
            let senders = senders.filter(|(_, sent)| sent.is_over());
            over.extend(
                senders.map(|(addr, sent)| (format!("window {window}, {}", IpAddr::from(addr)), sent)),
            );
        }
        for row in truth {
            let place = format!("window {}, {}", row["window"], row["src"]);
            let Some(sent) = over.remove(&place) else {
                self.differs(place, "not over a threshold", "over it");
                continue;
            };
            for (column, ours) in [
                ("packets", sent.packets),
                ("bytes", sent.bytes),
                ("dports", sent.by_port.len() as u64),
                ("tdp", sent.tcp_ports.len() as u64),
                ("udp_dp", sent.udp_ports.len() as u64),
                ("ndst", sent.by_dest.len() as u64),
                ("echo_req", sent.probes),
            ] {
                self.is(format!("{place}: {column}"), ours, number(row, column));
            }
            self.flags(&format!("{place}: "), [sent.null, sent.fin, sent.xmas], row);
            self.lies_within(format!("{place}: syn"), sent.syns, number(row, "syn"));
            self.lies_within(format!("{place}: syn_dd"), sent.opened, number(row, "syn_dd"));
            // A port and its packets; `-` where there are no ports.
            let packets = row["maxdp"].split_once(':').map_or(0, |(_, packets)| packets.parse().unwrap());
            self.is(format!("{place}: maxdp"), most(&sent.by_port), packets);
        }
        over.into_keys().for_each(|place| self.differs(place, "over a threshold", "not over it"));
    }

    fn flags(&mut self, place: &str, ours: [[u64; 2]; 3], truth: &Row) {
        if !self.odd_flags {
            return;
        }
        for (column, ours) in ["null", "fin", "xmas"].into_iter().zip(ours) {
            self.lies_within(format!("{place}{column}"), ours, number(truth, column));
        }
    }

    fn is(&mut self, what: String, ours: u64, truth: u64) {
        self.lies_within(what, [ours; 2], truth);
    }

    fn lies_within(&mut self, what: String, [least, most]: [u64; 2], truth: u64) {
        self.values += 1;
        if !(least..=most).contains(&truth) {
            let ours = if least == most { least.to_string() } else { format!("{least} to {most}") };
            self.differs(what, &ours, &truth.to_string());
        }
    }

    fn differs(&mut self, what: String, ours: &str, truth: &str) {
        self.differences.insert([self.file.to_owned(), what, ours.to_owned(), truth.to_owned()]);
    }
}

fn icmp(verdicts: &[u64; Verdict::COUNT]) -> u64 {
    let icmp = [Verdict::IcmpProbe, Verdict::IcmpOther, Verdict::IcmpTruncated];
    icmp.into_iter().map(|verdict| verdicts[verdict as usize]).sum()
}

fn most<K>(counts: &BTreeMap<K, u64>) -> u64 {
    counts.values().max().copied().unwrap_or(0)
}

/// The rows of a table, by the names of its columns.
fn table(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let names: Vec<_> = lines.next().unwrap().collect();
    lines.map(|row| names.iter().cloned().zip(row).collect()).collect()
}

fn by_file(rows: Vec<Row>) -> BTreeMap<String, Vec<Row>> {
    let mut files = BTreeMap::<_, Vec<Row>>::new();
    rows.into_iter().for_each(|row| files.entry(row["file"].clone()).or_default().push(row));
    files
}

fn rows_of<'a>(rows: &'a BTreeMap<String, Vec<Row>>, file: &str) -> &'a [Row] {
    rows.get(file).map_or(&[], Vec::as_slice)
}

fn number(row: &Row, column: &str) -> u64 {
    row[column].parse().unwrap()
}
