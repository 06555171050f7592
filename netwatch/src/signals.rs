//! What others ask of a running netwatch by signals.

use std::io;

use nix::sys::signal as posix;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop, and why.
    Stop(&'static str),
    /// To read the configuration file again.
    Reload,
}

/// The signals that netwatch listens to.
pub struct Signals {
    stops: Vec<(Signal, &'static str)>,
    hangup: Option<Signal>,
    /// Whether there was a terminal at the start.
    terminal: bool,
}

impl Signals {
    /// Listens from now on. What whoever started netwatch wants ignored stays ignored.
    ///
    /// # Errors
    ///
    /// The runtime cannot wait for signals.
    pub fn listen() -> io::Result<Self> {
        let mut stops = Vec::new();
        for (kind, number, why) in [
            (SignalKind::interrupt(), posix::Signal::SIGINT, "interrupted"),
            (SignalKind::terminate(), posix::Signal::SIGTERM, "asked to terminate"),
        ] {
            if !is_ignored(number) {
                stops.push((signal(kind)?, why));
            }
        }
        let hangup = match is_ignored(posix::Signal::SIGHUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self { stops, hangup, terminal: has_terminal() })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            why = any_of(&mut self.stops) => Asked::Stop(why),
            // The same signal says that the terminal is gone, where there was one.
            () = hung_up(self.hangup.as_mut()) => match self.terminal && !has_terminal() {
                true => Asked::Stop("the terminal hung up"),
                false => Asked::Reload,
            },
        }
    }
}

/// Whether whoever started netwatch wants it to ignore a signal, as `nohup` does.
fn is_ignored(number: posix::Signal) -> bool {
    // SAFETY: all zeros are a valid `sigaction`, and the call only writes to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number as libc::c_int, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Waits for any of several signals and returns what it stands for.
async fn any_of(stops: &mut [(Signal, &'static str)]) -> &'static str {
    if stops.is_empty() {
        return std::future::pending().await;
    }
    let waiting = stops.iter_mut().map(|(signal, why)| {
        Box::pin(async move {
            signal.recv().await;
            *why
        })
    });
    futures_util::future::select_all(waiting).await.0
}

/// Waits for a hangup; for ever where it is ignored.
async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether there is a terminal that could hang up.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}
