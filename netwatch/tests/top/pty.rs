//! A pseudo-terminal with a command in it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::{Pid, setsid};

/// How long anything may take before a test fails. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// netwatch, as it is run here: what surrounds the test does not matter.
pub fn netwatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwatch"));
    command.args(arguments).env_clear().env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    command
}

pub struct Pty {
    master: File,
    /// Kept open, so that what it was left as can be read when the command is gone.
    slave: OwnedFd,
    before: Termios,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl Pty {
    /// Runs the dashboard in a terminal of 80x24, and waits until it shows something.
    pub fn top(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = ["top"].iter().chain(arguments).copied().collect();
        let pty = Self::run(&mut netwatch(&arguments), 80, 24);
        pty.wait("it takes the terminal", |screen| {
            screen.alternate_screen() && screen.contents().contains("open incidents")
        });
        pty
    }

    pub fn run(command: &mut Command, columns: u16, rows: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).unwrap();
        let slave = || ends.slave.try_clone().unwrap();
        command.stdin(slave()).stdout(slave()).stderr(slave());
        // SAFETY: between fork and exec only system calls are made, which is allowed there.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP] {
                    signal(number, SigHandler::SigDfl)?;
                }
                nix::errno::Errno::result(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
                Ok(())
            });
        }
        let before = tcgetattr(&ends.slave).unwrap();
        let child = command.spawn().unwrap();
        let master = File::from(ends.master);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (mut from, to) = (master.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut part) {
                to.lock().unwrap().process(&part[..count]);
            }
        });
        Self { master, slave: ends.slave, before, screen, child }
    }

    pub fn type_keys(&self, keys: &str) {
        (&self.master).write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(rows, columns);
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the call only reads the size. The kernel tells whoever is in the foreground.
        let failed = unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(failed, 0);
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        text(self.screen.lock().unwrap().screen())
    }

    #[track_caller]
    pub fn wait(&self, what: &str, is_right: impl Fn(&vt100::Screen) -> bool) {
        let start = Instant::now();
        while !is_right(self.screen.lock().unwrap().screen()) {
            assert!(start.elapsed() < PATIENCE, "{what}:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    #[track_caller]
    pub fn wait_until_gone(&self, text: &str) {
        self.wait(text, |screen| !screen.contents().contains(text));
    }

    /// Waits until the screen is what was committed; `sign` is on it when it is complete.
    #[track_caller]
    pub fn check(&self, name: &str, sign: &str) {
        self.wait_for(sign);
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/top/screens").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            thread::sleep(Duration::from_secs(2));
            std::fs::write(&file, self.text()).unwrap();
        }
        let expect = std::fs::read_to_string(&file).unwrap_or_default();
        self.wait(&format!("{name} is to be\n{expect}\nand is"), |screen| text(screen) == expect);
    }

    /// Waits for the end of the command, and sees that it has left the terminal as it was: the exit status, and the screen.
    #[track_caller]
    pub fn ended(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        };
        self.check_restored();
        (status, self.text())
    }

    #[track_caller]
    pub fn check_restored(&self) {
        self.wait("the terminal is given back", |screen| !screen.alternate_screen() && !screen.hide_cursor());
        let start = Instant::now();
        while tcgetattr(&self.slave).unwrap() != self.before {
            assert!(start.elapsed() < PATIENCE, "the terminal's modes are others");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(screen: &vt100::Screen) -> String {
    let (_, columns) = screen.size();
    screen.rows(0, columns).map(|row| format!("{}\n", row.trim_end())).collect()
}
