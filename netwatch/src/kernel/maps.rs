//! The maps of one interface: swapped each slot, then drained.
//!
//! There are two pairs of maps, and a number of the slot that says in which of them programs count. Swapping writes
//! the next number and then updates a map of maps with what is in it already, for the sake of what the kernel does
//! after such an update (Linux 5.0): it waits until every program that was running has ended
//! (`synchronize_rcu`). So what is drained afterwards is complete, and nothing is counted twice.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use aya::{
    Ebpf, Pod,
    maps::{Array, ArrayOfMaps, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_PERCPU_HASH;
use netwatch_common::{Addr, Control, SourceCounts, TargetCounts, TargetKey, Totals};

use super::{Capacity, Error, Hints, Reader, batch::Batch};
use crate::analysis::HintRates;

/// Lets a type of `netwatch-common`, which knows nothing of aya, cross aya's interface.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Wire<T>(pub T);

// SAFETY: the wrapper is transparent, and `bytemuck::Pod` demands all that aya's `Pod` does.
unsafe impl<T: bytemuck::Pod> Pod for Wire<T> {}

/// The maps of one interface.
pub struct Maps {
    control: Array<MapData, Wire<Control>>,
    set: Control,
    sources: Pair<Addr, SourceCounts>,
    targets: Pair<TargetKey, TargetCounts>,
    totals: PerCpuArray<MapData, Wire<Totals>>,
    hints: Option<Hints>,
    cpus: usize,
}

impl Maps {
    /// Takes the maps of a loaded object and puts maps of `capacity` into use. The object's programs must be
    /// loaded already: a map that is dropped before a program is loaded cannot be found any more.
    pub(super) fn new(object: &mut Ebpf, capacity: Capacity, cpus: usize) -> Result<Self, Error> {
        let bytes = capacity.bytes(cpus as u64);
        Ok(Self {
            control: take(object, "CONTROL")?,
            set: Control::default(),
            sources: Pair::new(take(object, "SOURCES")?, "nw_sources", capacity.sources, cpus, bytes)?,
            targets: Pair::new(take(object, "TARGETS")?, "nw_targets", capacity.targets, cpus, bytes)?,
            totals: take(object, "TOTALS")?,
            hints: Some(Hints::new(take::<RingBuf<MapData>>(object, "HINTS")?)),
            cpus,
        })
    }

    /// Lets programs count into the other pair of maps from here on. When this returns, none uses the old pair
    /// any more. Blocks for a grace period of the kernel, mostly 10 to 40 ms.
    ///
    /// # Errors
    ///
    /// The kernel's error. Programs may then still be counting in the maps that are not in use: drain them
    /// after the next swap but one, when nothing is lost.
    pub fn swap(&mut self) -> Result<(), Error> {
        self.turn()?;
        self.sources.wait_for_programs()
    }

    /// The same where no program can be running: nothing is waited for.
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub fn turn(&mut self) -> Result<(), Error> {
        self.tell(Control { slot: self.set.slot.wrapping_add(1), ..self.set })
    }

    /// Number of the slot that programs count in: it grows by one with each swap, and wraps.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.set.slot
    }

    /// Tells the programs of how much they give hints; see [`HintRates`].
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub fn set_hints(&mut self, hints: HintRates) -> Result<(), Error> {
        let HintRates { packets, crossing, probes } = hints;
        self.tell(Control { hint_packets: packets, hint_crossing: crossing, hint_probes: probes, ..self.set })
    }

    /// The reader of hints, once.
    pub const fn take_hints(&mut self) -> Option<Hints> {
        self.hints.take()
    }

    /// Looks into maps that are in use.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.sources.inner), Arc::clone(&self.targets.inner), self.cpus)
    }

    /// Tells the programs how replies are told from now on, and until when unknown connections may be older than
    /// they are.
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub fn set_replies(&mut self, replies: u32, grace_ends_ns: u64) -> Result<(), Error> {
        self.tell(Control { replies, grace_ends_ns, ..self.set })
    }

    /// Empties the maps that are not in use.
    ///
    /// # Errors
    ///
    /// The kernel's error; what was handed over before it is gone from the maps.
    pub fn drain(
        &mut self,
        source: impl FnMut(&Addr, &[SourceCounts]),
        target: impl FnMut(&TargetKey, &[TargetCounts]),
    ) -> Result<(), Error> {
        let idle = usize::from(self.set.slot & 1 == 0);
        self.sources.drain(idle, source)?;
        self.targets.drain(idle, target)
    }

    /// What all CPUs counted since the program was loaded.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<Totals, Error> {
        let values = self.totals.get(&0, 0).map_err(|error| Error::from_map(error, 0))?;
        let mut sum = Totals::default();
        values.iter().for_each(|Wire(totals)| sum.add(totals));
        Ok(sum)
    }

    fn tell(&mut self, control: Control) -> Result<(), Error> {
        self.control.set(0, Wire(control), 0).map_err(|error| Error::from_map(error, 0))?;
        self.set = control;
        Ok(())
    }
}

/// Two maps of one kind, inside a map of maps.
struct Pair<K, V> {
    outer: ArrayOfMaps<MapData, MapData>,
    inner: Arc<[MapData; 2]>,
    batch: Batch<K, V>,
}

impl<K: bytemuck::Pod, V: bytemuck::Pod> Pair<K, V> {
    /// `bytes` is the memory of all maps of the interface, for the message when there is none left.
    fn new(
        mut outer: ArrayOfMaps<MapData, MapData>,
        name: &str,
        entries: u32,
        cpus: usize,
        bytes: u64,
    ) -> Result<Self, Error> {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let inner = || {
            let definition = aya_obj::Map::new_from_params(
                BPF_MAP_TYPE_PERCPU_HASH as u32,
                size(size_of::<K>()),
                size(size_of::<V>()),
                entries,
                0,
            );
            MapData::create(definition, name, None).map_err(|error| Error::from_map(error, bytes))
        };
        let inner = Arc::new([inner()?, inner()?]);
        for (index, map) in (0..).zip(&*inner) {
            outer.set(index, map, 0).map_err(|error| Error::from_map(error, 0))?;
        }
        Ok(Self { outer, inner, batch: Batch::new(cpus) })
    }

    fn wait_for_programs(&mut self) -> Result<(), Error> {
        self.outer.set(0, &self.inner[0], 0).map_err(|error| Error::from_map(error, 0))
    }

    fn drain(&mut self, index: usize, each: impl FnMut(&K, &[V])) -> Result<(), Error> {
        self.batch
            .drain(self.inner[index].fd().as_fd(), each)
            .map_err(Error::system("bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH)"))
    }
}

/// Takes a map out of the object, as the type it must be.
fn take<T: TryFrom<Map, Error = MapError>>(object: &mut Ebpf, name: &str) -> Result<T, Error> {
    object
        .take_map(name)
        .ok_or_else(|| Error::Object(format!("it has no map {name}")))?
        .try_into()
        .map_err(|error| Error::Object(format!("its map {name} is another: {error}")))
}
