//! Runs a program on packets that differ from each other, without sending any.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, bail};
use aya::maps::{Map, MapData, PerCpuHashMap, ProgramArray};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use bytemuck::Pod;
use netwatch::kernel::maps::Wire;
use netwatch::kernel::{host, object};
use netwatch_common::Addr;

use super::batch;
use super::generator::Generator;
use super::traffic::Traffic;

/// `XDP_PASS`.
const PASS: u32 = 2;

/// A program that makes packets and hands them to another one, and the reference that counts in plain maps.
pub struct Scatter {
    generator: Generator,
    next: ProgramArray<MapData>,
    sources: MapData,
    ports: MapData,
    shared: MapData,
}

/// A key of the reference's second map: source, and protocol with port.
type PortKey = [u32; 5];

impl Scatter {
    /// Loads the programs; the reference's maps have room for so many entries each.
    ///
    /// # Errors
    /// The benchmark was built without them, or the kernel refuses something.
    pub fn load(entries: u32) -> anyhow::Result<Self> {
        let reference = object::reference().context("built without the reference programs")?;
        let mut object = EbpfLoader::new()
            .map_max_entries("SOURCES", entries)
            .map_max_entries("PORTS", entries)
            .map_max_entries("SHARED", entries)
            .load(reference)?;
        for name in ["reference_pass", "reference_parse", "reference_count", "reference_shared"] {
            program(&mut object, name)?.load()?;
        }
        let next = object.take_map("NEXT").context("no map NEXT")?.try_into()?;
        let (sources, ports) = (hash(&mut object, "SOURCES")?, hash(&mut object, "PORTS")?);
        let shared = hash(&mut object, "SHARED")?;
        Ok(Self { generator: Generator::of(object, "reference_scatter")?, next, sources, ports, shared })
    }

    /// Hands packets to one of the reference programs from now on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hand_to_reference(&mut self, name: &str) -> anyhow::Result<()> {
        let fd = program(self.generator.object(), name)?.fd()?.try_clone()?;
        Ok(self.next.set(0, &fd, 0)?)
    }

    /// Hands packets to this program from now on. It must take frames of several buffers.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hand_to(&mut self, program: &Xdp) -> anyhow::Result<()> {
        Ok(self.next.set(0, program.fd()?, 0)?)
    }

    /// One of the programs, to run it on one frame, or `reference_scatter` on those of [`set`](Self::set).
    ///
    /// # Errors
    /// There is no such program.
    pub fn reference(&mut self, name: &str) -> anyhow::Result<&Xdp> {
        Ok(program(self.generator.object(), name)?)
    }

    /// Makes packets of a kind from now on, from the first one on, on each CPU by itself. Returns the frame to make them of.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set(&mut self, traffic: &Traffic) -> anyhow::Result<Vec<u8>> {
        self.generator.set(std::slice::from_ref(traffic))?;
        Ok(traffic.frame.clone())
    }

    /// Runs it on packets of a kind, from the first one on. Returns nanoseconds per packet.
    ///
    /// # Errors
    /// The kernel's, or that the program did not let packets pass.
    pub fn run(&mut self, traffic: &Traffic, packets: u32) -> anyhow::Result<f64> {
        self.generator.set(std::slice::from_ref(traffic))?;
        self.generator.rehearse("reference_scatter", packets, PASS)
    }

    /// Empties the reference's maps in the fastest way. Returns how many entries there were, and packets.
    ///
    /// # Errors
    /// The kernel's.
    pub fn empty_in_batches(&self) -> anyhow::Result<(u64, u64)> {
        let (cpus, mut packets) = (host::possible_cpus(), 0);
        let sources = batch::drain(self.sources.fd().as_fd(), size_of::<Addr>(), 2 * cpus, |counts| {
            // Of each CPU packets and bytes.
            packets += counts.iter().step_by(2).sum::<u64>();
        })?;
        let ports = batch::drain(self.ports.fd().as_fd(), size_of::<PortKey>(), cpus, |_| {})?;
        Ok((sources + ports, packets))
    }

    /// The same key by key: ask for the next one, look it up, delete it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn empty_by_key(&self) -> anyhow::Result<(u64, u64)> {
        let mut packets = 0;
        let sources = walk::<Addr, [u64; 2]>(&self.sources, |counts| packets += counts[0])?;
        let ports = walk::<PortKey, u64>(&self.ports, |_| {})?;
        Ok((sources + ports, packets))
    }

    /// Empties the map that all CPUs share. Returns how many packets were counted there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn empty_shared(&self) -> anyhow::Result<u64> {
        let mut packets = 0;
        batch::drain(self.shared.fd().as_fd(), size_of::<Addr>(), 2, |counts| packets += counts[0])?;
        Ok(packets)
    }
}

/// Empties a map key by key. Returns how many there were.
fn walk<K: Pod, V: Pod>(map: &MapData, mut each: impl FnMut(&V)) -> anyhow::Result<u64> {
    let open = || -> anyhow::Result<PerCpuHashMap<MapData, Wire<K>, Wire<V>>> {
        let map = MapData::from_fd(map.fd().as_fd().try_clone_to_owned()?)?;
        Ok(Map::PerCpuHashMap(map).try_into()?)
    };
    let (walked, mut emptied) = (open()?, open()?);
    let (mut keys, mut entries) = (walked.keys(), 0);
    let mut next = keys.next();
    while let Some(key) = next {
        let key = key?;
        emptied.get(&key, 0)?.iter().for_each(|Wire(value)| each(value));
        // Before it is deleted: after that, the walk would begin anew.
        next = keys.next();
        emptied.remove(&key)?;
        entries += 1;
    }
    Ok(entries)
}

/// One of the reference's maps.
fn hash(object: &mut Ebpf, name: &str) -> anyhow::Result<MapData> {
    match object.take_map(name).with_context(|| format!("no map {name}"))? {
        Map::PerCpuHashMap(map) | Map::HashMap(map) => Ok(map),
        _ => bail!("{name} is another kind of map"),
    }
}

fn program<'a>(object: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut Xdp> {
    Ok(object.program_mut(name).context("no such program")?.try_into()?)
}
