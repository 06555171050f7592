//! The maps of one interface: swapped each slot, then drained.
//!
//! An outer map holds the one inner map that programs count in. Putting another there waits, inside the
//! kernel, until no program uses the old one (`synchronize_rcu` after an update of a map of maps, Linux 5.0),
//! so what is drained afterwards is complete and nothing is counted twice.

use std::os::fd::AsFd as _;

use aya::{
    Ebpf, Pod,
    maps::{ArrayOfMaps, Map, MapData, PerCpuArray},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_PERCPU_HASH;
use netwatch_common::{Addr, PortCounts, PortKey, SourceCounts, Totals};

use super::{Capacity, Error, batch::Batch};

/// Lets a type of `netwatch-common`, which knows nothing of aya, cross aya's interface.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Wire<T>(pub T);

// SAFETY: the wrapper is transparent, and `bytemuck::Pod` demands all that aya's `Pod` does.
unsafe impl<T: bytemuck::Pod> Pod for Wire<T> {}

/// The maps of one interface.
pub struct Maps {
    sources: Swapped<Addr, SourceCounts>,
    ports: Swapped<PortKey, PortCounts>,
    totals: PerCpuArray<MapData, Wire<Totals>>,
}

impl Maps {
    /// Takes the maps of a loaded object and puts maps of `capacity` into use. The object's programs must be
    /// loaded already: a map that is dropped before a program is loaded cannot be found any more.
    pub(super) fn new(object: &mut Ebpf, capacity: Capacity, cpus: usize) -> Result<Self, Error> {
        let bytes = capacity.bytes(cpus as u64);
        let totals = take(object, "TOTALS")?
            .try_into()
            .map_err(|error: aya::maps::MapError| Error::Object(error.to_string()))?;
        Ok(Self {
            sources: Swapped::new(take(object, "SOURCES")?, "nw_sources", capacity.sources, cpus, bytes)?,
            ports: Swapped::new(take(object, "PORTS")?, "nw_ports", capacity.ports, cpus, bytes)?,
            totals,
        })
    }

    /// Lets programs count into empty maps from here on. When this returns, none uses the old ones any more.
    ///
    /// # Errors
    ///
    /// The kernel's error; the old maps are then still in use and nothing is lost.
    pub fn swap(&mut self) -> Result<(), Error> {
        self.sources.swap()?;
        self.ports.swap()
    }

    /// Empties the maps that the last [`swap`](Self::swap) took out of use.
    ///
    /// # Errors
    ///
    /// The kernel's error; what was handed over before it is gone from the maps.
    pub fn drain(
        &mut self,
        source: impl FnMut(&Addr, &[SourceCounts]),
        port: impl FnMut(&PortKey, &[PortCounts]),
    ) -> Result<(), Error> {
        self.sources.drain(source)?;
        self.ports.drain(port)
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
}

/// Two inner maps of which one is in use.
struct Swapped<K, V> {
    outer: ArrayOfMaps<MapData, MapData>,
    in_use: MapData,
    spare: MapData,
    batch: Batch<K, V>,
}

impl<K: bytemuck::Pod, V: bytemuck::Pod> Swapped<K, V> {
    /// `bytes` is the memory of all maps of the interface, for the message when there is none left.
    fn new(outer: Map, name: &str, entries: u32, cpus: usize, bytes: u64) -> Result<Self, Error> {
        let mut outer: ArrayOfMaps<MapData, MapData> =
            outer.try_into().map_err(|error: aya::maps::MapError| Error::Object(error.to_string()))?;
        let inner = || {
            let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
            let definition = aya_obj::Map::new_from_params(
                BPF_MAP_TYPE_PERCPU_HASH as u32,
                size(size_of::<K>()),
                size(size_of::<V>()),
                entries,
                0,
            );
            MapData::create(definition, name, None).map_err(|error| Error::from_map(error, bytes))
        };
        let (in_use, spare) = (inner()?, inner()?);
        outer.set(0, &in_use, 0).map_err(|error| Error::from_map(error, 0))?;
        Ok(Self { outer, in_use, spare, batch: Batch::new(cpus) })
    }

    fn swap(&mut self) -> Result<(), Error> {
        self.outer.set(0, &self.spare, 0).map_err(|error| Error::from_map(error, 0))?;
        std::mem::swap(&mut self.in_use, &mut self.spare);
        Ok(())
    }

    fn drain(&mut self, each: impl FnMut(&K, &[V])) -> Result<(), Error> {
        self.batch
            .drain(self.spare.fd().as_fd(), each)
            .map_err(Error::system("bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH)"))
    }
}

fn take(object: &mut Ebpf, name: &str) -> Result<Map, Error> {
    object.take_map(name).ok_or_else(|| Error::Object(format!("it has no map {name}")))
}
