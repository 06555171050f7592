//! Keeps the dashboard up to date: one thread follows the stream, and one asks what the stream does not tell. Whoever draws
//! slowly slows these down too, and nothing piles up.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Updates;
use super::data::{Incident, Point, Port, Source, Stats, Status};
use super::http::{Http, Trouble};
use super::model::Update;
use super::sse::{Event, Parser};

/// What is followed. Incidents that are only recorded are in the list, so they are followed too.
const STREAM: &str = "/api/v1/stream?topics=alerts,stats,rates&min_severity=info";
/// Most incidents that are asked for.
const INCIDENTS: &str = "/api/v1/incidents?state=open&limit=200";
/// Where there are more, those that matter may be among the older ones.
const SEVERE: &str = "/api/v1/incidents?state=open&severity=high&limit=200";
const SOURCES: &str = "/api/v1/sources?limit=100";
const PORTS: &str = "/api/v1/ports?limit=50";
const STATUS: &str = "/api/v1/status";
const RATES: &str = "/api/v1/rates?last=5m";
/// What is waited at least between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(500);
/// The same after a question that nobody has answered.
const PAUSE_FAILED: Duration = Duration::from_secs(2);
/// When questions are asked though nothing said that it is time.
const ROUND: Duration = Duration::from_secs(10);
/// How often all incidents are asked for, though the stream tells of each.
const RELIST: Duration = Duration::from_secs(30);
/// What is waited before coming back to a stream, the first time and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What the follower tells the one that asks.
struct Bell {
    ring: SyncSender<()>,
    /// Whether incidents may be other than those that were told.
    relist: AtomicBool,
    /// Whether rates of before are wanted.
    rates: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        // One that rings already is heard.
        let _ = self.ring.try_send(());
    }
}

/// Asks once for everything.
///
/// # Errors
///
/// Somebody does not answer, or refuses.
pub fn ask_once(http: &Http, mut each: impl FnMut(Update)) -> Result<(), Trouble> {
    ask(http, true, true, &mut |update| {
        each(update);
        true
    })
    .map(|_| ())
}

/// Starts both threads. They end when nobody listens any more.
///
/// # Errors
///
/// There is no room for another thread.
pub fn start(http: &Arc<Http>, updates: &Updates) -> std::io::Result<()> {
    let (ring, rings) = sync_channel(1);
    let bell = Arc::new(Bell { ring, relist: AtomicBool::new(true), rates: AtomicBool::new(true) });
    let (for_follower, their_http, their_updates) = (Arc::clone(&bell), Arc::clone(http), updates.clone());
    spawn("netwatch-follow", updates, move || follow(&their_http, &for_follower, &their_updates))?;
    let (their_http, their_updates) = (Arc::clone(http), updates.clone());
    spawn("netwatch-ask", updates, move || keep_asking(&their_http, &bell, &rings, &their_updates))
}

/// A thread whose failure ends the dashboard, rather than leave one that stands still.
fn spawn(name: &'static str, updates: &Updates, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let updates = updates.clone();
    let run = move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            let _ = updates
                .send(Update::Failed(format!("the thread {name} failed, which is a mistake in netwatch")));
        }
    };
    thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

fn follow(http: &Http, bell: &Bell, updates: &Updates) {
    let mut parser = Parser::default();
    let mut backoff = BACKOFF.0;
    loop {
        let why = match http.stream(STREAM, parser.id()) {
            Ok(mut stream) => {
                // What an earlier connection left unfinished does not go on in this one.
                parser = Parser::after(parser.id().to_owned());
                bell.relist.store(true, Ordering::Relaxed);
                bell.rates.store(true, Ordering::Relaxed);
                bell.ring();
                if !updates.send(Update::Live) {
                    return;
                }
                let (mut part, mut too_long) = ([0; 8 << 10], 0);
                loop {
                    match stream.read(&mut part) {
                        Ok(0) => break "the stream ended".to_owned(),
                        Err(error) => break super::words::harmless(&error.to_string()),
                        Ok(count) => {
                            backoff = BACKOFF.0;
                            let mut is_heard = true;
                            parser.feed(part.get(..count).unwrap_or_default(), |event| {
                                is_heard &= tell(&event, bell, updates);
                            });
                            if !is_heard {
                                return;
                            }
                            // What was passed over may have been an incident.
                            if parser.too_long() > too_long {
                                too_long = parser.too_long();
                                bell.relist.store(true, Ordering::Relaxed);
                                bell.ring();
                            }
                        }
                    }
                }
            }
            Err(trouble) => trouble.to_string(),
        };
        if !updates.send(Update::Lost(why)) {
            return;
        }
        thread::sleep(backoff);
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

/// Passes an event on; whether anybody listens still.
fn tell(event: &Event, bell: &Bell, updates: &Updates) -> bool {
    let read = || serde_json::from_str::<Value>(&event.data).unwrap_or_default();
    let update = match &*event.kind {
        "rates" => Point::read(&read()).map(Update::Point),
        "stats" => {
            bell.ring();
            Some(Update::Stats(Stats::read(&read())))
        }
        "alert" => {
            bell.ring();
            read().get("incident").and_then(Incident::read).map(|incident| Update::Alert(Box::new(incident)))
        }
        "gap" => {
            bell.relist.store(true, Ordering::Relaxed);
            bell.ring();
            None
        }
        _ => None,
    };
    update.is_none_or(|update| updates.send(update))
}

fn keep_asking(http: &Http, bell: &Bell, rings: &Receiver<()>, updates: &Updates) {
    let mut listed: Option<Instant> = None;
    loop {
        let rates = bell.rates.swap(false, Ordering::Relaxed);
        let is_due = listed.is_none_or(|listed| listed.elapsed() >= RELIST);
        let relist = bell.relist.swap(false, Ordering::Relaxed) || is_due;
        let pause = match ask(http, relist, rates, &mut |update| updates.send(update)) {
            Ok(false) => return,
            Ok(true) => {
                listed = if relist { Some(Instant::now()) } else { listed };
                PAUSE
            }
            Err(trouble) => {
                if !updates.send(Update::Unanswered(trouble.to_string())) {
                    return;
                }
                bell.relist.fetch_or(relist, Ordering::Relaxed);
                bell.rates.fetch_or(rates, Ordering::Relaxed);
                PAUSE_FAILED
            }
        };
        thread::sleep(pause);
        if rings.recv_timeout(ROUND) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// One round of questions, one after the other; whether anybody listens still.
fn ask(
    http: &Http,
    relist: bool,
    rates: bool,
    tell: &mut dyn FnMut(Update) -> bool,
) -> Result<bool, Trouble> {
    let mut is_heard = tell(Update::Status(Box::new(Status::read(&http.get(STATUS)?))));
    if relist {
        is_heard &= tell(Update::Listing);
        let (mut incidents, has_more) = Incident::read_all(&http.get(INCIDENTS)?);
        if has_more {
            let (severe, _) = Incident::read_all(&http.get(SEVERE)?);
            for incident in severe {
                if incidents.iter().all(|known| known.id != incident.id) {
                    incidents.push(incident);
                }
            }
        }
        is_heard &= tell(Update::Incidents(incidents));
    }
    if rates {
        // One that is older has none; charts then begin now.
        match http.get(RATES) {
            Ok(series) => is_heard &= tell(Update::Series(Point::read_series(&series))),
            Err(Trouble::Refused(_)) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    is_heard &= tell(Update::Sources(Source::read_all(&http.get(SOURCES)?)));
    Ok(is_heard & tell(Update::Ports(Port::read_all(&http.get(PORTS)?))))
}
