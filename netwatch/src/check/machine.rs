//! The kernel, and what this process may do with it.

use std::fs;

use super::{Line, Standing, line};
use crate::kernel::{Error, Options, Watch, host, object, size};

/// What is to say before anything is tried.
pub(super) fn lines() -> Vec<Line> {
    vec![kernel(), btf(), jit(), privileges(), replies()]
}

/// Really loads the program, attached to nothing: the only sure answer.
pub(super) fn trial(map_memory: u64) -> Line {
    const TOPIC: &str = "program";
    if object::product().is_none() {
        return line(Standing::Problem, TOPIC, Error::NoObject.to_string());
    }
    let size = Watch::load(&Options::of_this_host(map_memory)).and_then(|mut watch| {
        size::size_of_program(watch.program()?).map_err(|error| Error::Object(error.to_string()))
    });
    match size {
        Ok(size) => {
            let verified = size
                .verified_instructions
                .map_or(String::new(), |count| format!("; the verifier walked {count} instructions"));
            line(
                Standing::Ok,
                TOPIC,
                format!("loads, {} bytes of machine code{verified}", size.machine_code_bytes),
            )
        }
        Err(error) => line(Standing::Problem, TOPIC, error.to_string()),
    }
}

fn kernel() -> Line {
    let (release, version) = (host::kernel_release(), host::kernel_version());
    if version < host::OLDEST_KERNEL {
        let needed = host::OLDEST_KERNEL;
        line(Standing::Problem, "kernel", format!("Linux {release} is too old; run {needed} or newer"))
    } else if version < host::MULTI_BUFFER_KERNEL {
        let needed = host::MULTI_BUFFER_KERNEL;
        line(
            Standing::Warning,
            "kernel",
            format!(
                "Linux {release} has no multi-buffer XDP ({needed}): native mode needs an MTU below about 3,500"
            ),
        )
    } else {
        line(Standing::Ok, "kernel", format!("Linux {release}, with multi-buffer XDP"))
    }
}

fn btf() -> Line {
    if fs::metadata("/sys/kernel/btf/vmlinux").is_ok() {
        line(Standing::Ok, "BTF", "the kernel describes its types")
    } else {
        line(
            Standing::Warning,
            "BTF",
            "no /sys/kernel/btf/vmlinux; netwatch does without, a verifier log says less",
        )
    }
}

fn jit() -> Line {
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable")
        .map(|text| text.trim().to_owned())
        .as_deref()
    {
        Ok("0") => line(
            Standing::Warning,
            "JIT",
            "programs are interpreted, at many times the cost; `sysctl net.core.bpf_jit_enable=1` changes that",
        ),
        Ok(_) => line(Standing::Ok, "JIT", "programs are compiled to machine code"),
        // In a network namespace of its own, or without the privilege, the file does not show.
        Err(_) => line(Standing::Ok, "JIT", "/proc/sys/net/core/bpf_jit_enable does not say"),
    }
}

fn replies() -> Line {
    let by = if host::kernel_version() < host::TCX_KERNEL { "clsact" } else { "tcx" };
    line(Standing::Ok, "replies", format!("told by what this host sends ({by})"))
}

fn privileges() -> Line {
    let missing = host::missing_capabilities();
    if missing.is_empty() {
        line(Standing::Ok, "capabilities", "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
    } else {
        let missing = missing.join(", ");
        line(
            Standing::Problem,
            "capabilities",
            format!(
                "lacks {missing}; run as root, or `setcap cap_bpf,cap_net_admin,cap_perfmon+ep` on the binary"
            ),
        )
    }
}
