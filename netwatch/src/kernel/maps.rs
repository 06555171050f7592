//! The maps of one interface: swapped each slot, then drained.
//!
//! Programs count in one of two halves of the tables, as the number of the slot says. Swapping writes the next number and
//! then updates a map of maps with what is in it already, for the sake of what the kernel does after such an update
//! (Linux 5.0): it waits until every program that was running has ended (`synchronize_rcu`). So what is drained
//! afterwards is complete, and nothing is counted twice.

use std::sync::Arc;

use aya::{
    Ebpf, Pod,
    maps::{Array, ArrayOfMaps, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use bytemuck::Zeroable as _;
use netwatch_common::{
    Addr, Control, ListedCounts, ListedKey, Totals,
    entries::Entry,
    prefixes::{HEADS, Line},
    secrets::Secrets,
};

use super::{Capacity, Error, Hints, Reader, feeds::Feeds, tables::Regions};
use crate::analysis::HintRates;

/// Lets a type of `netwatch-common`, which knows nothing of aya, cross aya's interface.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Wire<T>(pub T);

// SAFETY: the wrapper is transparent, and `bytemuck::Pod` demands all that aya's `Pod` does.
unsafe impl<T: bytemuck::Pod> Pod for Wire<T> {}

/// Reads what the CPUs have counted since a program was loaded, from any thread, while they count.
#[derive(Clone)]
pub struct Meter(Arc<PerCpuArray<MapData, Wire<Totals>>>);

impl Meter {
    /// What all CPUs counted since the program was loaded.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<Totals, Error> {
        let values = self.0.get(&0, 0).map_err(|error| Error::from_map(error, 0))?;
        let mut sum = Totals::default();
        values.iter().for_each(|Wire(totals)| sum.add(totals));
        Ok(sum)
    }
}

/// The maps of one interface.
pub struct Maps {
    control: Array<MapData, Wire<Control>>,
    set: Control,
    barrier: ArrayOfMaps<MapData, MapData>,
    /// What lies in the barrier: nothing that matters.
    stone: MapData,
    regions: Arc<Regions>,
    meter: Meter,
    hints: Option<Hints>,
    feeds: Feeds,
    /// No program counts in the half that is not in use.
    is_idle: bool,
}

impl Maps {
    /// Takes the maps of a loaded object, of which [`tables::prepare`](super::tables::prepare) has set the sizes. Its
    /// programs must be loaded already: a map that is dropped before a program is loaded cannot be found any more.
    pub(super) fn new(
        object: &mut Ebpf,
        capacity: Capacity,
        secrets: Secrets,
        cpus: usize,
    ) -> Result<Self, Error> {
        let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_ARRAY as u32, 4, 4, 1, 0);
        let mut maps = Self {
            control: take(object, "CONTROL")?,
            set: Control::default(),
            barrier: take(object, "BARRIER")?,
            stone: MapData::create(definition, "nw_stone", None)
                .map_err(|error| Error::from_map(error, 0))?,
            regions: Arc::new(Regions::take(object, capacity, secrets, cpus)?),
            meter: Meter(Arc::new(take(object, "TOTALS")?)),
            hints: Some(Hints::new(take::<RingBuf<MapData>>(object, "HINTS")?)),
            feeds: Feeds::take(object, cpus)?,
            is_idle: false,
        };
        maps.wait_for_programs()?;
        Ok(maps)
    }

    /// Lets programs count into the other half of the tables from here on. When this returns, none uses the old half
    /// any more. Blocks for a grace period of the kernel, mostly 10 to 40 ms.
    ///
    /// # Errors
    ///
    /// The kernel's error. Programs may then still be counting in the half that is not in use: drain it
    /// after the next swap but one, when nothing is lost.
    pub fn swap(&mut self) -> Result<(), Error> {
        self.is_idle = false;
        self.tell(Control { slot: self.set.slot.wrapping_add(1), ..self.set })?;
        self.wait_for_programs()?;
        self.is_idle = true;
        Ok(())
    }

    /// The same where no program can be running: nothing is waited for.
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub(super) fn turn(&mut self) -> Result<(), Error> {
        self.tell(Control { slot: self.set.slot.wrapping_add(1), ..self.set })?;
        self.is_idle = true;
        Ok(())
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

    /// Looks into tables that are in use.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.regions), self.feeds.tables())
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

    /// Empties the half of the tables that is not in use. After a swap that failed it hands over nothing: programs may be
    /// counting there still, and what they have counted comes with a later slot.
    pub fn drain(&mut self, each: impl FnMut(Entry<'_>)) {
        if self.is_idle {
            // SAFETY: programs that were running when the number of the slot changed have ended, because the swap waited
            // for them, and all others count in the other half.
            unsafe { self.regions.drain(self.set.slot.wrapping_sub(1), each) }
        }
    }

    /// Tells the programs how many packets of each kind they may send to be looked into, in each period; 0 is none.
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub(super) fn inspect(&mut self, samples: u32) -> Result<(), Error> {
        self.tell(Control { samples, ..self.set })
    }

    /// Tells the programs that packets of some sources may be wanted.
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub(super) fn keep_evidence(&mut self) -> Result<(), Error> {
        self.tell(Control { wanted: 1, ..self.set })
    }

    /// Puts a set of listed addresses ([`netwatch_common::prefixes`]) in the place of the one that programs look packets up
    /// in; without any prefix in it, they look nothing up any more. No packet goes by unjudged.
    ///
    /// # Errors
    ///
    /// The kernel's error; the old set then stays.
    pub fn set_feeds(&mut self, lines: &[Line]) -> Result<(), Error> {
        let are_listed = lines.iter().take(HEADS as usize).any(|head| *head != Line::zeroed());
        if are_listed {
            self.feeds.set(lines)?;
            self.tell(Control { feeds: 1, ..self.set })
        } else {
            self.tell(Control { feeds: 0, ..self.set })?;
            self.feeds.set(&[])
        }
    }

    /// Hands over what was counted of listed addresses in the slot that the last swap has ended, each pair once; what
    /// [`drain`](Self::drain) says holds here, too.
    ///
    /// # Errors
    ///
    /// The kernel's error. What was not handed over comes with the next slot but one.
    pub fn drain_listed(&mut self, each: impl FnMut(ListedKey, ListedCounts)) -> Result<(), Error> {
        if !self.is_idle {
            return Ok(());
        }
        let listed = self.totals()?.listed;
        self.feeds.drain(self.set.slot.wrapping_sub(1), listed, each)
    }

    /// Sets which sources get an entry in any case, instead of those that did.
    pub fn set_suspects(&self, suspects: &[Addr]) {
        self.regions.set_suspects(suspects);
    }

    /// What all CPUs counted since the program was loaded.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<Totals, Error> {
        self.meter.totals()
    }

    /// Reads the same, from any thread.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    fn wait_for_programs(&mut self) -> Result<(), Error> {
        self.barrier.set(0, &self.stone, 0).map_err(|error| Error::from_map(error, 0))
    }

    fn tell(&mut self, control: Control) -> Result<(), Error> {
        self.control.set(0, Wire(control), 0).map_err(|error| Error::from_map(error, 0))?;
        self.set = control;
        Ok(())
    }
}

/// Takes a map out of the object, as the type it must be.
pub(super) fn take<T: TryFrom<Map, Error = MapError>>(object: &mut Ebpf, name: &str) -> Result<T, Error> {
    object
        .take_map(name)
        .ok_or_else(|| Error::Object(format!("it has no map {name}")))?
        .try_into()
        .map_err(|error| Error::Object(format!("its map {name} is another: {error}")))
}
