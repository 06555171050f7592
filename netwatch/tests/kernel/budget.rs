//! What the kernel program costs the verifier, and what must not be in it.

use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use netwatch::kernel::{Error, Watch, object, size::size_of_program};
use netwatch_common::Verdict;

use crate::options;

/// Instructions that the verifier may walk, of the million it allows. Room for other compilers: with LLVM 22 it
/// walks about 140,000.
const VERIFIED_INSTRUCTIONS: u32 = 300_000;
/// Bytes of machine code: with LLVM 22 it is 37,000, of which a known source's packet touches a fifth. What is done for listed
/// addresses is 9,000 of them, and touched only where there are feeds.
const MACHINE_CODE: u32 = 44 * 1024;

#[test]
fn the_program_keeps_its_budget() {
    for closer in [false, true] {
        let mut watch = Watch::load(&netwatch::kernel::Options { closer, ..options() }).unwrap();
        let counts = size_of_program(watch.program().unwrap()).unwrap();
        let sizes = [Some(counts), watch.size_of_closer().unwrap()];
        println!("{sizes:?}");
        assert_eq!(sizes[1].is_some(), closer);
        for size in sizes.into_iter().flatten() {
            let verified = size.verified_instructions.expect("this kernel tells");
            assert!(verified <= VERIFIED_INSTRUCTIONS, "{verified} instructions verified");
            assert!(size.machine_code_bytes <= MACHINE_CODE, "{} bytes", size.machine_code_bytes);
        }
    }
}

#[test]
fn the_program_for_older_kernels_loads_too() {
    let mut product = aya::Ebpf::load(object::product().unwrap()).unwrap();
    let program: &mut Xdp = product.program_mut("netwatch").unwrap().try_into().unwrap();
    program.load().unwrap();
    println!("{:?}", size_of_program(program).unwrap());
    let run = TestRunOptions { data_in: Some(&[0; 60]), ..TestRunOptions::new() };
    assert_eq!(program.test_run(run).unwrap().return_value, 2, "XDP_PASS");
}

#[test]
fn the_log_costs_nothing_when_off() {
    let size = |log_level| {
        let mut watch = Watch::load(&netwatch::kernel::Options { log_level, ..options() }).unwrap();
        size_of_program(watch.program().unwrap()).unwrap()
    };
    let (off, on) = (size(0), size(5));
    println!("off: {off:?}, on: {on:?}");
    assert!(off.machine_code_bytes < on.machine_code_bytes, "the verifier removes what cannot be reached");
    assert!(on.verified_instructions.unwrap() <= VERIFIED_INSTRUCTIONS);
}

#[test]
fn every_path_passes_the_packet_on() {
    const XDP_PASS: u32 = 2;
    let mut watch = Watch::load(&options()).unwrap();
    let mut frame = vec![0_u8; 4096];
    for (i, byte) in frame.iter_mut().enumerate() {
        *byte = (i * 7 % 251) as u8;
    }
    for ether_type in [[8, 0], [0x86, 0xdd], [0x81, 0], [8, 6], [0, 0]] {
        frame[12..14].copy_from_slice(&ether_type);
        for first in [0x45, 0x4f, 0x60, 0x00, 0xff] {
            frame[14] = first;
            for len in [14, 15, 18, 33, 34, 40, 54, 60, 100, 1500, 4096] {
                let program = watch.program().unwrap();
                let run = TestRunOptions { data_in: Some(&frame[..len]), ..TestRunOptions::new() };
                assert_eq!(program.test_run(run).unwrap().return_value, XDP_PASS);
            }
        }
    }
    let totals = watch.totals().unwrap();
    assert_eq!(totals.seen, 5 * 5 * 11);
    assert_eq!(Verdict::ALL.map(|verdict| totals.verdict(verdict)).iter().sum::<u64>(), totals.seen);
}

#[test]
fn what_the_verifier_refuses_is_said_in_one_line() {
    let mut reference = aya::Ebpf::load(object::reference().unwrap()).unwrap();
    let program: &mut Xdp = reference.program_mut("reference_refused").unwrap().try_into().unwrap();
    let error = Error::from_program_load(program.load().unwrap_err());
    println!("{error}");
    let Error::Verifier { reason, log } = &error else { panic!("{error:?}") };
    assert!(reason.contains("outside of the packet"), "{reason}");
    assert!(log.lines().count() > 5 && log.contains("processed"), "{log}");
    assert_eq!(error.to_string().lines().count(), 1);
    assert!(error.to_string().contains("--verifier-log"));
}
