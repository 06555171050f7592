//! Find or make an entry of a per-CPU hash map.

use aya_ebpf::{bindings::BPF_ANY, btf_maps::PerCpuHashMap};

/// This CPU's value under `key`, made if it is not there. `None` where the map takes no more entries.
#[inline(always)]
pub fn entry<K, V, const N: usize>(map: &PerCpuHashMap<K, V, N>, key: &K, zero: &V) -> Option<*mut V> {
    if let Some(value) = map.get_ptr_mut(key) {
        return Some(value);
    }
    // Another CPU may have made the entry since. Overwriting is right all the same: an update from a program
    // writes this CPU's value only, and this CPU has not counted here yet.
    map.insert(key, zero, BPF_ANY.into()).ok()?;
    map.get_ptr_mut(key)
}
