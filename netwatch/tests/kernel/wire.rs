//! What tests put on the wire, and the addresses that they use.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Output, Stdio};

use xtask::lab::Lab;

use crate::process::PATIENCE;
use crate::skip;

/// The watched side.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The watched side over IPv6.
pub const TARGET6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
/// The other side, whose kernel answers.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// An address that nobody owns, so that answers to it end in silence.
pub fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

/// Sends frames from outside and waits until they have been counted.
#[track_caller]
pub fn send(lab: &Lab, frames: &[Vec<u8>]) {
    send_at(lab, frames, 50_000);
}

/// Sends frames from outside, so many a second, and waits until they have been counted.
#[track_caller]
pub fn send_at(lab: &Lab, frames: &[Vec<u8>], a_second: u32) {
    let before = lab.watched().counters().unwrap().rx_packets;
    let sent = lab.outside().sender().unwrap().send_all(frames, Some(a_second)).unwrap();
    assert_eq!(sent.accepted, frames.len() as u64);
    lab.watched().received(before + sent.accepted, PATIENCE).unwrap();
}

/// Runs a tool outside, to its end. Nothing, and a word about it, where it is not installed.
#[track_caller]
pub fn outside_runs(lab: &Lab, line: &str) -> Option<Output> {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    match lab.outside().command(program).args(words).stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skip(&format!("{program} is not installed (`apt install {program}`)"));
            None
        }
        output => Some(output.unwrap()),
    }
}

/// Runs nmap outside, without looking names up; it must end well.
#[track_caller]
pub fn nmap(lab: &Lab, options: &str) -> Option<()> {
    let output = outside_runs(lab, &format!("nmap -n {options}"))?;
    assert!(output.status.success(), "nmap {options}: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}
