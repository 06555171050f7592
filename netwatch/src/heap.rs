//! How the heap is to behave.

/// Sizes from which on a block of memory is one of its own, in bytes, and goes back to the system when it is freed.
#[cfg(target_env = "gnu")]
const OWN_BLOCK: libc::c_int = 256 << 10;

/// Lets memory that a flood took go back to the system. Left to itself, glibc keeps what was freed once in blocks of up to
/// 32 MiB, and the lists of drained slots, of which each is a little larger or smaller than the one before, leave holes
/// in it.
pub fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a call that sets a number, before there is another thread. Where it fails nothing changes.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_BLOCK);
    }
}
