//! Addresses that feeds list: looked up for each packet as long as there is a set, and counted by pair of addresses.
//!
//! Userspace makes a new set beside the one in use, and puts it into [`FEEDS`] at once: each packet is judged by the one or
//! by the other, and none goes by in between.

use aya_ebpf::{
    bindings::{BPF_F_INNER_MAP, BPF_F_MMAPABLE},
    btf_maps::{Array, ArrayOfMaps, PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use netwatch_common::{
    Addr, Control, Hint, Kind, ListedCounts, ListedKey, Packet, Seen, TargetKey, Totals, Verdict,
    classify::{ACK, SYN},
    listed::{Circumstances, Way},
    prefixes::{Line, Lines, contains},
};

use crate::{
    clock,
    closer::{FIRST, Note},
    entry,
    hints::{News, tell},
    maps::CONTROL,
};

/// A set can be mapped, and is of any size.
const FLAGS: usize = (BPF_F_MMAPABLE | BPF_F_INNER_MAP) as usize;

/// The set in use: see [`netwatch_common::prefixes`].
#[btf_map]
pub static FEEDS: ArrayOfMaps<Array<Line, 1, FLAGS>, 1> = ArrayOfMaps::new();

/// What was counted in slots of even numbers. Userspace chooses how many entries there are. Full, it is full: what has no
/// entry is counted in [`Totals::listed_lost`].
#[btf_map]
pub static LISTED_EVEN: PerCpuHashMap<ListedKey, ListedCounts, 1> = PerCpuHashMap::new();

/// In those of odd numbers.
#[btf_map]
pub static LISTED_ODD: PerCpuHashMap<ListedKey, ListedCounts, 1> = PerCpuHashMap::new();

/// What is known of the packet at hand, and the key to count it under.
#[btf_map]
pub static LISTING: PerCpuArray<Listing, 1> = PerCpuArray::new();

/// It lies in a map and not on the stack, of which there are 512 bytes.
#[repr(C)]
pub struct Listing {
    circumstances: Circumstances,
    key: TargetKey,
    slot: u32,
}

/// Whether there is a set to look packets up in.
#[inline(always)]
pub fn are_loaded(control: &Control) -> bool {
    // SAFETY: the pointer is to a live value of the map. Userspace may write to it, a word at a time.
    unsafe { (&raw const control.feeds).read_volatile() != 0 }
}

/// Counts a received packet where it comes from a listed address, and, where both directions arrive here, where it goes to
/// one. `is_first` is 1 where its sender sent nothing on its UDP flow before.
#[inline(never)]
pub fn received(totals: &mut Totals, packet: &Packet, seen: &Seen, slot: u32, is_first: u32) {
    let Some(control) = CONTROL.get_ptr(0) else { return };
    // SAFETY: as above.
    let is_mirror = unsafe { (&raw const (*control).replies).read_volatile() } == Control::REPLIES_MIRRORED;
    // A SYN-ACK is known where it is no backscatter.
    let is_answer = seen.flags & (SYN | ACK) == SYN | ACK;
    let circumstances = Circumstances {
        bytes: seen.bytes,
        now_ns: seen.now_ns,
        exact_ns: 0,
        completed: seen.completed,
        is_known: u32::from(is_answer && matches!(seen.verdict, Verdict::Known)),
        is_first,
        padding: 0,
    };
    write(&circumstances, slot);
    if is_listed(&packet.source) != 0 {
        count(totals, packet, Hint::FROM_LISTED);
    }
    if is_mirror && is_listed(&packet.dest) != 0 {
        count(totals, packet, Hint::TO_LISTED);
    }
}

/// Counts a packet that this host sends where it goes to a listed address; the rest as above.
#[inline(never)]
pub fn sent(totals: &mut Totals, packet: &Packet, note: &Note) {
    let Note { bytes, now_ns, slot, about } = *note;
    let is_first = about & FIRST;
    write(
        &Circumstances { bytes, now_ns, exact_ns: 0, completed: 0, is_known: 0, is_first, padding: 0 },
        slot,
    );
    if is_listed(&packet.dest) != 0 {
        count(totals, packet, Hint::TO_LISTED);
    }
}

/// Puts what is known of the packet at hand where [`count`] finds it.
#[inline(always)]
fn write(circumstances: &Circumstances, slot: u32) {
    let Some(listing) = LISTING.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and neither program interrupts itself or the other.
    let listing = unsafe { &mut *listing };
    listing.circumstances.bytes = circumstances.bytes;
    listing.circumstances.now_ns = circumstances.now_ns;
    listing.circumstances.completed = circumstances.completed;
    listing.circumstances.is_known = circumstances.is_known;
    listing.circumstances.is_first = circumstances.is_first;
    listing.slot = slot;
}

/// One set for a whole look-up, whatever userspace puts in its place meanwhile.
struct Set(&'static Array<Line, 1, FLAGS>);

impl Lines for Set {
    #[inline(always)]
    fn line(&self, index: u32) -> Option<&Line> {
        self.0.get(index)
    }
}

/// 1 where an address is in the set, 0 elsewhere. A call of its own for the sake of the stack.
#[inline(never)]
fn is_listed(addr: &Addr) -> u32 {
    FEEDS.get(0).map_or(0, |set| u32::from(contains(&Set(set), addr)))
}

/// Counts the packet at hand, of which one end is listed, and tells of it where that is news.
#[inline(never)]
fn count(totals: &mut Totals, packet: &Packet, number: u32) {
    let Some(listing) = LISTING.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and neither program interrupts itself or the other.
    let listing = unsafe { &mut *listing };
    let is_in = number == Hint::FROM_LISTED;
    let (remote, local) = if is_in { (&packet.source, &packet.dest) } else { (&packet.dest, &packet.source) };
    let key = &mut listing.key;
    let (to_remote, to_local) = (&mut key.source.0, &mut key.dest.0);
    (to_remote[0], to_remote[1], to_remote[2], to_remote[3]) =
        (remote.0[0], remote.0[1], remote.0[2], remote.0[3]);
    (to_local[0], to_local[1], to_local[2], to_local[3]) = (local.0[0], local.0[1], local.0[2], local.0[3]);
    key.service = packet.service();

    totals.listed += 1;
    let Some(counts) = entry(listing) else {
        totals.listed_lost += 1;
        return;
    };
    // SAFETY: maps live as long as the program, and the value belongs to this CPU.
    let counts = unsafe { &mut *counts };
    let way = if is_in { Way::In } else { Way::Out };
    if matches!(packet.transport.kind, Kind::Udp) {
        listing.circumstances.exact_ns = clock::exact();
    }
    let seen = &listing.circumstances;
    if counts.count(packet, way, seen) {
        let news = News { kind: Hint::LISTED, slot: listing.slot, number, hint_probes: 0, now: seen.now_ns };
        tell(totals, &listing.key, &news);
    }
}

/// The entry of the packet at hand, made if it is not there; none where there is no room.
#[inline(always)]
fn entry(listing: &Listing) -> Option<*mut ListedCounts> {
    // SAFETY: the target's key begins with the two addresses, which are all of this one.
    let key = unsafe { &*(&raw const listing.key).cast::<ListedKey>() };
    let map = if listing.slot & 1 == 0 { &LISTED_EVEN } else { &LISTED_ODD };
    entry::entry(map, key, &ListedCounts::ZERO)
}
