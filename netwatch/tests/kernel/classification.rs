//! The host's parser and the kernel's program say the same of the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use aya::programs::{TestRun as _, TestRunOptions};
use netwatch::kernel::{Capacity, Options, Watch};
use netwatch_common::classify::{ACK, FIN, RST, SYN, URG};
use netwatch_common::{
    Addr, Class, Proto, Replies, Service, Settings, SourceCounts, TargetCounts, TargetKey, Totals, Verdict,
    classify, parse,
};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use pcap_parser::{Block, PcapBlockOwned, PcapError};
use xtask::traffic::Frame;
use xtask::traffic::network::Extension;

use crate::drained::swap_and_drain;
use crate::{options, skip};

/// Shortest frame that BPF_PROG_TEST_RUN takes.
const ETHERNET_HEADER: usize = 14;

/// What the host makes of frames, as the kernel would count it; but for the time.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    sources: BTreeMap<Addr, SourceCounts>,
    targets: BTreeMap<TargetKey, TargetCounts>,
}

impl Counts {
    fn host(&mut self, frame: &[u8], settings: &Settings) -> Verdict {
        let packet = match parse(frame, settings) {
            Ok(packet) => packet,
            Err(reason) => return reason,
        };
        let verdict = classify(&packet, settings, Replies::ByFlags);
        let (bytes, flags, class) = (frame.len() as u64, packet.transport.flags, verdict.class());
        let (source, dest, service) = (settings.account(packet.source), packet.dest, packet.service());
        let target = self.targets.entry(TargetKey { source, dest, service }).or_default();
        let probes = target.count(service, verdict, flags, bytes, 0);

        let [_, _, high, low] = packet.source.0;
        let fresh = SourceCounts { host: [high, low], ..SourceCounts::ZERO };
        let counts = self.sources.entry(source).or_insert(fresh);
        counts.many_hosts |= u32::from(counts.host != [high, low]);
        counts.bytes += bytes;
        counts.classes[class as usize] += 1;
        counts.unsolicited += u32::from(class.is_unsolicited());
        counts.probes += u32::from(probes);
        counts.to_groups += u32::from(class == Class::UdpNew && packet.dest.is_group());
        verdict
    }

    /// Test runs stay on the CPU of this thread, so that one of the values has all there is.
    fn kernel(watch: &mut Watch) -> Self {
        let mut counts = Self::default();
        let drained = swap_and_drain(watch);
        for (addr, cpus) in drained.sources {
            let sum = only(&cpus);
            assert!(sum.first_ns > 0 && sum.first_ns <= sum.last_ns);
            counts.sources.insert(addr, SourceCounts { first_ns: 0, last_ns: 0, ..sum });
        }
        counts.targets.extend(drained.targets.into_iter().map(|(target, cpus)| (target, only(&cpus))));
        counts
    }
}

/// The entry of a key that has one.
fn only<V: Copy>(cpus: &[V]) -> V {
    let [only] = cpus else { panic!("one thread ran on two CPUs, or a key has two entries") };
    *only
}

/// Keeps this thread on one CPU.
pub fn stay() {
    let mut cpus = CpuSet::new();
    cpus.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
}

/// Both parsers, side by side, with the same settings.
struct Both {
    watch: Watch,
    settings: Settings,
    totals: Totals,
    host: Counts,
    frames: u64,
}

impl Both {
    fn new(link: u32) -> Self {
        stay();
        let options = options();
        let settings = Settings { link, ..options.settings };
        // Room for every frame to be a new source.
        let capacity = Capacity { sources: 100_000, targets: 100_000, blocks: 256, flows: 4096 };
        let watch = Watch::load(&Options { settings, capacity, ..options }).unwrap();
        Self { watch, settings, totals: Totals::default(), host: Counts::default(), frames: 0 }
    }

    /// Gives a frame to both and compares the verdict. False where the kernel's test run does not take it.
    fn frame(&mut self, frame: &[u8], from: &dyn std::fmt::Display) -> bool {
        if frame.len() < ETHERNET_HEADER {
            return false;
        }
        let run = TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() };
        if self.watch.program().unwrap().test_run(run).is_err() {
            return false;
        }
        let want = self.host.host(frame, &self.settings);
        let totals = self.watch.totals().unwrap();
        let grown: Vec<_> = Verdict::ALL
            .into_iter()
            .filter(|verdict| totals.verdict(*verdict) != self.totals.verdict(*verdict))
            .collect();
        assert_eq!(grown, [want], "{from}: {frame:02x?}");
        assert_eq!(totals.seen, self.totals.seen + 1);
        assert_eq!(totals.bytes, self.totals.bytes + frame.len() as u64);
        self.totals = totals;
        self.frames += 1;
        true
    }

    /// Compares what was counted under sources and targets.
    fn finish(mut self) -> u64 {
        assert_eq!((self.totals.sources_refused, self.totals.targets_lost), (0, 0));
        assert_eq!(Counts::kernel(&mut self.watch), self.host);
        self.frames
    }
}

#[test]
fn generated_frames() {
    let mut both = Both::new(Settings::LINK_ETHERNET);
    let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 1));
    let (a6, b6) = ("2001:db8::1".parse::<Ipv6Addr>().unwrap(), "2001:db8::2".parse::<Ipv6Addr>().unwrap());
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for flags in 0..=u8::MAX {
        frames.push(Frame::ipv4(a, b).tcp(40_000, flags.into(), flags).build());
        frames.push(Frame::ipv6(a6, b6).tcp(40_000, flags.into(), flags).build());
        frames.push(Frame::ipv4(a, b).icmp(flags, 0, &[0; 4]).build());
        frames.push(Frame::ipv6(a6, b6).icmp(flags, 0, &[0; 4]).build());
        frames.push(Frame::ipv4(a, b).protocol(flags, &[0; 40]).build());
        frames.push(Frame::ipv6(a6, b6).protocol(flags, &[0; 40]).build());
    }
    for tags in [&[0x8100][..], &[0x88a8], &[0x9100], &[0x88a8, 0x8100], &[0x8100; 3], &[0x8100; 5]] {
        let tagged4 = tags.iter().fold(Frame::ipv4(a, b), |frame, tag| frame.vlan(*tag, 9));
        let tagged6 = tags.iter().fold(Frame::ipv6(a6, b6), |frame, tag| frame.vlan(*tag, 9));
        frames.push(tagged4.tcp(1, 2, SYN | ACK).build());
        frames.push(tagged6.udp(53, 40_000, b"reply").build());
    }
    for len in 0..=40 {
        frames.push(Frame::ipv4(a, b).options(&vec![1; len]).tcp(1, 2, FIN | URG).build());
    }
    for words in 0..=15 {
        frames.push(Frame::ipv4(a, b).header_words(words).tcp(1, 2, RST).build());
    }
    for length in (0..100).chain([1000, 65535]) {
        frames.push(Frame::ipv4(a, b).total_length(length).tcp(1, 2, SYN).build());
        frames.push(Frame::ipv6(a6, b6).payload_length(length).udp(1, 2, b"x").build());
    }
    for (offset, more) in [(0, true), (1, true), (1, false), (8191, false), (185, true)] {
        frames.push(Frame::ipv4(a, b).fragment(offset, more).tcp(1, 2, SYN).build());
        let fragment = Extension::Fragment { offset, more, id: 1 };
        frames.push(Frame::ipv6(a6, b6).extension(fragment.clone()).tcp(1, 2, SYN).build());
        let behind = Frame::ipv6(a6, b6).extension(Extension::HopByHop(vec![])).extension(fragment);
        frames.push(behind.extension(Extension::Authentication(vec![0; 12])).tcp(1, 2, SYN).build());
    }
    for headers in 0..=10 {
        let chain = (0..headers).fold(Frame::ipv6(a6, b6), |frame, number| {
            frame.extension(match number % 4 {
                0 => Extension::DestinationOptions(vec![0; number * 5]),
                1 => Extension::Routing { kind: 4, segments_left: 0, data: vec![0; 16] },
                2 => Extension::Mobility { kind: 1, data: vec![] },
                _ => Extension::Other { number: 139, data: vec![0; 30] },
            })
        });
        frames.push(chain.tcp(1, 2, SYN).build());
    }
    // Every frame once more, cut at every length up to where all headers are over.
    let whole = frames.len();
    for index in 0..whole {
        if index % 16 == 0 || index > 1536 {
            let frame = &frames[index];
            let cuts: Vec<_> =
                (ETHERNET_HEADER..frame.len().min(140)).map(|cut| frame[..cut].to_vec()).collect();
            frames.extend(cuts);
        }
    }
    for (number, frame) in frames.iter().enumerate() {
        assert!(both.frame(frame, &format!("generated frame {number}")));
    }
    println!("{} generated frames agree", both.finish());
}

#[test]
fn a_completed_handshake_is_counted_under_source_and_target() {
    stay();
    let mut watch = Watch::load(&options()).unwrap();
    watch.watch_mirror(0).unwrap();
    let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 1));
    for frame in [
        Frame::ipv4(a, b).tcp(50_000, 443, SYN).build(),
        Frame::ipv4(b, a).tcp(443, 50_000, SYN | ACK).build(),
        Frame::ipv4(a, b).tcp(50_000, 443, ACK).build(),
        Frame::ipv4(a, b).tcp(50_000, 443, ACK).build(),
        Frame::ipv4(a, b).tcp(50_000, 80, SYN).build(),
    ] {
        let run = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
        watch.program().unwrap().test_run(run).unwrap();
    }
    let Counts { sources, targets } = Counts::kernel(&mut watch);
    assert_eq!((sources[&a.into()].completed, sources[&b.into()].completed), (1, 0));
    assert_eq!((sources[&a.into()].unsolicited, sources[&a.into()].probes), (2, 2));
    let of = |port| {
        let service = Service::new(Proto::Tcp, port);
        targets[&TargetKey { source: a.into(), dest: b.into(), service }]
    };
    assert_eq!((of(443).completed, of(443).opening, of(443).rest), (1, 1, 2));
    assert_eq!((of(80).completed, of(80).opening, of(80).rest), (0, 1, 0));
}

#[test]
fn headers_that_lie_beyond_the_first_buffer() {
    // The kernel's test run gives a program less than a page; the rest lies in other buffers.
    let mut watch = Watch::load(&options()).unwrap();
    let (a6, b6) = ("2001:db8::1".parse::<Ipv6Addr>().unwrap(), "2001:db8::2".parse::<Ipv6Addr>().unwrap());
    let chain = Frame::ipv6(a6, b6)
        .extension(Extension::DestinationOptions(vec![0; 2000]))
        .extension(Extension::DestinationOptions(vec![0; 2000]));
    let frame = chain.tcp(1, 2, SYN).build();
    let run = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
    watch.program().unwrap().test_run(run).unwrap();
    let totals = watch.totals().unwrap();
    assert_eq!((totals.seen, totals.verdict(Verdict::HeadersNotLinear)), (1, 1));
    assert_eq!((totals.sourced, totals.bytes), (1, frame.len() as u64), "the source is known all the same");
}

#[test]
fn frames_without_a_link_header() {
    let mut both = Both::new(Settings::LINK_IP);
    let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 1));
    let (a6, b6) = ("2001:db8::1".parse::<Ipv6Addr>().unwrap(), "2001:db8::2".parse::<Ipv6Addr>().unwrap());
    for port in 0..50 {
        assert!(both.frame(&Frame::ipv4(a, b).tcp(1, port, SYN).build()[14..], &"raw IPv4"));
        assert!(both.frame(&Frame::ipv6(a6, b6).udp(1, port, b"").build()[14..], &"raw IPv6"));
        assert!(both.frame(&[u8::try_from(port).unwrap() * 5; 60], &"no IP"));
    }
    assert_eq!(both.finish(), 150);
}

/// Link types of captures.
const ETHERNET: i32 = 1;
const RAW_IP: [i32; 4] = [12, 101, 228, 229];

#[test]
fn every_frame_of_the_malformed_captures() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/malformed");
    if !corpus.is_dir() {
        return skip("corpus absent");
    }
    let mut files: Vec<PathBuf> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut ethernet, mut raw) = (Both::new(Settings::LINK_ETHERNET), Both::new(Settings::LINK_IP));
    let (mut other_links, mut not_taken, mut damaged) = (0_u64, 0_u64, Vec::new());
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy();
        let end = for_each_frame(file, |link, frame| {
            let both = match link {
                ETHERNET => &mut ethernet,
                link if RAW_IP.contains(&link) => &mut raw,
                _ => {
                    other_links += 1;
                    return;
                }
            };
            not_taken += u64::from(!both.frame(frame, &name));
        });
        damaged.extend(end.err().map(|why| format!("{name}: {why}")));
    }
    assert!(files.len() > 10);
    println!(
        "{} captures: {} Ethernet frames and {} raw IP packets agree; {other_links} of other link types; \
         {not_taken} shorter or longer than a test run takes; captures that end early: {damaged:#?}",
        files.len(),
        ethernet.finish(),
        raw.finish()
    );
}

/// Calls `each` with the link type and the bytes of every packet in a capture.
fn for_each_frame(file: &Path, mut each: impl FnMut(i32, &[u8])) -> Result<(), String> {
    let mut reader =
        pcap_parser::create_reader(1 << 20, File::open(file).unwrap()).map_err(|error| error.to_string())?;
    let mut links = Vec::new();
    loop {
        match reader.next() {
            Ok((consumed, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => links = vec![header.network.0],
                    PcapBlockOwned::Legacy(packet) => each(links[0], packet.data),
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => links.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        links.push(interface.linktype.0);
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let captured = packet.data.len().min(packet.caplen as usize);
                        let link = links.get(packet.if_id as usize).copied().unwrap_or(-1);
                        each(link, &packet.data[..captured]);
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                        let captured = packet.data.len().min(packet.origlen as usize);
                        each(links.first().copied().unwrap_or(-1), &packet.data[..captured]);
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(consumed);
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        }
    }
}
