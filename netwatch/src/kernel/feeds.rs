//! Listed addresses: the set that programs look packets up in, and what they counted of those that are in it.
//!
//! A new set is written into a map of its own, by mapping it, and takes the old one's place in a map of maps. Programs that
//! run see the one or the other. What they count lies in two hash maps of the kernel, of which slots of even numbers have
//! one and those of odd numbers the other: pairs of addresses are few, and a system call takes out hundreds of them.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;

use aya::{
    Ebpf, EbpfLoader,
    maps::{ArrayOfMaps, Map, MapData},
};
use aya_obj::generated::{BPF_F_INNER_MAP, BPF_F_MMAPABLE, bpf_map_type::BPF_MAP_TYPE_ARRAY};
use bytemuck::{Pod, Zeroable};
use netwatch_common::{ListedCounts, ListedKey, prefixes::Line};

use super::{Error, maps::take, shared::Shared, syscall};

/// Pairs taken out by one system call, at most: a bucket of the kernel's has far fewer.
const AT_ONCE: usize = 512;

/// Where programs look for listed addresses, and where they count what they find.
pub(super) struct Feeds {
    outer: ArrayOfMaps<MapData, MapData>,
    tables: Arc<ListedTables>,
    /// Packets listed when the tables were last drained, of each half.
    drained: [u64; 2],
}

/// The two tables of pairs.
pub(super) struct ListedTables {
    halves: [MapData; 2],
    cpus: usize,
}

/// Sets how many pairs there is room for in each half, before programs are loaded.
pub(super) fn prepare(loader: &mut EbpfLoader<'_>, pairs: u32) {
    loader.map_max_entries("LISTED_EVEN", pairs.max(1)).map_max_entries("LISTED_ODD", pairs.max(1));
}

impl Feeds {
    /// Takes the maps of a loaded object.
    pub(super) fn take(object: &mut Ebpf, cpus: usize) -> Result<Self, Error> {
        let halves = [per_cpu(object, "LISTED_EVEN")?, per_cpu(object, "LISTED_ODD")?];
        let tables = Arc::new(ListedTables { halves, cpus });
        Ok(Self { outer: take(object, "FEEDS")?, tables, drained: [0; 2] })
    }

    /// Puts a set in the place of the one that was in use; programs go on meanwhile.
    pub(super) fn set(&mut self, lines: &[Line]) -> Result<(), Error> {
        let bytes = size_of_val(lines) as u64;
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE;
        let line = u32::try_from(size_of::<Line>()).unwrap_or(u32::MAX);
        let definition =
            aya_obj::Map::new_from_params(BPF_MAP_TYPE_ARRAY as u32, 4, line, count.max(1), flags);
        let map =
            MapData::create(definition, "nw_feeds", None).map_err(|error| Error::from_feeds(error, bytes))?;
        let copy = map.fd().as_fd().try_clone_to_owned().map_err(Error::system("dup"))?;
        let written = Shared::<Line>::map(
            MapData::from_fd(copy).map_err(|error| Error::from_map(error, 0))?,
            lines.len().max(1),
        )?;
        written.write_all(lines);
        drop(written);
        self.outer.set(0, &map, 0).map_err(|error| Error::from_map(error, 0))
    }

    /// Hands over what was counted in the slots of even or of odd numbers, each pair once, and forgets it. `listed` is how
    /// many packets were listed since the start: where there are no more than last time, the kernel is not asked.
    ///
    /// No program may be counting in such a slot.
    pub(super) fn drain(
        &mut self,
        slot: u32,
        listed: u64,
        each: impl FnMut(ListedKey, ListedCounts),
    ) -> Result<(), Error> {
        let half = (slot & 1) as usize;
        if self.drained[half] == listed {
            return Ok(());
        }
        self.tables.drain(half, each)?;
        self.drained[half] = listed;
        Ok(())
    }

    pub(super) fn tables(&self) -> Arc<ListedTables> {
        Arc::clone(&self.tables)
    }
}

impl ListedTables {
    /// What was counted of a pair in the slot of a number so far.
    pub(super) fn get(&self, slot: u32, key: &ListedKey) -> Result<Option<ListedCounts>, Error> {
        let mut values = vec![ListedCounts::ZERO; self.cpus];
        let mut attributes = Element {
            map: self.fd(slot as usize & 1),
            padding: 0,
            key: std::ptr::from_ref(key) as u64,
            value: values.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: the layout is that of BPF_MAP_LOOKUP_ELEM. The key has the map's size, and the kernel writes one value,
        // of a multiple of 8 bytes, for each possible CPU.
        match unsafe { syscall::bpf(syscall::MAP_LOOKUP, &mut attributes) } {
            Ok(()) => Ok(sum(&values)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(source) => Err(Error::System { call: "look up a listed address", source }),
        }
    }

    fn drain(&self, half: usize, mut each: impl FnMut(ListedKey, ListedCounts)) -> Result<(), Error> {
        let mut keys = vec![ListedKey::zeroed(); AT_ONCE];
        let mut values = vec![ListedCounts::ZERO; AT_ONCE * self.cpus];
        // Where the kernel went on from, and where it will: of its own making.
        let (mut from, mut to) = (0_u32, 0_u32);
        let mut is_begun = false;
        loop {
            let mut attributes = Batch {
                in_batch: if is_begun { std::ptr::from_ref(&from) as u64 } else { 0 },
                out_batch: std::ptr::from_mut(&mut to) as u64,
                keys: keys.as_mut_ptr() as u64,
                values: values.as_mut_ptr() as u64,
                count: u32::try_from(AT_ONCE).unwrap_or(u32::MAX),
                map: self.fd(half),
                element_flags: 0,
                flags: 0,
            };
            // SAFETY: the layout is that of BPF_MAP_LOOKUP_AND_DELETE_BATCH. There is room for as many keys and values as it
            // says, of values one for each possible CPU; the place in a hash map is a word of 32 bits.
            let result = unsafe { syscall::bpf(syscall::MAP_LOOKUP_AND_DELETE_BATCH, &mut attributes) };
            let is_last = match result {
                Ok(()) => false,
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
                Err(source) => return Err(Error::System { call: "drain listed addresses", source }),
            };
            let found = keys.iter().zip(values.chunks_exact(self.cpus)).take(attributes.count as usize);
            for (key, values) in found {
                each(*key, sum(values).unwrap_or_default());
            }
            if is_last {
                return Ok(());
            }
            (from, is_begun) = (to, true);
        }
    }

    #[expect(clippy::cast_sign_loss, reason = "a descriptor that is open is not negative")]
    fn fd(&self, half: usize) -> u32 {
        self.halves[half & 1].fd().as_fd().as_raw_fd() as u32
    }
}

/// What all CPUs counted; none where none did.
fn sum(of_cpus: &[ListedCounts]) -> Option<ListedCounts> {
    of_cpus.iter().filter(|counts| counts.packets() > 0).copied().reduce(|mut sum, counts| {
        sum.merge(&counts);
        sum
    })
}

fn per_cpu(object: &mut Ebpf, name: &str) -> Result<MapData, Error> {
    match object.take_map(name) {
        Some(Map::PerCpuHashMap(map)) => Ok(map),
        _ => Err(Error::Object(format!("it has no per-CPU hash map {name}"))),
    }
}

/// The part of `union bpf_attr` that is for single elements.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The part that is for batches. Linux 5.6.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}
