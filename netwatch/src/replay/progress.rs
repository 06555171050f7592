//! How far a replay has come, on stderr where that is a terminal.

use std::io::{self, IsTerminal as _};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::sinks::words::Count;

/// How often the line is drawn, per second, at most.
const HERTZ: u8 = 10;

/// Where it is known how much there is.
const BAR: &str = "{bar:30} {percent:>3}%  {msg}, {decimal_bytes} of {decimal_total_bytes}, {eta} left";

/// Where it is not.
const SPINNER: &str = "{spinner} {msg}, {decimal_bytes} in {elapsed}";

/// A line that shows how far a replay has come. It goes when the last clone of it does.
#[derive(Clone, Debug)]
pub struct Progress {
    shown: Option<Shown>,
}

#[derive(Clone, Debug)]
struct Shown {
    bar: ProgressBar,
    start: Instant,
}

impl Progress {
    /// A line for so many bytes, or for as many as there will be. Where it is not enabled, or stderr is no terminal,
    /// nothing is ever printed.
    #[must_use]
    pub fn new(total_bytes: Option<u64>, enabled: bool) -> Self {
        if !enabled || !io::stderr().is_terminal() {
            return Self { shown: None };
        }
        Self::on(ProgressDrawTarget::stderr_with_hz(HERTZ), total_bytes)
    }

    /// Tells how many bytes have been read and packets replayed, both since the beginning.
    pub fn at(&self, bytes: u64, packets: u64) {
        let Some(Shown { bar, start }) = &self.shown else { return };
        let elapsed = start.elapsed().as_millis().max(1);
        let rate = u128::from(packets) * 1_000 / elapsed;
        bar.set_message(format!("{}, {rate} a second", Count(packets, "packet")));
        bar.set_position(bytes);
    }

    /// Does what writes to the terminal, with the line out of the way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Some(Shown { bar, .. }) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away for good.
    pub fn finish(&self) {
        if let Some(Shown { bar, .. }) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn on(target: ProgressDrawTarget, total_bytes: Option<u64>) -> Self {
        let template = if total_bytes.is_some() { BAR } else { SPINNER };
        // The templates are right, as a test says; another line is better than none, and than a panic.
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::with_draw_target(total_bytes, target)
            .with_style(style.progress_chars("=> "))
            .with_message("0 packets")
            .with_finish(ProgressFinish::AndClear);
        Self { shown: Some(Shown { bar, start: Instant::now() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::sync::{Arc, Mutex};

    /// A terminal of one line that remembers all that was on it.
    #[derive(Clone, Debug, Default)]
    struct Terminal(Arc<Mutex<Screen>>);

    #[derive(Debug, Default)]
    struct Screen {
        line: String,
        /// What the line was after each drawing.
        lines: Vec<String>,
    }

    impl Terminal {
        fn with<T>(&self, act: impl FnOnce(&mut Screen) -> T) -> T {
            act(&mut self.0.lock().unwrap())
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.with(|screen| screen.line.push_str(text));
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.with(|screen| screen.line.clear());
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            self.with(|screen| screen.lines.push(screen.line.trim_end().to_owned()));
            Ok(())
        }
    }

    fn progress(total_bytes: Option<u64>) -> (Progress, Terminal) {
        let terminal = Terminal::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), HERTZ);
        (Progress::on(target, total_bytes), terminal)
    }

    #[test]
    fn the_templates_are_right() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_known_total_makes_a_bar() {
        let (progress, terminal) = progress(Some(4_000));
        progress.at(1_000, 10);
        progress
            .suspend(|| terminal.with(|screen| assert_eq!(screen.line, "", "the line is out of the way")));
        let line = terminal.with(|screen| screen.line.clone());
        for part in ["=> ", " 25%", "10 packets, ", " a second, 1.00 kB of 4.00 kB, ", " left"] {
            assert!(line.contains(part), "{part:?} in {line:?}");
        }
        progress.finish();
        assert_eq!(terminal.with(|screen| screen.line.clone()), "");
    }

    #[test]
    fn without_a_total_it_spins() {
        let (progress, terminal) = progress(None);
        progress.at(2_500, 1);
        progress.suspend(|| ());
        let line = terminal.with(|screen| screen.line.clone());
        assert!(
            line.contains("1 packet, ") && line.contains(", 2.50 kB in ") && !line.contains('%'),
            "{line:?}"
        );
        drop(progress);
        assert_eq!(terminal.with(|screen| screen.line.clone()), "");
    }

    #[test]
    fn it_is_not_drawn_more_often_than_can_be_seen() {
        let (progress, terminal) = progress(Some(1_000_000));
        let start = Instant::now();
        (0..20_000).for_each(|number| progress.at(number, number));
        let drawn = terminal.with(|screen| screen.lines.len());
        // A few at once are let through at first.
        let most = 25 + start.elapsed().as_millis() / u128::from(1_000 / u32::from(HERTZ));
        assert!(u128::try_from(drawn).unwrap() <= most, "{drawn} times, {most} at most");
    }

    #[test]
    fn where_it_is_not_wanted_nothing_is_there() {
        let progress = Progress::new(Some(10), false);
        assert!(progress.shown.is_none());
        progress.at(5, 5);
        assert_eq!(progress.suspend(|| 7), 7);
        progress.finish();
    }
}
