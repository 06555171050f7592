//! What can go wrong at the kernel's edge: one variant for each thing that a person can do about it.

use std::io;

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, TcError},
};

/// A failure to load, attach or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary holds no kernel program.
    #[error(
        "this netwatch was built without its kernel program; build it with `cargo xtask build --release`"
    )]
    NoObject,
    /// There is no interface of this name.
    #[error("no interface named {0}; `ip -brief link` lists them")]
    NoSuchInterface(String),
    /// There is no default route to take the interface from.
    #[error("no default route to take an interface from; name one with `-i`")]
    NoDefaultRoute,
    /// The interface's frames start with a header that netwatch does not parse.
    #[error(
        "{interface} has link type {link_type}, which netwatch cannot parse; watch an Ethernet, loopback or tunnel interface"
    )]
    LinkType {
        /// The interface.
        interface: String,
        /// Its ARPHRD_ type.
        link_type: u16,
    },
    /// The interface came back as one of another kind.
    #[error("{0} came back with another kind of link header; start netwatch again to watch it")]
    LinkChanged(String),
    /// The kernel refused for want of a privilege.
    #[error(
        "no permission to {action}; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (missing: {missing})"
    )]
    Permission {
        /// What was attempted.
        action: &'static str,
        /// The capabilities this process lacks.
        missing: String,
    },
    /// The kernel lacks something that netwatch needs.
    #[error("Linux {running} is too old: netwatch needs {needed} or newer")]
    KernelTooOld {
        /// The version that runs.
        running: String,
        /// The version that is needed.
        needed: String,
    },
    /// The kernel would not give the memory for the maps.
    #[error("no memory for maps of {megabytes} MiB ({source}); lower it with `--map-memory`")]
    MapMemory {
        /// What was asked for.
        megabytes: u64,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel would not give the memory for a set of listed addresses.
    #[error("no memory for feeds of {megabytes} MiB ({source}); leave some of their entries out")]
    FeedMemory {
        /// What was asked for.
        megabytes: u64,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The verifier refused the program.
    #[error("the kernel's verifier refused the program: {reason}; `--verifier-log` prints its whole log")]
    Verifier {
        /// The line of the log that says why.
        reason: String,
        /// The whole log.
        log: String,
    },
    /// Another XDP program is attached.
    #[error(
        "{interface} already has an XDP program{holder}; stop its owner (another netwatch?) or watch another interface"
    )]
    Busy {
        /// The interface.
        interface: String,
        /// " (id N)" where known.
        holder: String,
    },
    /// Another live view has its filters there, and there are no tcx links.
    #[error(
        "another `netwatch watch` watches {0}, and before Linux 6.6 there can be one at a time; stop that one first"
    )]
    ViewBusy(String),
    /// Native mode was demanded and is not to be had.
    #[error(
        "cannot attach to {interface} in native mode ({source}); use `--xdp-mode auto` to fall back to generic mode"
    )]
    NativeRefused {
        /// The interface.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Attaching failed for another reason.
    #[error("cannot attach to {interface} in {mode} mode: {source}")]
    Attach {
        /// The interface.
        interface: String,
        /// The mode that was tried last.
        mode: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The embedded object is not what this loader expects.
    #[error(
        "the embedded kernel program does not fit this netwatch ({0}); build it again with `cargo xtask build --release`"
    )]
    Object(String),
    /// A system call that should not fail did.
    #[error("{call}: {source}")]
    System {
        /// What was called.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    /// Wraps a failed system call.
    pub(super) fn system(call: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { call, source }
    }

    /// A permission error, with the capabilities that this process lacks.
    #[must_use]
    pub fn permission(action: &'static str) -> Self {
        let missing = super::host::missing_capabilities();
        let missing = if missing.is_empty() {
            "none, so a security module or a container may forbid it".to_owned()
        } else {
            missing.join(", ")
        };
        Self::Permission { action, missing }
    }

    /// Translates an error of loading the object: its maps are made here, the first of `bytes`.
    pub(super) fn from_load(error: EbpfError, bytes: u64) -> Self {
        match error {
            EbpfError::MapError(error) => Self::from_map(error, bytes),
            other => Self::Object(other.to_string()),
        }
    }

    /// Translates an error of making or using a map of `bytes`.
    pub(super) fn from_map(error: MapError, bytes: u64) -> Self {
        let source = match error {
            MapError::CreateError { io_error, .. } => io_error,
            MapError::SyscallError(error) => error.io_error,
            other => return Self::Object(other.to_string()),
        };
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::permission("create BPF maps"),
            Some(libc::ENOMEM | libc::E2BIG | libc::EINVAL) if bytes > 0 => {
                Self::MapMemory { megabytes: bytes >> 20, source }
            }
            _ => Self::System { call: "bpf map", source },
        }
    }

    /// Translates an error of making a map for listed addresses.
    pub(super) fn from_feeds(error: MapError, bytes: u64) -> Self {
        match Self::from_map(error, bytes.max(1)) {
            Self::MapMemory { megabytes, source } => Self::FeedMemory { megabytes, source },
            other => other,
        }
    }

    /// Translates an error of loading a program into the kernel.
    #[must_use]
    pub fn from_program_load(error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                Self::refused(io_error, verifier_log.to_string())
            }
            other => Self::Object(other.to_string()),
        }
    }

    /// What the kernel says of a program that it does not load, and its verifier's log.
    pub(super) fn refused(error: io::Error, log: String) -> Self {
        match error.raw_os_error() {
            // Without CAP_PERFMON it is the verifier that refuses, over arithmetic on pointers.
            _ if !super::host::missing_capabilities().is_empty() => Self::permission("load a BPF program"),
            Some(libc::EPERM) if verifier_reason(&log).is_none() => Self::permission("load a BPF program"),
            _ if log.trim().is_empty() => Self::System { call: "load the program", source: error },
            _ => Self::Verifier { reason: verifier_reason(&log).unwrap_or_else(|| error.to_string()), log },
        }
    }
}

/// The last line of a verifier's log that says something: the statistics that follow the reason do not.
fn verifier_reason(log: &str) -> Option<String> {
    log.lines()
        .map(str::trim)
        .rfind(|line| {
            !line.is_empty()
                && !["processed ", "verification time", "stack depth", "mark_precise", ";"]
                    .iter()
                    .any(|noise| line.starts_with(noise))
        })
        .map(str::to_owned)
}

/// The operating system's error inside an attach error, where there is one.
pub(super) fn attach_source(error: ProgramError) -> io::Error {
    match error {
        ProgramError::SyscallError(error) => error.io_error,
        ProgramError::XdpError(aya::programs::xdp::XdpError::NetlinkError(error))
        | ProgramError::TcError(TcError::NetlinkError(error)) => error
            .raw_os_error()
            .map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error),
        ProgramError::TcError(TcError::IoError(error)) => error,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_before_the_statistics() {
        let log = "0: (bf) r6 = r1\n12: (71) r1 = *(u8 *)(r2 +0)\n\
                   invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)\n\
                   verification time 12 usec\nstack depth 0\n\
                   processed 13 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!(
            verifier_reason(log).as_deref(),
            Some("invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)")
        );
        assert_eq!(verifier_reason("processed 0 insns\n"), None);
    }
}
