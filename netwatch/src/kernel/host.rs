//! Facts about this machine that the kernel side depends on.

use std::fs;

use caps::{CapSet, Capability};

/// The oldest kernel that has what netwatch needs: arrays that can be mapped (5.5), BPF links on XDP (5.9), and the
/// coarse clock in programs (5.11).
pub const OLDEST_KERNEL: Version = Version(5, 11);
/// The oldest kernel with tcx, whose links end with their owner.
pub const TCX_KERNEL: Version = Version(6, 6);
/// The oldest kernel with multi-buffer XDP.
pub const MULTI_BUFFER_KERNEL: Version = Version(5, 18);

/// What loading and attaching needs. Without CAP_PERFMON the verifier refuses arithmetic on packet pointers.
pub const NEEDED_CAPABILITIES: [Capability; 3] =
    [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_PERFMON];

/// A kernel's major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// Reads `6.18.44-something`.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The running kernel's release, such as `6.18.44`.
#[must_use]
pub fn kernel_release() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// The running kernel's version; zero where it cannot be read.
#[must_use]
pub fn kernel_version() -> Version {
    Version::parse(&kernel_release()).unwrap_or(Version(0, 0))
}

/// One more than the highest number of a CPU that may ever come online: the tables have a region for each.
#[must_use]
pub fn possible_cpus() -> usize {
    let possible = fs::read_to_string("/sys/devices/system/cpu/possible").ok();
    let highest =
        possible.as_deref().and_then(|text| text.trim().rsplit([',', '-']).next()?.parse::<usize>().ok());
    highest.map_or_else(|| aya::util::nr_cpus().unwrap_or(1), |highest| highest + 1)
}

/// CPUs that are online now; as many as are possible where that cannot be read.
#[must_use]
pub fn online_cpus() -> usize {
    aya::util::online_cpus().map_or_else(|_| possible_cpus(), |cpus| cpus.len())
}

/// What /proc/meminfo calls available, in bytes; `None` where it cannot be read.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// First and last port of this host's own connections, inclusive; Linux' default where it cannot be read.
#[must_use]
pub fn ephemeral_ports() -> (u16, u16) {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| {
            let mut ports = text.split_whitespace().map(str::parse::<u16>);
            Some((ports.next()?.ok()?, ports.next()?.ok()?))
        })
        .unwrap_or((32768, 60999))
}

/// The needed capabilities that this thread does not have, by name. CAP_SYS_ADMIN stands in for CAP_BPF and
/// CAP_PERFMON, as it did before they existed (Linux 5.8).
#[must_use]
pub fn missing_capabilities() -> Vec<String> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    NEEDED_CAPABILITIES
        .into_iter()
        .filter(|capability| {
            let by_admin = *capability != Capability::CAP_NET_ADMIN && has(Capability::CAP_SYS_ADMIN);
            !has(*capability) && !by_admin
        })
        .map(|capability| capability.to_string())
        .collect()
}

/// Gives up, for good and for every thread started later, each privilege that watching does not need.
///
/// What stays is what re-attaching to an interface that went away takes.
///
/// # Errors
///
/// The system call's error, as text.
pub fn drop_privileges() -> Result<(), caps::errors::CapsError> {
    let keep = NEEDED_CAPABILITIES.into_iter().collect();
    let held = caps::read(None, CapSet::Permitted)?;
    let keep = held.intersection(&keep).copied().collect();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)? {
            if !NEEDED_CAPABILITIES.contains(&capability) {
                caps::drop(None, CapSet::Bounding, capability)?;
            }
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &keep)?;
    caps::set(None, CapSet::Permitted, &keep)?;
    // Nothing is executed from here on; if something were, it should gain nothing by it.
    let _ = nix::sys::prctl::set_no_new_privs();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        for (release, version) in
            [("6.18.44-fc-v657", Version(6, 18)), ("5.10.0", Version(5, 10)), ("4.19-rc1", Version(4, 19))]
        {
            assert_eq!(Version::parse(release), Some(version), "{release}");
        }
        assert_eq!(Version::parse("linux"), None);
        assert!(Version(5, 9) < OLDEST_KERNEL && Version(6, 0) > MULTI_BUFFER_KERNEL);
    }
}
