//! People and machines that look at netwatch while it works: streams that stay open, and questions at a steady pace.

use std::fmt::{self, Display, Formatter};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use xtask::lab::Lab;

/// Streams that stay open.
pub const STREAMS: usize = 200;
/// Questions a second, over all connections.
pub const REQUESTS: u32 = 1_000;
/// Connections that ask.
const ASKERS: u32 = 4;
/// Where netwatch serves in a laboratory.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// What is asked, in turns.
const PATHS: [&str; 5] = [
    "/alerts?limit=20",
    "/api/v1/status",
    "/api/v1/incidents?state=open&limit=50",
    "/metrics",
    "/api/v1/sources",
];
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients at work.
pub struct Clients {
    stop: Arc<AtomicBool>,
    events: Arc<AtomicU64>,
    gaps: Arc<AtomicU64>,
    streams: JoinHandle<anyhow::Result<()>>,
    askers: Vec<JoinHandle<anyhow::Result<Vec<Duration>>>>,
    began: Instant,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// Streams that stayed open to the end.
    pub streams: usize,
    /// Alerts that they were told, all together.
    pub events: u64,
    /// Gaps that they were told of.
    pub gaps: u64,
    /// Questions that were answered with 200.
    pub answers: u64,
    /// Answers a second.
    pub rate: f64,
    /// Milliseconds from a question to the end of its answer: half of them, 99 of 100, the slowest.
    pub ms: [f64; 3],
}

impl Served {
    /// As a part of a result.
    pub fn json(self) -> serde_json::Value {
        let Self { streams, events, gaps, answers, rate, ms: [p50, p99, max] } = self;
        serde_json::json!({
            "streams": streams, "events": events, "gaps": gaps, "answers": answers, "answers_per_second": rate,
            "answer_ms": { "p50": p50, "p99": p99, "max": max },
        })
    }
}

impl Display for Served {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { streams, events, gaps, answers, rate, ms: [p50, p99, max] } = self;
        write!(
            f,
            "{streams} streams were told {events} alerts with {gaps} gaps; {answers} answers, {rate:.0} a second, \
             p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.1} ms"
        )
    }
}

impl Clients {
    /// Opens all streams, and begins to ask.
    ///
    /// # Errors
    /// netwatch does not serve, or refuses a stream.
    pub fn start(lab: &Lab) -> anyhow::Result<Self> {
        let mut streams = Vec::with_capacity(STREAMS);
        for _ in 0..STREAMS {
            let mut stream = connect(lab)?;
            stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")?;
            streams.push(stream);
        }
        for stream in &mut streams {
            let mut line = [0; 12];
            stream.read_exact(&mut line)?;
            ensure!(&line == b"HTTP/1.1 200", "a stream is refused: {}", line.escape_ascii());
            stream.set_nonblocking(true)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (events, gaps) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let askers = (0..ASKERS).map(|asker| {
            let (stream, stop) = (connect(lab)?, Arc::clone(&stop));
            Ok(thread::spawn(move || ask(&stream, asker, &stop)))
        });
        let askers = askers.collect::<anyhow::Result<_>>()?;
        let streams = {
            let (stop, events, gaps) = (Arc::clone(&stop), Arc::clone(&events), Arc::clone(&gaps));
            thread::spawn(move || listen(&mut streams, &stop, &events, &gaps))
        };
        Ok(Self { stop, events, gaps, streams, askers, began: Instant::now() })
    }

    /// Ends them.
    ///
    /// # Errors
    /// A stream was ended, or a question not answered.
    pub fn finish(self) -> anyhow::Result<Served> {
        let seconds = self.began.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        for asker in self.askers {
            took.extend(asker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        self.streams.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        took.sort_unstable();
        let ms = |part: usize| {
            let rank = (took.len() * part).div_ceil(100).max(1);
            took.get(rank - 1).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
        };
        Ok(Served {
            streams: STREAMS,
            events: self.events.load(Ordering::Relaxed),
            gaps: self.gaps.load(Ordering::Relaxed),
            answers: took.len() as u64,
            rate: f64::from(u32::try_from(took.len())?) / seconds,
            ms: [50, 99, 100].map(ms),
        })
    }
}

fn connect(lab: &Lab) -> anyhow::Result<TcpStream> {
    let stream = lab.watched().run(|| TcpStream::connect(ADDRESS))?.context("netwatch does not serve")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads all streams, and counts what they tell.
fn listen(
    streams: &mut [TcpStream],
    stop: &AtomicBool,
    events: &AtomicU64,
    gaps: &AtomicU64,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    // The end of what was read, where a word may go on.
    let mut tails = vec![Vec::new(); streams.len()];
    while !stop.load(Ordering::Relaxed) {
        let mut waited: Vec<_> =
            streams.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut waited, PollTimeout::from(100_u8))?;
        let ready: Vec<_> = waited.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for (index, _) in ready.iter().enumerate().filter(|(_, is_ready)| **is_ready) {
            let count = streams[index].read(&mut buffer)?;
            ensure!(count > 0, "a stream was ended");
            let tail: &mut Vec<u8> = &mut tails[index];
            tail.extend_from_slice(&buffer[..count]);
            while let Some(end) = tail.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = tail.drain(..=end).collect();
                let is = |name: &[u8]| line.starts_with(name);
                events.fetch_add(u64::from(is(b"event: alert") || is(b"event:alert")), Ordering::Relaxed);
                gaps.fetch_add(u64::from(is(b"event: gap") || is(b"event:gap")), Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

/// Asks at a steady pace over one connection. Returns how long each answer took.
fn ask(stream: &TcpStream, asker: u32, stop: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let pause = Duration::from_secs(1) * ASKERS / REQUESTS;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut due, mut took) = (Instant::now() + pause * asker / ASKERS, Vec::new());
    for path in PATHS.iter().cycle().skip(usize::try_from(asker)?) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // Late questions are asked at once, so that the pace is kept.
        due += pause;
        let start = Instant::now();
        (&*stream).write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n").as_bytes())?;
        answer(&mut reader).with_context(|| format!("ask for {path}"))?;
        took.push(start.elapsed());
    }
    Ok(took)
}

fn answer(reader: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let (mut length, mut line) = (0, String::new());
    reader.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 200"), "the answer is {line:?}");
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    Ok(())
}
