//! Look-ups in maps that are being counted in.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;

use aya::maps::MapData;
use bytemuck::{Pod, Zeroable};
use netwatch_common::{Addr, SourceCounts, TargetCounts, TargetKey};

use super::syscall;

/// Reads single entries of the maps, from any thread, while programs count in them and while [`Watch`] drains
/// them.
///
/// A slot is named by its number. Its maps are those of the slot after the next one, too: what is read under a
/// number that is not [`Watch::slot`] any more may be partly drained, and is another slot's from the swap after
/// the next on.
///
/// [`Watch`]: super::Watch
/// [`Watch::slot`]: super::Watch::slot
#[derive(Clone)]
pub struct Reader {
    sources: Table<Addr, SourceCounts>,
    targets: Table<TargetKey, TargetCounts>,
}

impl Reader {
    pub(super) fn new(sources: Arc<[MapData; 2]>, targets: Arc<[MapData; 2]>, cpus: usize) -> Self {
        Self { sources: Table::new(sources, cpus), targets: Table::new(targets, cpus) }
    }

    /// What each CPU has counted of a source so far; `source` is as it is accounted
    /// ([`Settings::account`](netwatch_common::Settings::account)). `None` where there is no such entry, because
    /// the map is full for instance.
    pub fn source(&mut self, slot: u32, source: Addr) -> Option<&[SourceCounts]> {
        self.sources.look_up(slot, &source)
    }

    /// What each CPU has counted of a target so far; `None` likewise.
    pub fn target(&mut self, slot: u32, target: &TargetKey) -> Option<&[TargetCounts]> {
        self.targets.look_up(slot, target)
    }
}

/// Both maps of one kind, and room for one entry.
#[derive(Clone)]
struct Table<K, V> {
    maps: Arc<[MapData; 2]>,
    values: Vec<V>,
    key: std::marker::PhantomData<fn(&K)>,
}

impl<K: Pod, V: Pod> Table<K, V> {
    fn new(maps: Arc<[MapData; 2]>, cpus: usize) -> Self {
        const { assert!(size_of::<V>().is_multiple_of(8), "the kernel rounds values up to 8 bytes") };
        Self { maps, values: vec![V::zeroed(); cpus], key: std::marker::PhantomData }
    }

    fn look_up(&mut self, slot: u32, key: &K) -> Option<&[V]> {
        let map = &self.maps[(slot & 1) as usize];
        let mut attributes = Attributes {
            #[expect(clippy::cast_sign_loss, reason = "an open descriptor is not negative")]
            map_fd: map.fd().as_fd().as_raw_fd() as u32,
            padding: 0,
            key: std::ptr::from_ref(key) as u64,
            value: self.values.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: the attributes have the layout of the command; the map's keys are `K`, and its values one `V`
        // for each possible CPU, for which there is room.
        unsafe { syscall::bpf(syscall::LOOKUP, &mut attributes) }.ok().map(|()| &*self.values)
    }
}

/// The anonymous `struct` of `union bpf_attr` in linux/bpf.h that single elements are named with.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Attributes {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

const _: () = assert!(size_of::<Attributes>() == 32);
