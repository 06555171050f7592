//! One screen as text, and what is said where there is none.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::daemon::Daemon;
use crate::pty::netwatch;

/// The exit code, stdout and stderr.
fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn one_screen_is_printed_as_text() {
    let daemon = Daemon::start();
    let (code, stdout, stderr) = output(&mut netwatch(&["top", "--once", "--url", &daemon.url()]));
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert_eq!(
        stdout,
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/top/screens/board-80x24.txt"))
            .unwrap()
    );
    let (code, stdout, _) =
        output(&mut netwatch(&["top", "--once", "--size", "120x40", "--ascii", "--url", &daemon.url()]));
    assert_eq!((code, stdout.lines().count()), (Some(0), 40));
    assert!(stdout.is_ascii() && stdout.contains("packets sources"), "{stdout}");
}

#[test]
fn without_a_terminal_or_a_daemon_it_says_what_to_do() {
    let daemon = Daemon::start();
    let (code, _, stderr) = output(&mut netwatch(&["top", "--url", &daemon.url()]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--once"), "{stderr}");
    // Nobody listens there any more.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, stderr) = output(&mut netwatch(&["top", "--once", "--url", &format!("http://{free}")]));
    assert_eq!((code, stderr.lines().count()), (Some(14), 1), "{stderr}");
    assert!(stderr.contains("whether `netwatch run` serves there"), "{stderr}");
}

#[test]
fn a_token_comes_from_a_file_or_a_variable_and_is_never_shown() {
    let daemon = Daemon::start();
    daemon.want_token("0123456789abcdef");
    let url = daemon.url();
    let top = || netwatch(&["top", "--once", "--url", &url]);
    let (code, _, stderr) = output(&mut top());
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("--token-file") && stderr.contains("NETWATCH_TOKEN"), "{stderr}");
    let (code, _, stderr) = output(top().env("NETWATCH_TOKEN", "another-token-of-mine"));
    assert!(code == Some(14) && stderr.contains("another token") && !stderr.contains("of-mine"), "{stderr}");
    let (code, ..) = output(top().env("NETWATCH_TOKEN", "0123456789abcdef"));
    assert_eq!(code, Some(0));
    let file = std::env::temp_dir().join(format!("netwatch-top-token-{}", std::process::id()));
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, _, stderr) = output(top().arg("--token-file").arg(&file));
    assert_eq!(code, Some(0), "{stderr}");
    std::fs::write(&file, "two\nlines\n").unwrap();
    let (code, ..) = output(top().arg("--token-file").arg(&file));
    assert_eq!(code, Some(2));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_watch_whose_dashboard_has_gone_does_not_begin() {
    // The number of no process, and no number.
    for parent in ["0", "x"] {
        let mut run = netwatch(&["run", "-i", "nosuchinterface"]);
        let (code, _, stderr) = output(run.env("NETWATCH_PARENT", parent));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("names a dashboard that has ended"), "{stderr}");
    }
}

#[test]
fn our_own_watch_that_cannot_start_says_why() {
    let (code, _, stderr) = output(&mut netwatch(&["top", "--once", "-i", "nosuchinterface"]));
    // Without root it is told that first.
    assert!(matches!(code, Some(3 | 4 | 9)), "{code:?} {stderr}");
    assert!(stderr.contains("the watch ended: "), "{stderr}");
}
