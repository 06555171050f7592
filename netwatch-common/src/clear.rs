//! Zeroes, written a word at a time.

use bytemuck::Pod;

/// Makes a value all zero. LLVM would make a call of a plain assignment, which in a BPF program writes single bytes.
#[inline(always)]
pub fn clear<T: Pod>(value: &mut T) {
    const { assert!(align_of::<T>().is_multiple_of(8)) };
    let start = core::ptr::from_mut(value).cast::<u64>();
    let mut word = 0;
    while word < size_of::<T>() / 8 {
        // SAFETY: the word lies inside the value, is aligned as that is, and a `T` may have any bytes.
        unsafe { start.add(word).write_volatile(0) };
        word += 1;
    }
}
