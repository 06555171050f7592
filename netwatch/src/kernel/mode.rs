//! How a program is attached to an interface.

use std::{fmt, io};

use super::Error;

/// How the user wants the program attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeWish {
    /// Native where the driver can, generic otherwise.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the network stack: works on every interface, costs more.
    Generic,
}

/// How the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the network stack.
    Generic,
}

impl Mode {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the kernel refused the mode rather than the program: the driver has no native XDP, or not for this
/// MTU or with these offloads.
pub(super) fn is_about_mode(error: &io::Error) -> bool {
    const ENOTSUPP: i32 = 524;
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE | libc::ENOSPC | libc::ENOMEM | ENOTSUPP)
    )
}

/// Why a program could not be attached.
pub(super) fn attach_error(interface: &str, mode: &'static str, source: io::Error) -> Error {
    let interface = interface.to_owned();
    match source.raw_os_error() {
        // EEXIST: a program is attached in the other mode.
        Some(libc::EBUSY | libc::EEXIST) => Error::Busy { interface, holder: String::new() },
        Some(libc::ENODEV) => Error::NoSuchInterface(interface),
        Some(libc::EPERM | libc::EACCES) => Error::permission("attach an XDP program"),
        _ => Error::Attach { interface, mode, source },
    }
}
