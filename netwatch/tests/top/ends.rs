//! However it ends, the terminal is as it was.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::pty::{Pty, netwatch};

#[test]
fn keys_and_signals_end_it_and_give_the_terminal_back() {
    let daemon = Daemon::start();
    for keys in ["q", "\x03"] {
        let pty = Pty::top(&["--url", &daemon.url()]);
        pty.type_keys(keys);
        let (status, _) = pty.ended();
        assert_eq!(status.code(), Some(0), "{keys:?}");
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let pty = Pty::top(&["--url", &daemon.url()]);
        pty.signal(signal);
        let (status, _) = pty.ended();
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[test]
fn signals_end_it_before_there_is_a_screen() {
    // One that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for options in [&["top", "--url", &url][..], &["top", "--once", "--url", &url]] {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let pty = Pty::run(&mut netwatch(options), 80, 24);
            let (connection, _) = silent.accept().unwrap();
            pty.signal(signal);
            let (status, screen) = pty.ended();
            assert_eq!(status.signal(), Some(signal as i32), "{options:?} {screen}");
            drop(connection);
        }
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_mistake_of_ours_gives_the_terminal_back_and_can_be_read() {
    let daemon = Daemon::start();
    let pty = Pty::run(netwatch(&["top", "--url", &daemon.url()]).env("NETWATCH_TOP_PANIC", "1"), 80, 24);
    pty.wait_for("2001:db8::/64");
    pty.type_keys("\x1b[24~");
    let (status, screen) = pty.ended();
    assert_eq!(status.code(), Some(101), "{screen}");
    assert!(screen.contains("asked to by NETWATCH_TOP_PANIC"), "{screen}");
}

#[test]
fn it_stops_like_any_job_and_goes_on() {
    let daemon = Daemon::start();
    let url = daemon.url();
    // A shell with job control: without one, nobody could continue what has stopped.
    let mut shell = std::process::Command::new("sh");
    let script = format!(
        "{} top --url {url}; echo it has stopped; read answer; fg; echo it ended with $?; read answer",
        env!("CARGO_BIN_EXE_netwatch")
    );
    shell
        .args(["-m", "-c", &script])
        .env_clear()
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
        .env("PATH", "/usr/bin:/bin");
    let pty = Pty::run(&mut shell, 80, 24);
    pty.wait_for("2001:db8::/64");
    pty.type_keys("\x1a");
    pty.wait_for("it has stopped");
    pty.check_restored();
    pty.type_keys("\n");
    pty.wait_for("2001:db8::/64");
    pty.wait("it has the terminal again", vt100::Screen::alternate_screen);
    pty.type_keys("q");
    pty.wait_for("it ended with 0");
    pty.check_restored();
    pty.type_keys("\n");
    assert!(pty.ended().0.success());
}
