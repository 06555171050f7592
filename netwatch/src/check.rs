//! `netwatch check`: can this machine run netwatch, and what to do where it cannot.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::analysis::limits::WINDOW_SLOTS;
use crate::config;
use crate::ethtool::{self, Driver};
use crate::exit::Usage;
use crate::iface::{Interface, Interfaces};
use crate::kernel::{Capacity, Error, Options, Watch, host, object, program};

/// How one thing that was looked at stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As it should be.
    Ok,
    /// netwatch runs, but something is worth knowing.
    Warning,
    /// netwatch does not run, or not on this interface.
    Problem,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How it stands.
    pub standing: Standing,
    /// What was looked at.
    pub topic: String,
    /// What was found, and what to do about it.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = match self.standing {
            Standing::Ok => "ok",
            Standing::Warning => "warning",
            Standing::Problem => "problem",
        };
        write!(f, "{standing:<8} {:<14} {}", self.topic, self.text)
    }
}

/// Looks at the machine and at the named interfaces, or at that of the default route.
///
/// # Errors
///
/// A bad option; whatever is wrong with the machine is a line, not an error.
pub async fn check(names: &[String], map_memory: &str) -> anyhow::Result<Vec<Line>> {
    let names = config::interfaces(names).map_err(Usage)?;
    let map_memory = config::map_memory(map_memory).map_err(Usage)?;
    let mut lines = vec![kernel(), btf(), jit(), privileges()];
    lines.push(replies());
    lines.extend(memory(map_memory));
    lines.push(trial(map_memory));
    let interfaces = Interfaces::connect()?;
    if names.is_empty() {
        match interfaces.of_default_route().await {
            Ok(interface) => lines.extend(about(&interface)),
            Err(error) => {
                lines.push(line(
                    Standing::Warning,
                    "interface",
                    format!("{error}, without which `run` ends"),
                ));
            }
        }
    }
    for name in &names {
        match interfaces.by_name(name).await? {
            Some(interface) => lines.extend(about(&interface)),
            None => {
                lines.push(line(Standing::Problem, name, Error::NoSuchInterface(name.clone()).to_string()));
            }
        }
    }
    Ok(lines)
}

fn line(standing: Standing, topic: &str, text: impl Into<String>) -> Line {
    Line { standing, topic: topic.to_owned(), text: text.into() }
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

fn memory(map_memory: u64) -> Vec<Line> {
    let cpus = host::possible_cpus() as u64;
    let capacity = Capacity::within(map_memory, cpus);
    let mib = capacity.bytes(cpus) >> 20;
    let text = format!(
        "{mib} MiB per interface count {} sources and {} targets per slot on each of {cpus} CPUs; under a flood of forged \
         sources the window takes up to {} MiB besides",
        capacity.sources,
        capacity.targets,
        capacity.window_bytes(WINDOW_SLOTS, cpus) >> 20
    );
    let mut lines = vec![match host::available_memory() {
        Some(available) if available / 2 < capacity.bytes(cpus) => {
            let available = available >> 20;
            line(
                Standing::Warning,
                "maps",
                format!(
                    "{text}; that is much of the {available} MiB available, lower it with `--map-memory`"
                ),
            )
        }
        _ => line(Standing::Ok, "maps", text),
    }];
    if capacity.sources < 10_000 {
        lines.push(line(
            Standing::Warning,
            "maps",
            "a busy link has more sources than fit; give the maps more with `--map-memory`",
        ));
    }
    lines
}

/// Really loads the program, attached to nothing: the only sure answer.
fn trial(map_memory: u64) -> Line {
    const TOPIC: &str = "program";
    if object::product().is_none() {
        return line(Standing::Problem, TOPIC, Error::NoObject.to_string());
    }
    let size = Watch::load(&Options::of_this_host(map_memory)).and_then(|mut watch| {
        program::size_of_program(watch.program()?).map_err(|error| Error::Object(error.to_string()))
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

fn about(interface: &Interface) -> Vec<Line> {
    let name = &interface.name;
    let mut lines = Vec::new();
    if let Err(link_type) = interface.link {
        let error = Error::LinkType { interface: name.clone(), link_type };
        return vec![line(Standing::Problem, name, error.to_string())];
    }
    let driver = ethtool::driver(name).ok();
    lines.push(mode(interface, driver.as_ref()));
    if !interface.up {
        lines.push(line(Standing::Warning, name, format!("is down; `ip link set {name} up` brings it up")));
    }
    if let Some(id) = interface.xdp_program {
        lines.push(line(
            Standing::Problem,
            name,
            format!("already has XDP program {id} (`bpftool prog show id {id}`); stop its owner first"),
        ));
    }
    if driver.as_ref().is_some_and(|driver| driver.strips_vlan_tags) {
        lines.push(line(
            Standing::Warning,
            name,
            format!(
                "takes VLAN tags off before XDP sees them: packets are counted, their VLAN is not known; \
                 `ethtool -K {name} rxvlan off` leaves them on"
            ),
        ));
    }
    if driver.is_some_and(|driver| driver.merges_packets) {
        lines.push(line(
            Standing::Warning,
            name,
            format!(
                "merges received packets (LRO), which native XDP does not allow; `ethtool -K {name} lro off`"
            ),
        ));
    }
    lines
}

fn mode(interface: &Interface, driver: Option<&Driver>) -> Line {
    let name = &interface.name;
    let driver = driver.map_or("none", |driver| driver.name.as_str());
    let since = NATIVE_DRIVERS.iter().find(|(known, ..)| *known == driver);
    match since {
        Some((_, since, frags)) if host::kernel_version() >= *since => {
            // Without multi-buffer support a frame must fit into a page, beside headroom and bookkeeping.
            if interface.mtu > 3498 && frags.is_none_or(|frags| host::kernel_version() < frags) {
                return line(
                    Standing::Warning,
                    name,
                    format!(
                        "driver {driver} knows native XDP only up to an MTU of about 3,500, this is {}: \
                         netwatch will use generic mode",
                        interface.mtu
                    ),
                );
            }
            line(
                Standing::Ok,
                name,
                format!(
                    "driver {driver} has native XDP, MTU {}; what its offloads allow shows when attaching",
                    interface.mtu
                ),
            )
        }
        _ => line(
            Standing::Warning,
            name,
            format!(
                "driver {driver} is not known to have native XDP in this kernel: netwatch will use generic mode, \
                 which costs more per packet and counts what the kernel has merged as one packet; \
                 `ethtool -K {name} gro off` stops the merging"
            ),
        ),
    }
}

/// Drivers with native XDP, since which kernel, and since which they take multi-buffer programs.
/// Source: the driver table of the eBPF documentation project, up to Linux 6.19.
const NATIVE_DRIVERS: &[(&str, host::Version, Option<host::Version>)] = {
    use host::Version as V;
    &[
        ("atlantic", V(5, 19), Some(V(5, 19))),
        ("bnxt_en", V(4, 11), Some(V(5, 19))),
        ("bonding", V(5, 15), None),
        ("ena", V(5, 6), None),
        ("fec", V(6, 2), None),
        ("fsl_dpaa2_eth", V(5, 0), None),
        ("fsl_enetc", V(5, 13), None),
        ("gve", V(6, 4), None),
        ("hv_netvsc", V(5, 6), None),
        ("i40e", V(4, 13), Some(V(6, 4))),
        ("ice", V(5, 5), Some(V(6, 3))),
        ("idpf", V(6, 18), None),
        ("igb", V(5, 10), None),
        ("igc", V(5, 13), None),
        ("ionic", V(6, 9), Some(V(6, 9))),
        ("ixgbe", V(4, 12), None),
        ("ixgbevf", V(4, 17), None),
        ("mana", V(5, 17), None),
        ("mlx4_en", V(4, 8), None),
        ("mlx5_core", V(4, 9), Some(V(5, 18))),
        ("mtk_eth_soc", V(6, 0), None),
        ("mvneta", V(5, 5), Some(V(5, 18))),
        ("mvpp2", V(5, 9), None),
        ("nfp", V(4, 10), None),
        ("nicvf", V(4, 12), None),
        ("qede", V(4, 10), None),
        ("sfc", V(5, 5), None),
        ("stmmac", V(5, 13), None),
        ("tun", V(4, 14), None),
        ("veth", V(4, 19), Some(V(5, 18))),
        ("virtio_net", V(4, 10), Some(V(6, 3))),
        ("vmxnet3", V(6, 6), None),
        ("xen_netfront", V(5, 9), None),
    ]
};

/// Prints the lines and returns the exit code: 1 where there is a problem.
///
/// # Errors
///
/// stdout cannot be written; a closed pipe is no error.
pub fn print(lines: &[Line]) -> anyhow::Result<ExitCode> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let problem = lines.iter().any(|line| line.standing == Standing::Problem);
    Ok(if problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
