//! How the parser reads bytes: a bounds-checked read at an offset, nothing else.

use bytemuck::AnyBitPattern;

/// The bytes of one packet, from its first header on.
///
/// The kernel implements this over its packet context, the host over a byte slice. Multi-byte values come back
/// as they lie in the packet, in network byte order.
pub trait Frame {
    /// Copies a `T` out of the frame at `offset` bytes, or `None` where it does not lie wholly inside the
    /// bytes at hand.
    fn read<T: AnyBitPattern>(&self, offset: usize) -> Option<T>;

    /// The frame's whole length in bytes.
    ///
    /// It may exceed what [`read`](Self::read) can reach: a multi-buffer XDP frame shows a program only its
    /// first buffer.
    fn len(&self) -> usize;

    /// Whether the frame has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Frame for [u8] {
    fn read<T: AnyBitPattern>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        Some(bytemuck::pod_read_unaligned(self.get(offset..end)?))
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stay_inside_the_slice() {
        let bytes = [1u8, 2, 3, 4];
        let frame = &bytes[..];
        assert_eq!(frame.read::<u16>(2), Some(u16::from_ne_bytes([3, 4])));
        assert_eq!(frame.read::<u16>(3), None);
        assert_eq!(frame.read::<u32>(0), Some(u32::from_ne_bytes(bytes)));
        assert_eq!(frame.read::<u32>(usize::MAX), None);
    }
}
