//! What every BPF object must hold besides its programs and maps.

/// Calls a symbol that does not exist, so that a program from which a panic can be reached does not load.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }
    // SAFETY: never runs; see above.
    unsafe { a_panic_can_be_reached() }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
