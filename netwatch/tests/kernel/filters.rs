//! Filters as they run in the kernel, against an interpreter of classic BPF: the same frames, the same answers.

use std::os::fd::{AsRawFd as _, OwnedFd};

use bytemuck::{Pod, Zeroable};
use netwatch::filter::{Classic, Ending, Filter, LinkType, translate};
use netwatch::kernel::view::load_filter;
use xtask::traffic::mixture::Mixture;
use xtask::traffic::transport::{ACK, FIN, SYN};
use xtask::traffic::{Frame, scenario};

use crate::wire::{TARGET, TARGET6, host};

/// What a packet is to a program of classic BPF: 0 where it reads beyond the end, or divides by zero.
fn interpret(program: &[Classic], frame: &[u8]) -> u32 {
    let (mut a, mut x, mut memory, mut at) = (0_u32, 0_u32, [0_u32; 16], 0);
    let read = |start: u64, bytes: usize| -> Option<u32> {
        let start = usize::try_from(start).ok()?;
        let bytes = frame.get(start..start.checked_add(bytes)?)?;
        Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    loop {
        let Classic { code, jump_true, jump_false, k } = program[at];
        at += 1;
        let size = [4, 2, 1, 0][usize::from(code >> 3 & 3)];
        let operand = if code & 0x08 != 0 { x } else { k };
        match code & 7 {
            0 => {
                let value = match code & 0xe0 {
                    0x00 => Some(k),
                    0x20 => read(k.into(), size),
                    0x40 => read(u64::from(x) + u64::from(k), size),
                    0x60 => Some(memory[k as usize]),
                    0x80 => Some(frame.len() as u32),
                    other => panic!("mode {other:#x}"),
                };
                let Some(value) = value else { return 0 };
                a = value;
            }
            1 => {
                let value = match code & 0xe0 {
                    0x00 => Some(k),
                    0x60 => Some(memory[k as usize]),
                    0x80 => Some(frame.len() as u32),
                    0xa0 => read(k.into(), 1).map(|byte| (byte & 0xf) * 4),
                    other => panic!("mode {other:#x}"),
                };
                let Some(value) = value else { return 0 };
                x = value;
            }
            2 => memory[k as usize] = a,
            3 => memory[k as usize] = x,
            4 => {
                a = match code & 0xf0 {
                    0x00 => a.wrapping_add(operand),
                    0x10 => a.wrapping_sub(operand),
                    0x20 => a.wrapping_mul(operand),
                    0x30 | 0x90 if operand == 0 => return 0,
                    0x30 => a / operand,
                    0x40 => a | operand,
                    0x50 => a & operand,
                    0x60 => a.checked_shl(operand).unwrap_or(0),
                    0x70 => a.checked_shr(operand).unwrap_or(0),
                    0x80 => a.wrapping_neg(),
                    0x90 => a % operand,
                    0xa0 => a ^ operand,
                    other => panic!("operation {other:#x}"),
                }
            }
            5 => {
                let holds = match code & 0xf0 {
                    0x00 => {
                        at += k as usize;
                        continue;
                    }
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    0x40 => a & operand != 0,
                    other => panic!("comparison {other:#x}"),
                };
                at += usize::from(if holds { jump_true } else { jump_false });
            }
            6 => return if code & 0x18 == 0x10 { a } else { k },
            _ if code & 0x80 == 0 => x = a,
            _ => a = x,
        }
    }
}

/// Runs a loaded program on a frame. Nothing where the kernel runs none on it: newer ones want a whole IP header.
fn run(program: &OwnedFd, frame: &[u8]) -> Option<u32> {
    /// `struct test` of `union bpf_attr`, as far as it is used.
    #[derive(Clone, Copy, Pod, Zeroable)]
    #[repr(C)]
    struct Test {
        program: u32,
        result: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
    }
    const TEST_RUN: libc::c_long = 10;
    let mut test = Test {
        program: program.as_raw_fd().cast_unsigned(),
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ..Test::zeroed()
    };
    // SAFETY: the attributes have the layout of the command, and lead to the frame alone.
    let result = unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, &raw mut test, size_of::<Test>()) };
    let error = std::io::Error::last_os_error();
    match (result, error.raw_os_error()) {
        (0, _) => Some(test.result),
        (_, Some(libc::EINVAL)) if frame.len() < 54 => None,
        _ => panic!("{error}: {frame:02x?}"),
    }
}

/// Frames of many kinds, and the same ones cut short.
fn frames() -> Vec<Vec<u8>> {
    let v6 = || Frame::ipv6("2001:db8:9::1".parse().unwrap(), TARGET6);
    let mut frames = vec![
        Frame::ipv4(host(1), TARGET).options(&[1; 20]).tcp(80, 4000, SYN | ACK).build(),
        Frame::ipv4(host(2), TARGET).fragment(3, true).protocol(6, &[7; 40]).build(),
        Frame::ipv4(host(3), TARGET).vlan(0x8100, 5).udp(53, 53, &[1; 30]).build(),
        Frame::ipv4(host(4), TARGET).vlan(0x88a8, 5).vlan(0x8100, 6).tcp(1, 443, FIN).build(),
        v6().tcp(443, 4000, ACK).build(),
        v6().echo_request(1, 2).build(),
        Frame::ethernet(0x0806, &[1; 28]).build(),
        Frame::ethernet(0x8847, &[1; 60]).build(),
    ];
    frames.extend(Mixture::new(7, 1000).map(|(_, frame)| frame).take(300));
    frames.extend(scenario::multicast(9));
    let cut: Vec<_> = frames
        .iter()
        .step_by(5)
        .flat_map(|frame| [20, 34, 37, 54].map(|len| frame[..len.min(frame.len())].to_vec()))
        .collect();
    frames.extend(cut);
    frames
}

#[test]
fn what_matches_in_the_kernel_is_what_matches_by_the_book() {
    let frames = frames();
    let (mut ran, mut matched) = (0, 0);
    for expression in [
        "tcp",
        "udp port 53",
        "tcp port 80 and host 203.0.113.1",
        "ip[0] & 0xf > 5",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
        "vlan",
        "vlan 5",
        "vlan 5 and vlan 6 and tcp",
        "icmp6 and ip6[40] = 128",
        "portrange 50-500",
        "not (tcp or udp or arp)",
        "len > 100 and len <= 600",
        "ip6 net 2001:db8::/32 or net 203.0.113.0/24",
        "ether multicast and not broadcast",
        "mpls",
        "ip[len - 40] > 100",
        "ip[2:2] % 7 = 3",
        "ip[2:2] / 3 * 3 != ip[2:2]",
        "ip[8] << 2 > 255",
        "(ip[2:2] ^ 0xffff) >> 4 > 4000",
        "icmp[icmptype] = icmp-echo or icmp6",
        "-ip[3] & 0xff = 0xd8",
        "tcp[13] = 2 and tcp[14:2] > 0 or udp[4:2] = 0",
    ] {
        let filter = Filter::compile(expression, LinkType::Ethernet).unwrap_or_else(|e| panic!("{e}"));
        let program = load_filter(&filter.translate(Ending::Return).unwrap())
            .unwrap_or_else(|error| panic!("{expression}: {error}"));
        for frame in &frames {
            let Some(got) = run(&program, frame) else { continue };
            let wanted = u32::from(interpret(filter.program(), frame) != 0);
            assert_eq!(got, wanted, "{expression} of {frame:02x?}");
            (ran, matched) = (ran + 1, matched + wanted);
        }
    }
    println!("{ran} frames, {matched} matches");
    assert!(ran > 7000 && matched > 1000);
}

/// Programs that libpcap would not write: each instruction, in an order that a random number says.
#[test]
fn programs_of_every_instruction_do_what_they_do_by_the_book() {
    let frame: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(37)).collect();
    let mut state = 1_u64;
    let mut random = |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 33).unwrap() % below
    };
    let (mut ones, mut loaded) = (0, 0);
    for _ in 0..400 {
        let mut program = Vec::new();
        for left in (1..30_u32).rev() {
            let k = [random(8), random(64), random(300), u32::MAX - random(9)][random(4) as usize];
            let (code, k) = match random(12) {
                0 => (0x00, k),
                1 => ([0x20, 0x28, 0x30][random(3) as usize], random(250)),
                2 => ([0x40, 0x48, 0x50][random(3) as usize], random(40)),
                3 => ([0x60, 0x61, 0x02, 0x03][random(4) as usize], random(16)),
                4 => ([0x80, 0x81][random(2) as usize], 0),
                5 => (0xb1, random(250)),
                6 => ([0x07, 0x87][random(2) as usize], 0),
                7 => (0x01, random(200)),
                8 | 9 => {
                    let operation = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0];
                    let operation = operation[random(11) as usize];
                    let by_x = if operation == 0x80 { 0 } else { random(2) as u16 * 8 };
                    (
                        0x04 | operation | by_x,
                        if operation == 0x60 || operation == 0x70 { k % 40 } else { k.max(1) },
                    )
                }
                _ => {
                    let code = 0x05 | [0x10, 0x20, 0x30, 0x40][random(4) as usize] | (random(2) as u16 * 8);
                    let (jump_true, jump_false) = (random(left) as u8, random(left) as u8);
                    program.push(Classic { code, jump_true, jump_false, k });
                    continue;
                }
            };
            program.push(Classic { code, jump_true: 0, jump_false: 0, k });
        }
        // The lowest bit of the accumulator.
        program.push(Classic { code: 0x54, jump_true: 0, jump_false: 0, k: 1 });
        program.push(Classic { code: 0x16, jump_true: 0, jump_false: 0, k: 0 });
        let code = translate(&program, LinkType::Ethernet, Ending::Return).unwrap();
        let fd = load_filter(&code).unwrap_or_else(|error| panic!("{error}: {program:x?}"));
        loaded += 1;
        let wanted = u32::from(interpret(&program, &frame) != 0);
        assert_eq!(run(&fd, &frame), Some(wanted), "{program:x?}");
        ones += wanted;
    }
    println!("{loaded} programs, of which {ones} say yes");
    assert!(ones > 20 && ones < loaded);
}
