//! The closer look: the programs that take it, whose payload they look into, and what packets they send to userspace.

use std::collections::BTreeSet;

use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData, MapError, ProgramArray, RingBuf};
use aya::programs::{Program, ProgramError, ProgramFd, SchedClassifier, Xdp};
use netwatch_common::sample::{INSPECTED_WORDS, Wanted};
use netwatch_common::{Addr, Proto};

use super::maps::{Wire, take};
use super::{Error, Samples, samples, shared::Shared};

/// The program that looks closer at what is received.
pub(super) const PROGRAM: &str = "netwatch_closer";

/// The programs that look closer, and their maps.
pub(super) struct Closer {
    /// An array is emptied when nobody holds it any more.
    _programs: [ProgramArray<MapData>; 2],
    inspected: Shared<u64>,
    wanted: Option<Wanting>,
    samples: Option<Samples>,
}

impl Closer {
    /// Loads the programs, and tells those that count, which are loaded already, where they are.
    pub(super) fn load(object: &mut Ebpf) -> Result<Self, Error> {
        let received: &mut Xdp = named(object, PROGRAM)?;
        received.load().map_err(Error::from_program_load)?;
        let received = copy_of(received.fd())?;
        let sent: &mut SchedClassifier = named(object, "netwatch_closer_sent")?;
        sent.load().map_err(Error::from_program_load)?;
        let sent = copy_of(sent.fd())?;
        let programs = [enter(object, "CLOSER", &received)?, enter(object, "CLOSER_SENT", &sent)?];
        let Some(Map::Array(inspected)) = object.take_map("INSPECTED") else {
            return Err(Error::Object("it has no array INSPECTED".into()));
        };
        let Some(Map::Array(wanting)) = object.take_map("WANTING") else {
            return Err(Error::Object("it has no array WANTING".into()));
        };
        Ok(Self {
            _programs: programs,
            inspected: Shared::map(inspected, INSPECTED_WORDS as usize)?,
            wanted: Some(Wanting {
                sources: take(object, "WANTED")?,
                number: Shared::map(wanting, 1)?,
                wanted: BTreeSet::new(),
            }),
            samples: Some(Samples::new(take::<RingBuf<MapData>>(object, samples::RING)?)),
        })
    }

    /// Sets into whose payload the programs look.
    pub(super) fn inspect(&self, ports: &InspectedPorts) {
        for (index, word) in ports.0.iter().enumerate() {
            self.inspected.write(index, *word);
        }
    }

    /// The packets that were sent to userspace, once.
    pub(super) const fn take_samples(&mut self) -> Option<Samples> {
        self.samples.take()
    }

    /// What says of which sources packets are wanted, once.
    pub(super) const fn take_wanting(&mut self) -> Option<Wanting> {
        self.wanted.take()
    }
}

/// Ports of which payload is looked into, on either side of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedPorts(Box<[u64; INSPECTED_WORDS as usize]>);

impl InspectedPorts {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self(Box::new([0; INSPECTED_WORDS as usize]))
    }

    /// Adds a port.
    pub fn insert(&mut self, proto: Proto, port: u16) {
        self.0[Self::word(proto, port)] |= 1 << (port & 63);
    }

    /// Whether a port is one of them.
    #[must_use]
    pub fn has(&self, proto: Proto, port: u16) -> bool {
        self.0[Self::word(proto, port)] >> (port & 63) & 1 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn word(proto: Proto, port: u16) -> usize {
        let base = match proto {
            Proto::Tcp => 0,
            Proto::Udp => INSPECTED_WORDS as usize / 2,
        };
        base + usize::from(port >> 6)
    }
}

/// Says of which sources the programs send packets to userspace.
pub struct Wanting {
    sources: HashMap<MapData, Wire<Addr>, Wire<Wanted>>,
    /// How many there are, where the programs see it at once.
    number: Shared<u64>,
    wanted: BTreeSet<Addr>,
}

impl Wanting {
    /// Wants so many packets more of a source, as it is accounted, from now on, and of what is sent to it.
    ///
    /// # Errors
    ///
    /// The kernel's error, or that there are [`WANTED_MAX`](netwatch_common::sample::WANTED_MAX) already.
    pub fn want(&mut self, source: Addr, packets: u32) -> Result<(), Error> {
        let wanted = Wanted { left: packets, padding: 0 };
        self.sources.insert(Wire(source), Wire(wanted), 0).map_err(|error| Error::from_map(error, 0))?;
        self.wanted.insert(source);
        self.number.write(0, self.wanted.len() as u64);
        Ok(())
    }

    /// Wants no more of a source.
    ///
    /// # Errors
    ///
    /// The kernel's error. That nothing was wanted is none.
    pub fn want_no_more(&mut self, source: Addr) -> Result<(), Error> {
        self.wanted.remove(&source);
        self.number.write(0, self.wanted.len() as u64);
        match self.sources.remove(&Wire(source)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => {
                Ok(())
            }
            Err(error) => Err(Error::from_map(error, 0)),
        }
    }
}

fn named<'a, T>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut T, Error>
where
    &'a mut T: TryFrom<&'a mut Program>,
{
    let program = object.program_mut(name).and_then(|program| program.try_into().ok());
    program.ok_or_else(|| Error::Object(format!("it has no program {name}")))
}

/// A descriptor that does not borrow from the object.
fn copy_of(fd: Result<&ProgramFd, ProgramError>) -> Result<ProgramFd, Error> {
    let fd = fd.map_err(|error| Error::Object(error.to_string()))?;
    fd.try_clone().map_err(Error::system("dup"))
}

/// Puts a program into an array where those that count look for it.
fn enter(object: &mut Ebpf, name: &str, program: &ProgramFd) -> Result<ProgramArray<MapData>, Error> {
    let mut array: ProgramArray<MapData> = take(object, name)?;
    array.set(0, program, 0).map_err(|error| Error::from_map(error, 0))?;
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_of_each_protocol_has_a_bit_of_its_own() {
        let mut ports = InspectedPorts::none();
        assert!(ports.is_empty());
        for proto in [Proto::Tcp, Proto::Udp] {
            for port in [0, 63, 64, 80, u16::MAX] {
                assert!(!ports.has(proto, port));
                ports.insert(proto, port);
                assert!(ports.has(proto, port) && !ports.has(proto, port ^ 1));
            }
        }
        assert_eq!(ports.0.iter().map(|word| word.count_ones()).sum::<u32>(), 10);
        assert_eq!((ports.0[1], ports.0[1024 + 1]), (1 | 1 << 16, 1 | 1 << 16));
    }
}
