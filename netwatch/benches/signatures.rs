//! `cargo xtask bench signatures`: what it costs to look for signatures in a packet's payload, and to compile them.
//!
//! It needs neither root nor an interface. Each scene hands ordinary payloads to a matcher as the kernel's samples would
//! come, each of another flow, so that reassembly and forgetting are part of the cost.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use netwatch::signatures::{Matcher, Sample, Signatures, Wanted, file, load};
use netwatch_common::{Addr, Proto};
use nix::time::{ClockId, clock_gettime};
use serde_json::json;

#[expect(dead_code, reason = "of the figures of other benchmarks, not all are of use here")]
#[path = "support/table.rs"]
mod table;

use table::{float, median, note};

/// What a sample of 512 bytes may take with the signatures that come with netwatch, in microseconds.
const TARGET_US: f64 = 10.0;

/// What signatures cost.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench signatures")]
struct Options {
    /// How long each scene lasts, in milliseconds, five times over.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    millis: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Payloads of one kind.
struct Scene {
    name: &'static str,
    proto: Proto,
    port: u16,
    /// The pieces that each flow sends, one packet each.
    pieces: Vec<Vec<u8>>,
}

/// What a scene took.
struct Figure {
    name: String,
    signatures: usize,
    bytes: usize,
    /// For one packet.
    microseconds: f64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("an ordinary packet takes more than {TARGET_US} µs");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<bool> {
    let begin = cpu_time();
    let starter = load(&Wanted::default()).map_err(|wrong| anyhow::anyhow!(wrong.join("\n")))?;
    let starter_time = cpu_time() - begin;
    let text = thousand();
    let begin = cpu_time();
    let thousand = file::parse("thousand.toml", &text).map_err(|wrong| anyhow::anyhow!(wrong.join("\n")))?;
    let thousand = Signatures::compile(thousand).map_err(anyhow::Error::msg)?;
    let thousand_time = cpu_time() - begin;

    let (starter, thousand) = (Arc::new(starter), Arc::new(thousand));
    let mut figures = Vec::new();
    for scene in scenes() {
        note(scene.name);
        figures.push(measure(options, &scene, &starter));
        if scene.port == 80 {
            figures.push(measure(options, &scene, &thousand));
        }
    }
    let compile = [("36 that come with netwatch", starter_time), ("1000 of a file", thousand_time)];
    if options.json {
        let scene = |figure: &Figure| {
            json!({
                "scene": figure.name, "signatures": figure.signatures, "bytes": figure.bytes,
                "microseconds": figure.microseconds, "megabytes_per_second": figure.megabytes_per_second(),
            })
        };
        let scenes: Vec<_> = figures.iter().map(scene).collect();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{}",
            json!({
                "scenes": scenes,
                "compile_milliseconds": { "starter": millis(starter_time), "thousand": millis(thousand_time) },
            })
        );
    } else {
        let row = |figure: &Figure| {
            vec![
                figure.name.clone(),
                figure.signatures.to_string(),
                figure.bytes.to_string(),
                format!("{:.2}", figure.microseconds),
                format!("{:.0}", figure.megabytes_per_second()),
            ]
        };
        let rows: Vec<_> = figures.iter().map(row).collect();
        table::print(&["payload", "signatures", "bytes", "µs/packet", "MB/s"], &rows);
        for (what, time) in compile {
            println!("compiling {what}: {:.1} ms", time.as_secs_f64() * 1e3);
        }
    }
    let ordinary = figures.first().context("there are scenes")?;
    Ok(ordinary.microseconds <= TARGET_US)
}

impl Figure {
    fn megabytes_per_second(&self) -> f64 {
        float(self.bytes as u64) / self.microseconds
    }
}

fn scenes() -> Vec<Scene> {
    let request = request();
    let in_pieces = |bytes: &[u8], size| bytes.chunks(size).map(<[u8]>::to_vec).collect();
    let mut hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec();
    // What looks like chance, and is the same each time.
    let mut state = 1_u64;
    hello.resize_with(517, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let question = b"\x1a\x2b\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01".to_vec();
    let long: Vec<u8> = request.iter().copied().cycle().take(2_048).collect();
    vec![
        Scene { name: "HTTP request", proto: Proto::Tcp, port: 80, pieces: vec![request.clone()] },
        Scene {
            name: "the same in pieces of 64 bytes",
            proto: Proto::Tcp,
            port: 80,
            pieces: in_pieces(&request, 64),
        },
        Scene { name: "2 KiB in pieces of a byte", proto: Proto::Tcp, port: 80, pieces: in_pieces(&long, 1) },
        Scene { name: "TLS ClientHello", proto: Proto::Tcp, port: 443, pieces: vec![hello] },
        Scene { name: "DNS question", proto: Proto::Udp, port: 53, pieces: vec![question] },
    ]
}

/// A browser's request of 512 bytes.
fn request() -> Vec<u8> {
    let mut text = "GET /articles/2024/05/how-to-select-a-union?page=2&sort=name&filter=open%20source HTTP/1.1\r\n\
                    Host: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 \
                    Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
                    Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nReferer: \
                    http://www.example.org/articles/\r\nCookie: session="
        .to_owned();
    while text.len() < 508 {
        text.push(char::from(b"0123456789abcdef"[text.len() * 7 % 16]));
    }
    text.push_str("\r\n\r\n");
    text.into_bytes()
}

/// A thousand signatures for one port, as many as there may be.
fn thousand() -> String {
    let mut text = String::new();
    for number in 0..1_000 {
        let _ = write!(
            text,
            "[[signature]]\nid = 'bench.{number}'\nname = 'x'\nproto = 'tcp'\nports = ['80']\nseverity = 'low'\n\
             reference = 'RFC 9110'\nregex = '(?i)/path{number}/[a-z]+\\.php\\?(?:cmd|x{number})='\n"
        );
    }
    text
}

/// What this thread has had of a CPU: what others take of it meanwhile is none of it.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The median of five times.
fn measure(options: &Options, scene: &Scene, signatures: &Arc<Signatures>) -> Figure {
    let mut matcher = Matcher::new(signatures.clone());
    let mut flow = 0_u32;
    let mut once = || {
        let (begin, begun) = (Instant::now(), cpu_time());
        let mut packets = 0_u64;
        while begin.elapsed() < Duration::from_millis(options.millis) {
            flow = flow.wrapping_add(1);
            let mut sequence = flow;
            for bytes in &scene.pieces {
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let found = matcher.sample(&Sample {
                    source: Addr::from(Ipv4Addr::from_bits(0x0a00_0000 | (flow >> 8 & 0xff_ffff))),
                    source_port: 32_768 | u16::try_from(flow & 0xff).unwrap_or(0),
                    dest: Addr::from(Ipv4Addr::new(192, 0, 2, 80)),
                    dest_port: scene.port,
                    proto: scene.proto,
                    client_is_source: Some(true),
                    sequence,
                    payload_len: len,
                    bytes,
                    at_ns: u64::from(flow) * 1_000,
                    outgoing: false,
                });
                assert!(black_box(found).is_empty(), "an ordinary payload is found in");
                sequence = sequence.wrapping_add(len);
                packets += 1;
            }
        }
        (cpu_time() - begun).as_secs_f64() * 1e6 / float(packets)
    };
    let times = (0..5).map(|_| once()).collect();
    let total: usize = scene.pieces.iter().map(Vec::len).sum();
    Figure {
        name: scene.name.to_owned(),
        signatures: signatures.all().len(),
        bytes: total / scene.pieces.len(),
        microseconds: median(times),
    }
}
