//! Array maps in this process' memory: reading and writing them takes no system call.

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::ptr::NonNull;

use aya::maps::MapData;
use bytemuck::Pod;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::Error;

/// The values of an array map that was made to be mapped.
pub struct Shared<T> {
    start: NonNull<T>,
    len: usize,
    _map: MapData,
    _values: PhantomData<T>,
}

// SAFETY: the mapping belongs to the process, not to a thread, and what lies in it is plain data.
unsafe impl<T: Pod + Send> Send for Shared<T> {}
// SAFETY: as above; through a shared reference values are copied out as they are at that moment.
unsafe impl<T: Pod + Sync> Sync for Shared<T> {}

impl<T: Pod> Shared<T> {
    /// Maps a map of `len` values; none of them may be larger or smaller than a `T`.
    pub(super) fn map(map: MapData, len: usize) -> Result<Self, Error> {
        // What the kernel rounds a value up to.
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let bytes = NonZeroUsize::new(len.saturating_mul(size_of::<T>()));
        let bytes = bytes.ok_or_else(|| Error::Object("a map of it is to have no values".into()))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses; it refuses one that is larger than the map.
        let address = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, map.fd().as_fd(), 0) };
        let start = address.map_err(|error| Error::System { call: "mmap", source: error.into() })?.cast();
        Ok(Self { start, len, _map: map, _values: PhantomData })
    }

    /// A value as it is now. Programs may be writing to it: its words may be of different moments.
    pub(super) fn read(&self, index: usize) -> Option<T> {
        // SAFETY: the place is inside the mapping and aligned, because the mapping is to a page; any bytes are a `T`.
        (index < self.len).then(|| unsafe { self.start.add(index).read_volatile() })
    }

    /// Puts a value in place. The caller sees to it that nobody else does at the same time, but for the kernel, of which
    /// each word is then one of both.
    pub(super) fn write(&self, index: usize, value: T) {
        if index < self.len {
            // SAFETY: as above.
            unsafe { self.start.add(index).write_volatile(value) };
        }
    }

    /// Puts values in place from the first on, of a map that no program knows yet.
    pub(super) fn write_all(&self, values: &[T]) {
        let count = values.len().min(self.len);
        // SAFETY: both are valid for so many values, and do not overlap: the one is a mapping of its own.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.start.as_ptr(), count) };
    }

    /// Some values as they lie there; none where they are not all inside the map.
    ///
    /// # Safety
    ///
    /// No program may write to them while the reference lives.
    pub(super) unsafe fn slice(&self, first: usize, count: usize) -> &[T] {
        if first.checked_add(count).is_none_or(|end| end > self.len) {
            return &[];
        }
        // SAFETY: they are inside the mapping and aligned, any bytes are a `T`, and for the rest the caller answers.
        unsafe { std::slice::from_raw_parts(self.start.add(first).as_ptr(), count) }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing refers to it any more. There is nothing to do about an error.
        let _ = unsafe { munmap(self.start.cast(), self.len * size_of::<T>()) };
    }
}
