//! Errors and the exit codes that `netwatch --help` lists.

use std::process::ExitCode;

use crate::kernel::Error;

/// A bad option or value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of an error.
#[must_use]
pub fn code(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<Usage>().is_some() {
        return ExitCode::from(2);
    }
    ExitCode::from(match error.downcast_ref::<Error>() {
        Some(Error::NoSuchInterface(_) | Error::NoDefaultRoute) => 3,
        Some(Error::Permission { .. }) => 4,
        Some(Error::KernelTooOld { .. }) => 5,
        Some(Error::MapMemory { .. }) => 6,
        Some(Error::Verifier { .. }) => 7,
        Some(
            Error::Busy { .. }
            | Error::NativeRefused { .. }
            | Error::Attach { .. }
            | Error::LinkType { .. }
            | Error::LinkChanged(_),
        ) => 8,
        Some(Error::NoObject) => 9,
        Some(Error::Object(_) | Error::System { .. }) | None => 1,
    })
}
