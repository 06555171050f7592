//! The kernel programs, embedded by the build script.

use aya::include_bytes_aligned;

static PRODUCT: &[u8] = include_bytes_aligned!(env!("NETWATCH_EBPF_OBJECT"));
static REFERENCE: &[u8] = include_bytes_aligned!(env!("NETWATCH_REFERENCE_OBJECT"));

/// The program that netwatch runs, as an ELF object; `None` where netwatch was built without it.
#[must_use]
pub fn product() -> Option<&'static [u8]> {
    (!PRODUCT.is_empty()).then_some(PRODUCT)
}

/// The programs that benchmarks measure beside it; `None` where netwatch was built without them.
#[must_use]
pub fn reference() -> Option<&'static [u8]> {
    (!REFERENCE.is_empty()).then_some(REFERENCE)
}
