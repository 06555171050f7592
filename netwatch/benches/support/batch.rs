//! `BPF_MAP_LOOKUP_AND_DELETE_BATCH` (Linux 5.6), the fastest way to empty a hash map, for the programs that netwatch is
//! compared with.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use bytemuck::{Pod, Zeroable};

/// The command's number.
const LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;
/// Entries asked for at a time. Larger buffers are no faster.
const ENTRIES: usize = 4096;

/// Empties a map whose keys have so many bytes and whose values, of all CPUs together, so many words. Hands the values
/// of each entry over, and returns how many there were.
///
/// # Errors
/// The system call's.
pub fn drain(
    map: BorrowedFd<'_>,
    key_bytes: usize,
    value_words: usize,
    mut each: impl FnMut(&[u64]),
) -> io::Result<u64> {
    let mut room = ENTRIES;
    let mut keys = vec![0_u8; room * key_bytes];
    let mut values = vec![0_u64; room * value_words];
    // Where the next call goes on.
    let (mut cursor, mut next, mut is_first, mut entries) = (0_u64, 0_u64, true, 0);
    loop {
        let mut attributes = Attributes {
            in_batch: if is_first { 0 } else { (&raw const cursor) as u64 },
            out_batch: (&raw mut next) as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: u32::try_from(room).unwrap_or(u32::MAX),
            map_fd: u32::try_from(map.as_raw_fd()).unwrap_or(u32::MAX),
            flags: [0; 2],
        };
        // SAFETY: the attributes have the layout of the command; the buffers hold as many keys and values as they say, and
        // outlive the call.
        let failed = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                LOOKUP_AND_DELETE_BATCH,
                &raw mut attributes,
                size_of::<Attributes>(),
            )
        } != 0;
        let error = failed.then(io::Error::last_os_error);
        let code = error.as_ref().and_then(io::Error::raw_os_error);
        // The last call says that there are no more together with the last entries.
        if matches!(code, None | Some(libc::ENOENT)) {
            let count = usize::try_from(attributes.count).unwrap_or(0).min(room);
            values.chunks_exact(value_words).take(count).for_each(&mut each);
            entries += u64::from(attributes.count);
        }
        match (code, error) {
            (Some(libc::ENOENT), _) => return Ok(entries),
            // A bucket holds more than there is room for.
            (Some(libc::ENOSPC), _) => {
                room *= 2;
                keys.resize(room * key_bytes, 0);
                values.resize(room * value_words, 0);
            }
            (_, Some(error)) => return Err(error),
            (_, None) => (cursor, is_first) = (next, false),
        }
    }
}

/// `struct { ... } batch` of `union bpf_attr` in linux/bpf.h.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    flags: [u64; 2],
}
