//! What all requests share, and what is taken in from the loop.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::answer::Refusal;
use super::counts::Counts;
use super::hub::Hub;
use super::limits::{CACHED, CACHED_BYTES, Patience};
use super::rates::Rates;
use super::session::{Guesses, Sessions};
use super::shapes::Stats;
use super::token::Token;
use super::{Error, Sources, metrics, tls};
use crate::config::WebSettings;
use crate::report::{History, Listed, Meter, Packets, Snapshot, Told};

/// Slots without a snapshot after which netwatch is not ready.
const SLOTS: u32 = 3;
/// Slots can be shorter than a busy machine takes to notice.
const PATIENCE_MIN: Duration = Duration::from_secs(1);

/// What all requests share. One thread serves them, so nobody waits for a lock.
pub(super) struct Shared {
    pub history: Arc<dyn History>,
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    pub meter: Box<dyn Meter>,
    pub packets: Box<dyn Packets>,
    pub listed: Box<dyn Listed>,
    pub rates: Rates,
    pub hub: Hub,
    pub counts: Arc<Counts>,
    pub registry: Registry,
    pub cache: Cache,
    pub lanes: Lanes,
    pub patience: Patience,
    pub stop: CancellationToken,
    /// Names by which requests may call this machine.
    pub hosts: Vec<String>,
    /// Browsers that are logged in.
    pub sessions: Sessions,
    /// Changes when somebody who was admitted may not be any more.
    admitted: watch::Sender<()>,
    /// Who tries tokens.
    pub guesses: Guesses,
    files: Files,
    token: RwLock<Option<Token>>,
    tls: RwLock<Option<Arc<ServerConfig>>>,
    /// When the last snapshot came.
    seen: Mutex<Option<Instant>>,
}

/// What is read again on SIGHUP.
struct Files {
    token: Option<PathBuf>,
    /// Certificate and key.
    tls: Option<(PathBuf, PathBuf)>,
}

impl Shared {
    pub fn new(settings: &WebSettings, sources: Sources, patience: Patience) -> Result<Self, Error> {
        let files = Files {
            token: settings.token_file.clone(),
            tls: settings.tls_cert.clone().zip(settings.tls_key.clone()),
        };
        let counts = Arc::<Counts>::default();
        let Sources { history, snapshots, meter, packets, listed } = sources;
        let shared = Self {
            history,
            meter,
            packets,
            listed,
            rates: Rates::default(),
            hub: Hub::new(),
            registry: metrics::registry(snapshots.clone(), Arc::clone(&counts)),
            snapshots,
            counts,
            cache: Cache::default(),
            lanes: Lanes::default(),
            patience,
            stop: CancellationToken::new(),
            hosts: settings.hosts.clone(),
            sessions: Sessions::default(),
            admitted: watch::Sender::new(()),
            guesses: Guesses::default(),
            token: RwLock::new(files.token.as_deref().map(Token::read).transpose()?),
            tls: RwLock::new(files.tls.as_ref().map(|(cert, key)| tls::read(cert, key)).transpose()?),
            files,
            seen: Mutex::default(),
        };
        Ok(shared)
    }

    /// Reads the files again. What is not right is told, and what was there stays.
    pub fn reload(&self) {
        let Files { token, tls } = &self.files;
        let note = |error: Error| tracing::warn!("{error}; what was there before stays in use");
        match token.as_deref().map(Token::read).transpose() {
            Ok(token) => {
                let mut known = self.token.write().unwrap_or_else(PoisonError::into_inner);
                // Who has shown the one before has shown nothing.
                if *known != token {
                    self.sessions.clear();
                    self.ask_again();
                }
                *known = token;
            }
            Err(error) => note(error),
        }
        match tls.as_ref().map(|(cert, key)| tls::read(cert, key)).transpose() {
            Ok(config) => *self.tls.write().unwrap_or_else(PoisonError::into_inner) = config,
            Err(error) => note(error),
        }
    }

    /// Ends the streams: who may still listen comes back.
    pub fn ask_again(&self) {
        self.admitted.send_replace(());
    }

    /// Is changed when streams are to end.
    pub fn wait_to_ask_again(&self) -> watch::Receiver<()> {
        self.admitted.subscribe()
    }

    /// What TLS is spoken with, if it is.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the request with these headers may see what is not for everybody: it bears the token, or the cookie of
    /// somebody who has shown it.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        // What a proxy on the way is to know stands in the same header, and takes nothing from the cookie.
        let is_in = |token: &Token| {
            headers.get(header::AUTHORIZATION).is_some_and(|line| token.is_in(line))
                || self.sessions.admits(headers, Instant::now())
        };
        token.as_ref().is_none_or(is_in)
    }

    /// Whether one is needed.
    pub fn has_token(&self) -> bool {
        self.token.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether this is the token.
    pub fn is_token(&self, text: &str) -> bool {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().is_none_or(|token| token.is(text.as_bytes()))
    }

    /// Whether this machine goes by this name. An address is no name that somebody else could make lead here, so the one
    /// that the connection came to is right too.
    pub fn is_host(&self, name: &str, local: IpAddr) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        let is_own = |address: IpAddr| {
            let address = address.to_canonical();
            address.is_loopback() || address == local.to_canonical()
        };
        bare == "localhost" || bare.parse().is_ok_and(is_own) || self.is_named(bare)
    }

    /// Whether the configuration says that this machine goes by this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    }

    /// Why netwatch is not ready; none where it is.
    pub fn trouble(&self) -> Option<String> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen else { return Some("nothing was counted yet".into()) };
        let slot = Duration::from_nanos(self.snapshots.borrow().slot_ns);
        let (age, most) = (seen.elapsed(), (slot * SLOTS).max(PATIENCE_MIN));
        (age > most).then(|| {
            format!("the last counts are {} s old, though they are read every {slot:?}", age.as_secs())
        })
    }

    /// Takes in what the loop tells, until the server stops.
    pub async fn take_in(&self, mut told: mpsc::Receiver<Arc<Told>>, reload: Arc<tokio::sync::Notify>) {
        let mut snapshots = self.snapshots.clone();
        let mut go_on = true;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                one = told.recv() => match one {
                    Some(one) => {
                        let run = self.snapshots.borrow().run.id.clone();
                        self.hub.push(&run, &one, &self.counts);
                    }
                    None => return,
                },
                changed = snapshots.changed(), if go_on => {
                    go_on = changed.is_ok();
                    if go_on {
                        self.note(&snapshots.borrow_and_update());
                    }
                }
                () = reload.notified() => self.reload(),
            }
        }
    }

    fn note(&self, snapshot: &Snapshot) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if let Ok(json) = serde_json::to_string(&Stats::from(snapshot)) {
            self.hub.set_state(&json);
        }
    }
}

/// Where the server listens, for people.
pub(super) fn url(address: SocketAddr, is_tls: bool) -> String {
    format!("{}://{address}/", if is_tls { "https" } else { "http" })
}

/// Answers that are given again to whoever asks the same soon and before anything was told.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, Cached>>, AtomicU64);

/// Where those wait who want a page that is being made. Pages of different lanes are made beside each other.
#[derive(Default)]
pub(super) struct Lanes {
    /// The overview.
    pub overview: Lane,
    /// Lists that an index answers.
    pub lists: Lane,
    /// Lists for which texts are looked through.
    pub texts: Lane,
    /// Held by the one question about texts that the history answers, until it has: even where nobody waits any more.
    pub history: Arc<Lane>,
}

/// One page at a time.
pub(super) type Lane = tokio::sync::Mutex<()>;

impl Shared {
    /// A page as it was made a moment ago, or as `make` does. However many want it, it is made once.
    pub async fn once(
        &self,
        lane: &Lane,
        question: &str,
        make: impl AsyncFnOnce() -> Result<String, Refusal>,
    ) -> Result<Bytes, Refusal> {
        let (step, age) = (self.hub.latest(), self.patience.cached);
        if let Some(cached) = self.cache.get(question, step, age) {
            return Ok(cached.body);
        }
        let _lane = lane.lock().await;
        // Who waited takes what was begun since then, however much was told meanwhile.
        if let Some(cached) = self.cache.get(question, step, age) {
            return Ok(cached.body);
        }
        let (step, clears) = (self.hub.latest(), self.cache.clears());
        let body = Bytes::from(make().await?);
        // What was changed meanwhile may be missing in it.
        if self.cache.clears() == clears {
            self.cache.put(question, step, body.clone(), None);
        }
        Ok(body)
    }
}

/// An answer in JSON.
#[derive(Clone)]
pub(super) struct Cached {
    pub body: Bytes,
    /// Where the next part is.
    pub link: Option<String>,
    /// When it was found, and the number of the last step by then.
    at: Instant,
    step: u64,
}

impl Cache {
    pub fn get(&self, question: &str, step: u64, age: Duration) -> Option<Cached> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(question).filter(|cached| cached.step >= step && cached.at.elapsed() < age).cloned()
    }

    /// How often they were forgotten.
    fn clears(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    /// Forgets them: something was changed that no step tells of.
    pub fn clear(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn put(&self, question: &str, step: u64, body: Bytes, link: Option<String>) -> Cached {
        let cached = Cached { body, link, at: Instant::now(), step };
        if cached.body.len() <= CACHED_BYTES {
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // They live for a moment only, so it does not matter which goes.
            if answers.len() >= CACHED {
                answers.clear();
            }
            answers.insert(question.to_owned(), cached.clone());
        }
        cached
    }
}
