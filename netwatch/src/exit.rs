//! Errors and the exit codes that `netwatch --help` lists.

use std::process::ExitCode;

use crate::capture::OpenError;
use crate::filter;
use crate::kernel::Error;
use crate::store::{self, ArchiveError};
use crate::{top, web};

/// The exit code of a command that could use only part of a capture, or none.
pub const DAMAGED: u8 = 10;

/// The exit code of a filter where libpcap, which knows the language, is not installed.
pub const NO_LIBPCAP: u8 = 11;

/// The exit code where there is no history, or it cannot be read.
pub const NO_HISTORY: u8 = 13;

/// The exit code where the address to listen on is taken or not available.
pub const NO_ADDRESS: u8 = 12;

/// The exit code where no netwatch answers, or wants a token.
pub const NO_ANSWER: u8 = 14;

/// A bad option or value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of an error.
#[must_use]
pub fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(number(error))
}

fn number(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<Usage>().is_some() {
        return 2;
    }
    if error.downcast_ref::<OpenError>().is_some() {
        return DAMAGED;
    }
    if error.downcast_ref::<ArchiveError>().is_some() {
        return NO_HISTORY;
    }
    match error.downcast_ref::<store::Error>() {
        // Another directory, or another file in it, is what helps.
        Some(
            store::Error::Directory { .. }
            | store::Error::Newer { .. }
            | store::Error::Foreign(_)
            | store::Error::NotRegular(_),
        ) => return 2,
        Some(store::Error::Thread(_) | store::Error::Memory(_)) => return 1,
        None => {}
    }
    if let Some(error) = error.downcast_ref::<top::Error>() {
        return error.code();
    }
    match error.downcast_ref::<filter::Error>() {
        Some(filter::Error::NoLibpcap(_)) => return NO_LIBPCAP,
        Some(filter::Error::Expression { .. } | filter::Error::Untranslatable { .. }) => return 2,
        None => {}
    }
    match error.downcast_ref::<web::Error>() {
        Some(web::Error::Listen { .. }) => return NO_ADDRESS,
        Some(web::Error::Token { .. } | web::Error::Certificate { .. } | web::Error::Key { .. }) => return 2,
        Some(web::Error::Off | web::Error::Thread(_)) | None => {}
    }
    match error.downcast_ref::<Error>() {
        Some(Error::NoSuchInterface(_) | Error::NoDefaultRoute) => 3,
        Some(Error::Permission { .. }) => 4,
        Some(Error::KernelTooOld { .. }) => 5,
        Some(Error::MapMemory { .. } | Error::FeedMemory { .. }) => 6,
        Some(Error::Verifier { .. }) => 7,
        Some(
            Error::Busy { .. }
            | Error::ViewBusy(_)
            | Error::NativeRefused { .. }
            | Error::Attach { .. }
            | Error::LinkType { .. }
            | Error::LinkChanged(_),
        ) => 8,
        Some(Error::NoObject) => 9,
        Some(Error::Object(_) | Error::System { .. }) | None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Refusal;
    use std::io;

    #[test]
    fn every_error_has_its_code_and_says_in_one_line_what_to_do() {
        let source = || io::Error::from_raw_os_error(libc::EINVAL);
        let name = || "eth0".to_owned();
        for (error, code, says) in [
            (Error::NoSuchInterface(name()), 3, "ip -brief link"),
            (Error::NoDefaultRoute, 3, "`-i`"),
            (Error::Permission { action: "load", missing: "CAP_BPF".into() }, 4, "run as root"),
            (Error::KernelTooOld { running: "5.4.0".into(), needed: "5.11".into() }, 5, "5.11 or newer"),
            (Error::MapMemory { megabytes: 128, source: source() }, 6, "`--map-memory`"),
            (Error::Verifier { reason: "no".into(), log: "a\nb".into() }, 7, "`--verifier-log`"),
            (Error::Busy { interface: name(), holder: String::new() }, 8, "stop its owner"),
            (Error::ViewBusy(name()), 8, "stop that one first"),
            (Error::NativeRefused { interface: name(), source: source() }, 8, "`--xdp-mode auto`"),
            (Error::Attach { interface: name(), mode: "generic", source: source() }, 8, "cannot attach"),
            (Error::LinkType { interface: name(), link_type: 803 }, 8, "link type 803"),
            (Error::LinkChanged(name()), 8, "start netwatch again"),
            (Error::NoObject, 9, "cargo xtask build --release"),
            (Error::Object("no map X".into()), 1, "cargo xtask build --release"),
            (Error::System { call: "bpf", source: source() }, 1, "bpf"),
        ] {
            let error = anyhow::Error::from(error);
            let text = format!("{error:#}");
            assert_eq!(number(&error), code, "{text}");
            assert!(text.contains(says) && text.lines().count() == 1, "{text}");
        }
        assert_eq!(number(&Usage("--slot: no".into()).into()), 2);
        let refused = OpenError { path: "a.pcap".into(), reason: Refusal::Directory };
        assert_eq!(number(&refused.into()), DAMAGED);
        let expression = || "tpc".to_owned();
        assert_eq!(number(&filter::Error::NoLibpcap("no".into()).into()), NO_LIBPCAP);
        let refused = filter::Error::Expression { expression: expression(), reason: "syntax error".into() };
        assert_eq!(number(&refused.into()), 2);
        assert_eq!(
            number(&filter::Error::Untranslatable { expression: expression(), reason: "no" }.into()),
            2
        );
        assert_eq!(number(&ArchiveError::Missing("/x/history.db".into()).into()), NO_HISTORY);
        assert_eq!(number(&store::Error::Foreign("/x/history.db".into()).into()), 2);
        let address = "192.0.2.1:80".parse().unwrap();
        let taken = web::Error::Listen { address, source: io::Error::from_raw_os_error(libc::EADDRINUSE) };
        assert_eq!(
            taken.to_string(),
            "cannot listen on 192.0.2.1:80: address already in use; see who does with `ss -ltnp`, or say another with \
             `--listen`"
        );
        assert_eq!(number(&taken.into()), NO_ADDRESS);
        let token = web::Error::Token { path: "a".into(), reason: "no".into() };
        assert_eq!(number(&token.into()), 2);
        assert_eq!(number(&top::Error::NoAnswer("no".into()).into()), NO_ANSWER);
        assert_eq!(number(&anyhow::anyhow!("other")), 1);
    }
}
