//! The same frame over and over: one source and one port, so that every entry is found at once.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Context as _;
use aya::Ebpf;
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use netwatch::kernel::size::{ProgramSize, size_of_program};
use netwatch::kernel::{Options, Watch, limits, object};
use netwatch::lookout::Inspection;
use netwatch::signatures::{Wanted, load::load};
use xtask::traffic::Frame;
use xtask::traffic::network::Extension;
use xtask::traffic::transport::{ACK, SYN};

/// Packets per program, frame and round.
const PACKETS: u32 = 1_000_000;
/// Packets that may be looked into in each period, by default.
const SAMPLES: u32 = 500;
/// The program that ratios refer to: parsing and two plain maps.
const REFERENCE: &str = "reference_count";

/// What was measured.
pub struct Frames {
    rounds: u32,
    sizes: Vec<ProgramSize>,
    frames: Vec<Sample>,
    /// Nanoseconds per packet, of each program on each frame.
    medians: Vec<Vec<u64>>,
}

/// The programs, in the order of the table.
const NAMES: [&str; 5] = ["reference_pass", "reference_parse", REFERENCE, "netwatch", "netwatch_mirror"];

pub fn measure(rounds: u32) -> anyhow::Result<Frames> {
    let mut references = Ebpf::load(object::reference().context("built without the reference programs")?)?;
    // As `netwatch run` is by default: the first payload of new flows is looked into.
    let options = Options { closer: true, ..Options::of_this_host(limits::DEFAULT_MAP_MEMORY) };
    let mut watches = [Watch::load(&options)?, Watch::load(&options)?];
    let signatures = load(&Wanted::default()).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    let ports = Inspection::new(Arc::new(signatures), 0).ports();
    for watch in &mut watches {
        watch.inspect(&ports, SAMPLES)?;
    }
    // Asks for the flow of every packet but SYNs, and enters the flow that answers it: the dearest way.
    watches[1].watch_mirror(0)?;
    let frames = frames();
    let mut sizes = Vec::new();
    for name in NAMES {
        if name.starts_with("reference") {
            let program: &mut Xdp = references.program_mut(name).context("no such program")?.try_into()?;
            program.load()?;
        }
        sizes.push(size_of_program(program(&mut references, &mut watches, name)?)?);
    }
    let mut times = vec![vec![Vec::new(); NAMES.len()]; frames.len()];
    for _ in 0..rounds {
        for (frame, times) in frames.iter().zip(&mut times) {
            for (name, times) in NAMES.iter().zip(times) {
                let program = program(&mut references, &mut watches, name)?;
                let run =
                    TestRunOptions { data_in: Some(&frame.bytes), repeat: PACKETS, ..TestRunOptions::new() };
                times.push(u64::try_from(program.test_run(run)?.duration.as_nanos())?);
            }
        }
    }
    let medians: Vec<Vec<u64>> =
        times.into_iter().map(|of_frame| of_frame.into_iter().map(median).collect()).collect();
    Ok(Frames { rounds, sizes, frames, medians })
}

struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
}

/// Frames of the shortest kind, where the cost of a packet counts most.
fn frames() -> Vec<Sample> {
    let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 1));
    let a6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let b6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    let options = || Extension::DestinationOptions(vec![]);
    vec![
        Sample { name: "TCP SYN", bytes: Frame::ipv4(a, b).tcp(40_000, 80, SYN).build() },
        Sample { name: "TCP ACK", bytes: Frame::ipv4(a, b).tcp(443, 40_000, ACK).build() },
        Sample {
            name: "TCP in 2 VLANs",
            bytes: Frame::ipv4(a, b).vlan(0x88a8, 1).vlan(0x8100, 2).tcp(1, 2, ACK).build(),
        },
        Sample { name: "UDP over IPv6", bytes: Frame::ipv6(a6, b6).udp(53, 40_000, b"reply").build() },
        Sample {
            name: "… with 2 extensions",
            bytes: Frame::ipv6(a6, b6).extension(options()).extension(options()).udp(1, 2, b"").build(),
        },
        Sample { name: "later fragment", bytes: Frame::ipv4(a, b).fragment(9, false).tcp(1, 2, ACK).build() },
    ]
}

fn program<'a>(
    references: &'a mut Ebpf,
    [by_flags, mirror]: &'a mut [Watch; 2],
    name: &str,
) -> anyhow::Result<&'a Xdp> {
    match name {
        "netwatch" => return Ok(by_flags.program()?),
        "netwatch_mirror" => return Ok(mirror.program()?),
        _ => {}
    }
    let program: &mut Xdp = references.program_mut(name).context("no such program")?.try_into()?;
    Ok(program)
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}

impl Frames {
    pub fn print(&self) {
        let Self { rounds, sizes, frames, medians } = self;
        println!("{:<20} {:>22} {:>14}", "program", "instructions verified", "machine code");
        for (name, size) in NAMES.iter().zip(sizes) {
            let verified = size.verified_instructions.map_or("unknown".to_owned(), |count| count.to_string());
            println!("{name:<20} {verified:>22} {:>12} B", size.machine_code_bytes);
        }
        println!();
        print!("{:<20}", "ns per packet");
        NAMES.iter().for_each(|name| print!(" {name:>16}"));
        println!(" {:>14} {:>14}", "to reference", "less the floor");
        for (frame, medians) in frames.iter().zip(medians) {
            print!("{:<20}", frame.name);
            medians.iter().for_each(|median| print!(" {median:>16}"));
            let (ratio, net) = ratios(medians);
            println!(" {ratio:>14.2} {net:>14.2}");
        }
        println!();
        println!(
            "medians of {rounds} runs of {PACKETS} packets, one source and port, one CPU. The first ratio is \
         netwatch to {REFERENCE}; the second the same after taking off reference_pass, which does nothing. \
         netwatch_mirror tells replies by flows: it asks for one and enters one for every packet, where with an \
         egress program ingress only asks."
        );
    }

    /// Into the fields `packets`, `reference`, `programs` and `frames`.
    pub fn write_json(&self, result: &mut serde_json::Value) {
        let Self { sizes, frames, medians, .. } = self;
        let programs: Vec<_> = NAMES
            .iter()
            .zip(sizes)
            .map(|(name, size)| {
                serde_json::json!({
                    "name": name,
                    "verified_instructions": size.verified_instructions,
                    "machine_code_bytes": size.machine_code_bytes,
                })
            })
            .collect();
        let frames: Vec<_> = frames
        .iter()
        .zip(medians)
        .map(|(frame, medians)| {
            let ns: serde_json::Map<_, _> =
                NAMES.iter().zip(medians).map(|(name, ns)| ((*name).to_owned(), (*ns).into())).collect();
            let (ratio, net) = ratios(medians);
            serde_json::json!({ "frame": frame.name, "ns_per_packet": ns, "ratio": ratio, "net_ratio": net })
        })
        .collect();
        result["packets"] = PACKETS.into();
        result["reference"] = REFERENCE.into();
        result["programs"] = programs.into();
        result["frames"] = frames.into();
    }
}

/// netwatch's cost in terms of the reference's, with and without the cost of running any program.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds per packet are small")]
fn ratios(medians: &[u64]) -> (f64, f64) {
    let [pass, _, reference, netwatch, ..] = medians else { return (f64::NAN, f64::NAN) };
    let net = |ns: &u64| ns.saturating_sub(*pass).max(1) as f64;
    (*netwatch as f64 / *reference as f64, net(netwatch) / net(reference))
}
