//! The tables that this CPU counts in: see [`netwatch_common::tables`].
//!
//! Each is an array map that holds one region for each CPU; those that are drained have two, of which one is counted in.
//! A look-up in an array needs no call: it is an addition behind a check.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, PerCpuArray},
    helpers::generated::bpf_get_smp_processor_id,
    macros::btf_map,
};
use netwatch_common::{
    Addr, Service,
    entries::{Fill, Source, Target},
    filter::{Block, Guard, Suspects},
    flow_table::FlowFactors,
    index::{Hash, Line, SourceFactors, TargetFactors},
    ports::PortHash,
};

/// Userspace drains it by mapping it, and its entries then begin at a cache line.
const FLAGS: usize = BPF_F_MMAPABLE as usize;

/// Entries of sources. Userspace chooses how many, here as below.
#[btf_map]
pub static SOURCES: Array<Source, 1, FLAGS> = Array::new();

/// Entries of targets.
#[btf_map]
pub static TARGETS: Array<Target, 1, FLAGS> = Array::new();

/// How many entries there are.
#[btf_map]
pub static FILLS: Array<Fill, 1, FLAGS> = Array::new();

/// Where the entry of a source lies.
#[btf_map]
pub static SOURCE_INDEX: Array<Line, 1, FLAGS> = Array::new();

/// Where the entry of a target lies.
#[btf_map]
pub static TARGET_INDEX: Array<Line, 1, FLAGS> = Array::new();

/// Who was seen lately.
#[btf_map]
pub static FILTER: Array<Block, 1, FLAGS> = Array::new();

/// Whom userspace wants to have an entry in any case.
#[btf_map]
pub static SUSPECTS: Array<Suspects, { Suspects::PARTS as usize }, FLAGS> = Array::new();

/// How old the filter is.
#[btf_map]
pub static GUARD: PerCpuArray<Guard, 1> = PerCpuArray::new();

/// Frozen before the programs are verified, as are all that follow: regions of each kind.
#[unsafe(no_mangle)]
pub static CPUS: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
pub static MOST_SOURCES: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static MOST_TARGETS: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static SOURCE_LINES: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static TARGET_LINES: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static BLOCKS: Global<u32> = Global::new(0);
/// Secrets of the hashes.
#[unsafe(no_mangle)]
pub static SOURCE_FACTORS: Global<SourceFactors> = Global::new([0; 5]);
#[unsafe(no_mangle)]
pub static TARGET_FACTORS: Global<TargetFactors> = Global::new([0; 7]);
#[unsafe(no_mangle)]
pub static FLOW_FACTORS: Global<FlowFactors> = Global::new([0; 11]);
#[unsafe(no_mangle)]
pub static FLOW_LINES: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static PORT_SECRET: Global<u64> = Global::new(0);

/// One of the factors: read by itself, because an array would be copied to the stack first.
#[inline(always)]
pub fn factor<const N: usize>(factors: &'static Global<[u64; N]>, index: usize) -> u64 {
    // SAFETY: callers stay within the array, of which the global is a transparent wrapper.
    unsafe { core::ptr::from_ref(factors).cast::<u64>().add(index).read_volatile() }
}

/// This CPU's tables in one slot.
#[derive(Clone, Copy)]
pub struct Tables {
    slot: u32,
    cpu: u32,
    /// Which region of those that are drained.
    region: u32,
}

impl Tables {
    /// Those of this CPU.
    #[inline(always)]
    pub fn of_slot(slot: u32) -> Self {
        // SAFETY: the helper has no preconditions.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        Self { slot, cpu, region: (slot & 1) * CPUS.load() + cpu }
    }
}

/// Makes a reference of what a look-up found.
#[inline(always)]
fn own<T>(entry: Option<*mut T>) -> Option<&'static mut T> {
    // SAFETY: maps live as long as the program, the region belongs to this CPU, and an XDP program does not interrupt
    // itself. Callers hold one reference at a time, because each borrows the tables.
    entry.map(|entry| unsafe { &mut *entry })
}

impl netwatch_common::tables::Tables for Tables {
    #[inline(always)]
    fn slot(&self) -> u32 {
        self.slot
    }

    #[inline(always)]
    fn most_sources(&self) -> u32 {
        MOST_SOURCES.load()
    }

    #[inline(always)]
    fn most_targets(&self) -> u32 {
        MOST_TARGETS.load()
    }

    #[inline(always)]
    fn source_lines(&self) -> u32 {
        SOURCE_LINES.load()
    }

    #[inline(always)]
    fn target_lines(&self) -> u32 {
        TARGET_LINES.load()
    }

    #[inline(always)]
    fn blocks(&self) -> u32 {
        BLOCKS.load()
    }

    #[inline(always)]
    fn hash_source(&self, source: &Addr) -> Hash {
        Hash::of_source(|index| factor(&SOURCE_FACTORS, index), source)
    }

    #[inline(always)]
    fn hash_target(&self, source: u32, dest: &Addr, service: Service) -> Hash {
        Hash::of_target(|index| factor(&TARGET_FACTORS, index), source, dest, service)
    }

    #[inline(always)]
    fn port_hash(&self) -> PortHash {
        PortHash::new(PORT_SECRET.load())
    }

    #[inline(always)]
    fn fill(&mut self) -> Option<&mut Fill> {
        own(FILLS.get_ptr_mut(self.region))
    }

    #[inline(always)]
    fn source_line(&mut self, line: u32) -> Option<&mut Line> {
        own(SOURCE_INDEX.get_ptr_mut(self.cpu * (SOURCE_LINES.load() + 1) + line))
    }

    #[inline(always)]
    fn target_line(&mut self, line: u32) -> Option<&mut Line> {
        own(TARGET_INDEX.get_ptr_mut(self.cpu * (TARGET_LINES.load() + 1) + line))
    }

    #[inline(always)]
    fn source(&mut self, position: u32) -> Option<&mut Source> {
        own(SOURCES.get_ptr_mut(self.region * (MOST_SOURCES.load() + 1) + position))
    }

    #[inline(always)]
    fn target(&mut self, position: u32) -> Option<&mut Target> {
        own(TARGETS.get_ptr_mut(self.region * (MOST_TARGETS.load() + 1) + position))
    }

    #[inline(always)]
    fn block(&mut self, block: u32) -> Option<&mut Block> {
        own(FILTER.get_ptr_mut(self.cpu * (BLOCKS.load() + 1) + block))
    }

    #[inline(always)]
    fn guard(&mut self) -> Option<&mut Guard> {
        own(GUARD.get_ptr_mut(0))
    }

    #[inline(always)]
    fn is_suspect(&mut self, bits: u64) -> bool {
        // SAFETY: the pointer is to a live value of the map. Userspace may write to it, a word at a time.
        SUSPECTS.get_ptr(Suspects::part(bits)).is_some_and(|part| unsafe { (*part).has(bits) })
    }
}
