//! The few things about an interface's driver that only the ethtool ioctl tells.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// What an interface's driver says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its name, such as `virtio_net`.
    pub name: String,
    /// It takes VLAN tags off received frames before XDP sees them.
    pub strips_vlan_tags: bool,
    /// It merges received packets (large receive offload).
    pub merges_packets: bool,
}

/// Asks the driver of `interface`.
///
/// # Errors
///
/// The system call's error; `ENOTSUP` where the interface has no driver that answers.
pub fn driver(interface: &str) -> io::Result<Driver> {
    const GET_DRIVER_INFO: u32 = 0x0000_0003;
    const GET_FLAGS: u32 = 0x0000_0025;
    const FLAG_RX_VLAN: u32 = 1 << 8;
    const FLAG_LRO: u32 = 1 << 15;

    let socket = socket()?;
    let mut info = DriverInfo { command: GET_DRIVER_INFO, rest: [0; 192] };
    ioctl(&socket, interface, &mut info)?;
    let mut flags = Value { command: GET_FLAGS, data: 0 };
    // A driver without the flags has none of the offloads.
    if ioctl(&socket, interface, &mut flags).is_err() {
        flags.data = 0;
    }
    let name = info.rest[..32].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Driver {
        name: String::from_utf8_lossy(name).into_owned(),
        strips_vlan_tags: flags.data & FLAG_RX_VLAN != 0,
        merges_packets: flags.data & FLAG_LRO != 0,
    })
}

/// `struct ethtool_drvinfo` of linux/ethtool.h; the driver's name is the first 32 bytes after the command.
#[repr(C)]
struct DriverInfo {
    command: u32,
    rest: [u8; 192],
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Requests that the kernel may fill.
trait Request {}
impl Request for DriverInfo {}
impl Request for Value {}

fn socket() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd as _;
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn ioctl<T: Request>(socket: &OwnedFd, interface: &str, request: &mut T) -> io::Result<()> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    // SAFETY: all zeros are a valid `ifreq`.
    let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= ifreq.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in ifreq.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    ifreq.ifr_ifru.ifru_data = std::ptr::from_mut(request).cast();
    // SAFETY: the request has the layout that its command says, and outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut ifreq) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
