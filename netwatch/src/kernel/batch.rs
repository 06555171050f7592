//! `BPF_MAP_LOOKUP_AND_DELETE_BATCH` for per-CPU hash maps, which aya does not offer.
//!
//! One call moves thousands of entries; walking the map key by key costs four to nine times as much.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use bytemuck::{Pod, Zeroable};

use super::syscall;

/// Entries asked for at a time. Larger buffers are no faster.
const ENTRIES: usize = 4096;

/// Buffers for draining maps of one kind, kept between calls.
pub struct Batch<K, V> {
    cpus: usize,
    keys: Vec<K>,
    /// `cpus` values for each key. The kernel rounds a value up to 8 bytes; the layouts already are.
    values: Vec<V>,
}

impl<K: Pod, V: Pod> Batch<K, V> {
    /// Buffers for a machine with `cpus` possible CPUs.
    #[must_use]
    pub fn new(cpus: usize) -> Self {
        const { assert!(size_of::<V>().is_multiple_of(8), "the kernel rounds values up to 8 bytes") };
        Self { cpus, keys: vec![K::zeroed(); ENTRIES], values: vec![V::zeroed(); ENTRIES * cpus] }
    }

    /// Empties `map`, which no program may be using any more, handing each key and its value on each CPU to
    /// `each`.
    ///
    /// # Errors
    ///
    /// The system call's error. Entries handed over before it are gone from the map; the others are still
    /// there.
    pub fn drain(&mut self, map: BorrowedFd<'_>, mut each: impl FnMut(&K, &[V])) -> io::Result<()> {
        // Where the next call goes on: a bucket's number, which the kernel writes as four bytes.
        let mut cursor = 0_u64;
        let mut started = false;
        loop {
            let (outcome, count) = self.call(map, started, &mut cursor);
            // The last call returns ENOENT together with the last entries, so entries come first.
            for (key, values) in self.keys[..count].iter().zip(self.values.chunks_exact(self.cpus)) {
                each(key, values);
            }
            match outcome.map_err(|error| (error.raw_os_error(), error)) {
                Ok(()) => started = true,
                Err((Some(libc::ENOENT), _)) => return Ok(()),
                // One bucket holds more entries than the buffers: more room, and the same bucket again.
                Err((Some(libc::ENOSPC), _)) => self.grow(),
                Err((Some(libc::EINTR), _)) => {}
                Err((_, error)) => return Err(error),
            }
        }
    }

    fn grow(&mut self) {
        let entries = self.keys.len() * 2;
        self.keys.resize(entries, K::zeroed());
        self.values.resize(entries * self.cpus, V::zeroed());
    }

    /// One system call: its outcome, and how many entries it wrote into the buffers.
    fn call(&mut self, map: BorrowedFd<'_>, started: bool, cursor: &mut u64) -> (io::Result<()>, usize) {
        let mut next = *cursor;
        let mut attributes = Attributes {
            in_batch: if started { std::ptr::from_ref(cursor) as u64 } else { 0 },
            out_batch: std::ptr::from_mut(&mut next) as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
            #[expect(clippy::cast_sign_loss, reason = "a borrowed descriptor is not negative")]
            map_fd: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: the attributes have the layout of the command; the buffers hold `count` keys and `count` times
        // the possible CPUs values, are plain data, and outlive the call.
        let outcome = unsafe { syscall::bpf(syscall::LOOKUP_AND_DELETE_BATCH, &mut attributes) };
        let count = match outcome.as_ref().map_err(io::Error::raw_os_error) {
            // Only a fault leaves the count undefined. With any other error the entries that it names have been
            // written here and are gone from the map.
            Err(Some(libc::EFAULT)) => 0,
            _ => (attributes.count as usize).min(self.keys.len()),
        };
        if outcome.is_ok() {
            *cursor = next;
        }
        (outcome, count)
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
    elem_flags: u64,
    flags: u64,
}

const _: () = assert!(size_of::<Attributes>() == 56);
