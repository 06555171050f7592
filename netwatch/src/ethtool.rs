//! The few things about an interface's driver that only the ethtool ioctl tells. Everybody may ask them.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// What an interface's driver says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Its name, such as `virtio_net`.
    pub name: String,
    /// There is a device behind it, of a bus or of a hypervisor, and not only software.
    pub is_device: bool,
    /// It takes VLAN tags off received frames before XDP sees them.
    pub strips_vlan_tags: bool,
    /// It merges received packets (large receive offload).
    pub merges_packets: bool,
    /// The device merges received packets (`rx-gro-hw`).
    pub merges_in_hardware: Feature,
    /// The device drops frames of VLANs that the host is not in (`rx-vlan-filter`).
    pub filters_vlans: Feature,
    /// Its receive queues, where it says.
    pub queues: Option<Queues>,
    /// The length of each receive queue, where it says.
    pub ring: Option<Ring>,
    /// How packets are spread over the queues, where it says.
    pub spread: Option<Spread>,
}

/// A feature that a device may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feature {
    /// It is off, or there is none.
    #[default]
    Off,
    /// It is on and can be turned off.
    On,
    /// It is on, and `ethtool -K` cannot turn it off.
    Fixed,
}

/// Receive queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// How many are in use.
    pub used: u32,
    /// How many there may be.
    pub most: u32,
    /// Whether each shares its interrupt with a transmit queue.
    pub combined: bool,
}

/// How many packets may wait in each receive queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Now.
    pub size: u32,
    /// At most.
    pub most: u32,
}

/// Receive side scaling: each packet's hash chooses the queue, by a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// To how many queues the table leads.
    pub reached: usize,
    /// To how many it can lead, where the driver says.
    pub reachable: Option<u32>,
    /// What of TCP packets is hashed.
    pub tcp: Option<Hashed>,
    /// What of UDP packets is hashed.
    pub udp: Option<Hashed>,
}

/// What a hash is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hashed {
    /// No address.
    Neither,
    /// Addresses.
    Addresses,
    /// Addresses and ports.
    Ports,
}

/// Asks the driver of `interface`.
///
/// # Errors
///
/// The system call's error; `ENOTSUP` where the interface has no driver that answers.
pub fn driver(interface: &str) -> io::Result<Driver> {
    let asked = Asked { socket: socket()?, interface };
    let mut info = DriverInfo { command: DriverInfo::GET, rest: [0; 192] };
    asked.ioctl(&mut info)?;
    // A driver that does not say has none of the offloads.
    let features = asked.features().unwrap_or_default();
    let feature = |name: &str| {
        features.iter().find(|(known, _)| known == name).map_or(Feature::Off, |(_, feature)| *feature)
    };
    // Software has nothing to say here, or says what it is.
    let bus = text(&info.rest[96..128]);
    Ok(Driver {
        name: text(&info.rest[..32]),
        is_device: !matches!(&*bus, "" | "N/A" | "tun" | "tap"),
        strips_vlan_tags: feature("rx-vlan-hw-parse") != Feature::Off,
        merges_packets: feature("rx-lro") != Feature::Off,
        merges_in_hardware: feature("rx-gro-hw"),
        filters_vlans: feature("rx-vlan-filter"),
        queues: asked.queues().ok(),
        ring: asked.ring().ok(),
        spread: asked.spread().ok(),
    })
}

/// An interface, and the socket to ask about it through.
struct Asked<'a> {
    socket: OwnedFd,
    interface: &'a str,
}

impl Asked<'_> {
    fn queues(&self) -> io::Result<Queues> {
        let mut channels = Numbers { command: Numbers::GET_CHANNELS, values: [0; 8] };
        self.ioctl(&mut channels)?;
        let [most_rx, _, _, most_combined, rx, _, _, combined] = channels.values;
        Ok(Queues {
            used: rx.saturating_add(combined),
            most: most_rx.max(most_combined),
            combined: most_combined > 0,
        })
    }

    fn ring(&self) -> io::Result<Ring> {
        let mut ring = Numbers { command: Numbers::GET_RINGS, values: [0; 8] };
        self.ioctl(&mut ring)?;
        let [most, _, _, _, size, ..] = ring.values;
        Ok(Ring { size, most })
    }

    fn spread(&self) -> io::Result<Spread> {
        let mut table = Box::new(Table {
            command: Table::GET,
            size: Table::ENTRIES,
            queues: [0; Table::ENTRIES as usize],
        });
        self.ioctl(&mut *table)?;
        let entries = table.size.min(Table::ENTRIES) as usize;
        let mut queues = table.queues[..entries].to_vec();
        queues.sort_unstable();
        queues.dedup();
        let mut rings = Flow { command: Flow::GET_RINGS, kind: 0, data: 0, rest: [0; 240] };
        let reachable = self.ioctl(&mut rings).ok().and_then(|()| u32::try_from(rings.data).ok());
        Ok(Spread {
            reached: queues.len(),
            reachable,
            tcp: self.hashed([Flow::TCP4, Flow::TCP6]),
            udp: self.hashed([Flow::UDP4, Flow::UDP6]),
        })
    }

    /// What is hashed of all the kinds of packets that the driver says something about.
    fn hashed(&self, kinds: [u32; 2]) -> Option<Hashed> {
        const ADDRESSES: u64 = 1 << 4 | 1 << 5;
        const PORTS: u64 = 1 << 6 | 1 << 7;
        let hashed = |kind| {
            let mut flow = Flow { command: Flow::GET_HASHED, kind, data: 0, rest: [0; 240] };
            self.ioctl(&mut flow).ok().map(|()| match flow.data {
                data if data & ADDRESSES == 0 => Hashed::Neither,
                data if data & PORTS == 0 => Hashed::Addresses,
                _ => Hashed::Ports,
            })
        };
        kinds.into_iter().filter_map(hashed).min()
    }

    /// All features that the kernel knows, by name.
    fn features(&self) -> io::Result<Vec<(String, Feature)>> {
        // The kernel writes as many names as there are: it has to be asked first.
        let mut count =
            Count { command: Count::GET, reserved: 0, sets: 1 << Names::FEATURES, size: 0, rest: 0 };
        self.ioctl(&mut count)?;
        if count.sets == 0 || count.size > Names::ROOM {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut names = Box::new(Names {
            command: Names::GET,
            set: Names::FEATURES,
            size: 0,
            names: [[0; 32]; Names::ROOM as usize],
        });
        self.ioctl(&mut *names)?;
        let mut features = Features { command: Features::GET, size: 8, blocks: [[0; 4]; 8] };
        self.ioctl(&mut features)?;
        let state = |place: usize| {
            let [available, _, active, never_changed] = features.blocks[place / 32];
            let bit = 1 << (place % 32);
            match (active & bit != 0, available & bit != 0 && never_changed & bit == 0) {
                (false, _) => Feature::Off,
                (true, true) => Feature::On,
                (true, false) => Feature::Fixed,
            }
        };
        let names = names.names.iter().take(count.size as usize).enumerate();
        Ok(names.map(|(place, name)| (text(name), state(place))).collect())
    }

    fn ioctl<T: Request>(&self, request: &mut T) -> io::Result<()> {
        const SIOCETHTOOL: libc::Ioctl = 0x8946;
        // SAFETY: all zeros are a valid `ifreq`.
        let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
        if self.interface.len() >= ifreq.ifr_name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in ifreq.ifr_name.iter_mut().zip(self.interface.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        ifreq.ifr_ifru.ifru_data = std::ptr::from_mut(request).cast();
        // SAFETY: the request has the layout that its command says, with room for all that the kernel may write, and
        // outlives the call.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, &raw mut ifreq) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Requests of linux/ethtool.h that the kernel may fill.
trait Request {}
impl Request for DriverInfo {}
impl Request for Numbers {}
impl Request for Table {}
impl Request for Flow {}
impl Request for Count {}
impl Request for Names {}
impl Request for Features {}

/// `struct ethtool_drvinfo`; the driver's name is the first 32 bytes after the command, its place on the bus the fourth.
#[repr(C)]
struct DriverInfo {
    command: u32,
    rest: [u8; 192],
}

impl DriverInfo {
    const GET: u32 = 0x03;
}

/// `struct ethtool_ringparam` and `struct ethtool_channels`: what may be, and then what is.
#[repr(C)]
struct Numbers {
    command: u32,
    values: [u32; 8],
}

impl Numbers {
    const GET_RINGS: u32 = 0x10;
    const GET_CHANNELS: u32 = 0x3c;
}

/// `struct ethtool_rxfh_indir`. Of a table that is larger than the room for it the kernel tells nothing.
#[repr(C)]
struct Table {
    command: u32,
    size: u32,
    queues: [u32; Table::ENTRIES as usize],
}

impl Table {
    const GET: u32 = 0x38;
    const ENTRIES: u32 = 4096;
}

/// `struct ethtool_rxnfc`, of which the kernel writes 192 bytes at most.
#[repr(C)]
struct Flow {
    command: u32,
    kind: u32,
    data: u64,
    rest: [u8; 240],
}

impl Flow {
    const GET_HASHED: u32 = 0x29;
    const GET_RINGS: u32 = 0x2d;
    const TCP4: u32 = 1;
    const UDP4: u32 = 2;
    const TCP6: u32 = 5;
    const UDP6: u32 = 6;
}

/// `struct ethtool_sset_info` for one set of names.
#[repr(C)]
struct Count {
    command: u32,
    reserved: u32,
    sets: u64,
    size: u32,
    rest: u32,
}

impl Count {
    const GET: u32 = 0x37;
}

/// `struct ethtool_gstrings`.
#[repr(C)]
struct Names {
    command: u32,
    set: u32,
    size: u32,
    names: [[u8; 32]; Names::ROOM as usize],
}

impl Names {
    const GET: u32 = 0x1b;
    const FEATURES: u32 = 4;
    /// As many as eight blocks of [`Features`] hold.
    const ROOM: u32 = 256;
}

/// `struct ethtool_gfeatures`; a block has a bit for each of 32 features that is available, requested, active, and that
/// never changes.
#[repr(C)]
struct Features {
    command: u32,
    size: u32,
    blocks: [[u32; 4]; 8],
}

impl Features {
    const GET: u32 = 0x3a;
}

/// The text before the first zero.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

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
