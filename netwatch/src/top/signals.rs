//! The signals that end the dashboard or hold it: one thread waits for them from the very start, so that they are heard before
//! there is a screen, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal, raise};

use super::{Event, child, terminal};

/// All of them: those that end, and those that hold and let go on.
const SIGNALS: [Signal; 5] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGTSTP, Signal::SIGCONT];
/// How often whoever waits for something else looks whether it is to end.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// What was heard so far.
#[derive(Debug, Default)]
pub struct Signals {
    /// The number of the signal that ends us; 0 where none came.
    stop: AtomicI32,
    /// Whether events are taken in, and the terminal is to be given back.
    has_screen: AtomicBool,
}

impl Signals {
    /// Starts the thread. Called before any other is there, so that all of them leave the signals to it.
    ///
    /// # Errors
    ///
    /// There is no room for a thread.
    pub fn listen(events: SyncSender<Event>) -> anyhow::Result<Arc<Self>> {
        let signals = SigSet::from_iter(SIGNALS);
        signals.thread_block().context("block signals")?;
        let heard = Arc::new(Self::default());
        let for_thread = Arc::clone(&heard);
        thread::Builder::new()
            .name("netwatch-signals".into())
            .spawn(move || for_thread.wait(&signals, &events))
            .context("start a thread")?;
        Ok(heard)
    }

    /// Whether one has come that ends us.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// From now on there is a screen.
    pub fn take_screen(&self) {
        self.has_screen.store(true, Ordering::Relaxed);
    }

    /// Does what may take long, as long as nothing ends us; nothing where something has.
    ///
    /// # Errors
    ///
    /// There is no room for a thread, or the work has failed.
    pub fn unless_over<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<Option<T>> {
        let (sender, result) = sync_channel(1);
        thread::Builder::new()
            .name("netwatch-first".into())
            .spawn(move || drop(sender.send(work())))
            .context("start a thread")?;
        while !self.is_over() {
            match result.recv_timeout(LOOK) {
                Ok(result) => return Ok(Some(result)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("a thread failed, which is a mistake in netwatch")
                }
            }
        }
        Ok(None)
    }

    /// Ends as the signal would have ended us that came before there was a screen; returns where none did.
    pub fn end(&self) {
        let signal = Signal::try_from(self.stop.load(Ordering::Relaxed));
        if let (Ok(signal), false) = (signal, self.has_screen.load(Ordering::Relaxed)) {
            let_through(signal);
        }
    }

    /// Waits for signals. The second one that ends us does so at once, in case the terminal or the watch takes its time.
    fn wait(&self, signals: &SigSet, events: &SyncSender<Event>) {
        // What finds no room may be left out: `stop` says it too.
        while let Ok(signal) = signals.wait() {
            let has_screen = self.has_screen.load(Ordering::Relaxed);
            match signal {
                Signal::SIGTSTP | Signal::SIGCONT if has_screen => {
                    let is_hold = signal == Signal::SIGTSTP;
                    let _ = events.try_send(if is_hold { Event::Suspend } else { Event::Continue });
                }
                Signal::SIGTSTP => {
                    let_through(signal);
                    let _ = SigSet::from(signal).thread_block();
                }
                Signal::SIGCONT => {}
                _ if self.stop.swap(signal as i32, Ordering::Relaxed) != 0 => {
                    terminal::give_back_modes();
                    child::forget_token();
                    let_through(signal);
                    return;
                }
                _ => {
                    let _ = events.try_send(Event::Stop);
                }
            }
        }
    }
}

/// Lets a signal do what it does to whoever does not wait for it.
fn let_through(signal: Signal) {
    let _ = SigSet::from(signal).thread_unblock();
    let _ = raise(signal);
}
