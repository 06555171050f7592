//! bpf(2) itself, for the commands that aya does not offer.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

use bytemuck::Pod;

/// `BPF_MAP_UPDATE_ELEM`.
pub const UPDATE_ELEMENT: libc::c_long = 2;
/// `BPF_PROG_LOAD`, which returns a descriptor.
pub const LOAD_PROGRAM: libc::c_long = 5;

/// `BPF_MAP_LOOKUP_ELEM`.
pub const MAP_LOOKUP: libc::c_long = 1;
/// `BPF_MAP_LOOKUP_AND_DELETE_BATCH`. Linux 5.6.
pub const MAP_LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;
/// `BPF_PROG_TEST_RUN`, called `BPF_PROG_RUN` since Linux 5.14.
pub const TEST_RUN: libc::c_long = 10;
/// `BPF_PROG_QUERY`. Linux 6.6 for tcx.
pub const QUERY: libc::c_long = 16;

/// Calls bpf(2).
///
/// # Errors
///
/// The system call's error.
///
/// # Safety
///
/// `attributes` must have the layout that `command` has in `union bpf_attr`, and every address in it must lead to
/// as much memory as the command reads or writes there.
pub unsafe fn bpf<A: Pod>(command: libc::c_long, attributes: &mut A) -> io::Result<()> {
    // SAFETY: as the caller says.
    unsafe { call(command, attributes) }.map(drop)
}

/// Calls bpf(2) with a command that returns a descriptor.
///
/// # Errors
///
/// The system call's error.
///
/// # Safety
///
/// As for [`bpf`]; and the command must be one that returns a descriptor.
pub unsafe fn bpf_open<A: Pod>(command: libc::c_long, attributes: &mut A) -> io::Result<OwnedFd> {
    // SAFETY: as the caller says.
    let fd = unsafe { call(command, attributes) }?;
    // SAFETY: the descriptor has just been made and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?) })
}

unsafe fn call<A: Pod>(command: libc::c_long, attributes: &mut A) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are valid for their size; for the rest the caller answers.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
