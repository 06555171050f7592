//! The terminal: taken for the dashboard, and given back as it was, whatever happens.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, terminal};

use super::draw;
use super::look::Look;
use super::model::Model;

/// Room for a whole screen, so that it reaches the terminal in one piece.
const BUFFER: usize = 64 << 10;

/// Whether the terminal is ours at the moment.
static IS_OURS: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, as long as this lives.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// It is none, or is gone.
    pub fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // First, so that what the panic says can be read.
                give_back();
                before(info);
            }));
        });
        take()?;
        fresh().map(|terminal| Self { terminal }).inspect_err(|_| give_back())
    }

    /// Draws what has changed.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn draw(&mut self, model: &mut Model, look: Look) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            model.size = (area.width, area.height);
            draw::draw(model, look, frame.buffer_mut());
        })?;
        Ok(())
    }

    /// Lets the next drawing be of everything.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn repaint(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is, and wait for the answer.
        execute!(io::stdout(), Clear(ClearType::All))?;
        self.terminal = fresh()?;
        Ok(())
    }

    /// Gives the terminal back, stops as Ctrl-Z does, and takes it again when continued.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        let stop = SigSet::from(Signal::SIGTSTP);
        // The signal is for whoever waits for it, unless it is let through here. Where nobody could continue us, because no
        // shell is there, the kernel ignores it.
        let _ = stop.thread_unblock();
        let _ = raise(Signal::SIGTSTP);
        let _ = stop.thread_block();
        self.resume()
    }

    /// Takes the terminal again after somebody else had it.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn resume(&mut self) -> io::Result<()> {
        give_back();
        take()?;
        self.repaint()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// One that knows of nothing on the screen yet.
fn fresh() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout())))
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    IS_OURS.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, Hide).inspect_err(|_| give_back())
}

/// Gives the terminal back as it was, if it is ours. What cannot be written, because the terminal is gone, does not matter.
pub fn give_back() {
    if IS_OURS.swap(false, Ordering::SeqCst) {
        let mut stdout = io::stdout();
        let _ = execute!(stdout, LeaveAlternateScreen, Show);
        let _ = stdout.flush();
        let _ = disable_raw_mode();
    }
}

/// Gives back only what needs no writing: whoever writes may have to wait for ever.
pub fn give_back_modes() {
    let _ = disable_raw_mode();
}

/// Columns and rows.
#[must_use]
pub fn size() -> (u16, u16) {
    terminal::size().unwrap_or((80, 24))
}
