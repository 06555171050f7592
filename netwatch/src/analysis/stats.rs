//! What was counted of a source, and of a source and a target: sums over CPUs, slots and windows.

use netwatch_common::{Class, Proto, Service, SourceCounts, TargetCounts, Techniques};

/// What one source sent; of a destination, what was sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Bytes on the wire, link header included, frame check sequence not.
    pub bytes: u64,
    /// When the first packet came, in monotonic nanoseconds; 0 where there was none.
    pub first_ns: u64,
    /// When the last packet came, in monotonic nanoseconds; 0 where there was none.
    pub last_ns: u64,
    /// Packets by [`Class`].
    pub classes: [u64; Class::COUNT],
    /// Handshakes that the source began and completed.
    pub completed: u64,
    /// Targets that were probed, as the CPUs counted them: one that two CPUs saw counts twice.
    pub probes: u64,
    /// UDP flows that the source began and that were answered.
    pub answered: u64,
    /// Packets of class [`Class::UdpNew`] that went to groups: nobody asks for those.
    pub to_groups: u64,
    /// Which hosts of the network sent, where it is accounted as one.
    pub hosts: Hosts,
}

/// Which hosts of a network were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// None.
    #[default]
    None,
    /// One: the last 64 bits of its address, in network order.
    One([u32; 2]),
    /// Several.
    Many,
}

impl Hosts {
    /// Those of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, seen) | (seen, Self::None) => seen,
            (one, same) if one == same => one,
            _ => Self::Many,
        }
    }
}

impl SourceStats {
    /// Sums what each CPU counted of one source.
    pub fn from_cpus<'a>(cpus: impl IntoIterator<Item = &'a SourceCounts>) -> Self {
        let mut sum = Self::default();
        for cpu in cpus {
            sum.merge(&Self {
                bytes: cpu.bytes,
                first_ns: cpu.first_ns,
                last_ns: cpu.last_ns,
                classes: cpu.classes.map(u64::from),
                completed: cpu.completed.into(),
                probes: cpu.probes.into(),
                answered: cpu.answered.into(),
                to_groups: cpu.to_groups.into(),
                hosts: match (cpu.first_ns, cpu.many_hosts) {
                    (0, _) => Hosts::None,
                    (_, 0) => Hosts::One(cpu.host),
                    _ => Hosts::Many,
                },
            });
        }
        sum
    }

    /// Adds the counts of another CPU or slot.
    pub fn merge(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        // A time of 0 says that nothing was counted, so it must not win as the earliest.
        self.first_ns = match (self.first_ns, other.first_ns) {
            (0, first) | (first, 0) => first,
            (mine, theirs) => mine.min(theirs),
        };
        self.last_ns = self.last_ns.max(other.last_ns);
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine = mine.saturating_add(theirs);
        }
        self.completed = self.completed.saturating_add(other.completed);
        self.probes = self.probes.saturating_add(other.probes);
        self.answered = self.answered.saturating_add(other.answered);
        self.to_groups = self.to_groups.saturating_add(other.to_groups);
        self.hosts = self.hosts.union(other.hosts);
    }

    /// What is left of it without `part`, which was added to it before. Times and hosts stay.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        let mut rest = *self;
        rest.bytes = rest.bytes.saturating_sub(part.bytes);
        for (mine, theirs) in rest.classes.iter_mut().zip(part.classes) {
            *mine = mine.saturating_sub(theirs);
        }
        rest.completed = rest.completed.saturating_sub(part.completed);
        rest.probes = rest.probes.saturating_sub(part.probes);
        rest.answered = rest.answered.saturating_sub(part.answered);
        rest.to_groups = rest.to_groups.saturating_sub(part.to_groups);
        rest
    }

    /// Packets of one class.
    #[must_use]
    pub const fn class(&self, class: Class) -> u64 {
        self.classes[class as usize]
    }

    /// Packets of all classes.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.classes.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Packets that came without being asked for ([`Class::is_unsolicited`]), less the SYNs of handshakes that
    /// were completed, the questions that were answered and what went to groups: a client with hundreds of real
    /// connections is no flood, nor is a resolver, nor is who announces itself.
    #[must_use]
    pub fn unsolicited(&self) -> u64 {
        let all = self
            .by_class()
            .filter(|(class, _)| class.is_unsolicited())
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
        let welcome = self.answered.saturating_add(self.to_groups);
        all - self.completed.min(self.class(Class::Syn)) - welcome.min(self.class(Class::UdpNew))
    }

    /// The classes that have packets, with their number.
    pub fn by_class(&self) -> impl Iterator<Item = (Class, u64)> {
        Class::ALL.into_iter().zip(self.classes).filter(|(_, count)| *count > 0)
    }
}

/// What one source sent to one target, or all sources together.
///
/// Numbers of packets stop at 4 billion, which is 1.2 million packets a second for an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetStats {
    /// Bytes on the wire.
    pub bytes: u64,
    /// Packets that open something: TCP SYN, UDP that answers nothing. Evidence of a scan.
    pub opening: u32,
    /// Packets of flags that no connection begins with, or that hide them. Evidence of a scan.
    pub stealth: u32,
    /// Packets of class [`Class::OutOfState`].
    pub out_of_state: u32,
    /// Other packets that nobody asked for.
    pub noise: u32,
    /// All other packets: for a port, somebody talks on it.
    pub rest: u32,
    /// Handshakes that were completed; of UDP, flows that were answered, where both directions count.
    pub completed: u32,
    /// How the target was probed.
    pub techniques: Techniques,
    /// Of what nobody in particular sent: sources that were not seen lately, an estimate.
    pub newcomers: u32,
}

impl TargetStats {
    /// Sums what each CPU counted of one target.
    pub fn from_cpus<'a>(cpus: impl IntoIterator<Item = &'a TargetCounts>) -> Self {
        let mut sum = Self::default();
        for cpu in cpus {
            sum.merge(&Self {
                bytes: cpu.bytes,
                opening: cpu.opening,
                stealth: cpu.stealth,
                out_of_state: cpu.out_of_state,
                noise: cpu.noise,
                rest: cpu.rest,
                completed: cpu.completed,
                techniques: cpu.techniques,
                newcomers: cpu.newcomers,
            });
        }
        sum
    }

    /// Adds the counts of another CPU, slot or source.
    pub const fn merge(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.opening = self.opening.saturating_add(other.opening);
        self.stealth = self.stealth.saturating_add(other.stealth);
        self.out_of_state = self.out_of_state.saturating_add(other.out_of_state);
        self.noise = self.noise.saturating_add(other.noise);
        self.rest = self.rest.saturating_add(other.rest);
        self.completed = self.completed.saturating_add(other.completed);
        self.techniques = self.techniques.union(other.techniques);
        self.newcomers = self.newcomers.saturating_add(other.newcomers);
    }

    /// Packets that are evidence of a scan.
    #[must_use]
    pub fn evidence(&self) -> u64 {
        u64::from(self.opening) + u64::from(self.stealth)
    }

    /// All packets.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.asked_for_by_nobody() + u64::from(self.rest)
    }

    /// Packets that nobody asked for, less the SYNs of completed handshakes and the questions that were answered.
    #[must_use]
    pub fn unsolicited(&self) -> u64 {
        self.asked_for_by_nobody() - u64::from(self.completed.min(self.opening))
    }

    /// Whether nobody talks on it, as far as was seen: it is closed, or keeps silent.
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        self.rest == 0 && self.completed == 0
    }

    /// SYNs that stayed without a completed handshake. `counted` says whether completed handshakes are; where
    /// they are not, a connection that has packets besides its SYN is taken for one.
    #[must_use]
    pub fn uncompleted(&self, counted: bool) -> u64 {
        let completed = if counted { self.completed } else { self.rest };
        self.opening.saturating_sub(completed).into()
    }

    /// The packets by class. Which class the numbers stand for depends on the service; first fragments that hide
    /// their flags are counted as [`Class::Stealth`] here. Of [`Service::LUMP`] it is not known; the techniques tell
    /// what most of it must be.
    #[must_use]
    pub fn classes(&self, service: Service) -> [u64; Class::COUNT] {
        let (opening, noise, rest) = match service.port() {
            Some((Proto::Tcp, _)) => (Class::Syn, Class::Backscatter, Class::Known),
            Some((Proto::Udp, _)) => (Class::UdpNew, Class::UdpNew, Class::Known),
            None if service == Service::PROBE => (Class::Other, Class::IcmpProbe, Class::Other),
            None if service == Service::FRAGMENT => (Class::Other, Class::Fragment, Class::Other),
            None if service == Service::LUMP => {
                let is_probed_by = |one| !self.techniques.intersection(one).is_empty();
                let is_udp = is_probed_by(Techniques::UDP) && !is_probed_by(Techniques::SYN);
                let opening = if is_udp { Class::UdpNew } else { Class::Syn };
                let is_ping = is_probed_by(Techniques::ECHO);
                (opening, if is_ping { Class::IcmpProbe } else { Class::Backscatter }, Class::Known)
            }
            None => (Class::Other, Class::Malformed, Class::Other),
        };
        let mut classes = [0; Class::COUNT];
        for (class, count) in [
            (opening, self.opening),
            (Class::Stealth, self.stealth),
            (Class::OutOfState, self.out_of_state),
            (noise, self.noise),
            (rest, self.rest),
        ] {
            classes[class as usize] += u64::from(count);
        }
        classes
    }

    fn asked_for_by_nobody(&self) -> u64 {
        self.evidence() + u64::from(self.out_of_state) + u64::from(self.noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_counted_nothing_sets_neither_time_nor_host() {
        let mut classes = [0; Class::COUNT];
        classes[Class::Syn as usize] = u32::MAX;
        let busy =
            SourceCounts { bytes: 60, first_ns: 7, last_ns: 9, classes, host: [1, 2], ..SourceCounts::ZERO };
        let sum = SourceStats::from_cpus(&[SourceCounts::ZERO, busy, SourceCounts::ZERO, busy]);
        assert_eq!((sum.bytes, sum.first_ns, sum.last_ns, sum.hosts), (120, 7, 9, Hosts::One([1, 2])));
        assert_eq!(sum.packets(), 2 * u64::from(u32::MAX));
        assert_eq!(SourceStats::from_cpus(&[SourceCounts::ZERO]), SourceStats::default());

        let cpu = TargetCounts { opening: u32::MAX, stealth: 1, ..TargetCounts::ZERO };
        let sum = TargetStats::from_cpus(&[cpu, cpu]);
        assert_eq!((sum.opening, sum.stealth), (u32::MAX, 2));
    }

    #[test]
    fn one_host_stays_one_until_there_is_another() {
        let (one, two) = (Hosts::One([0, 1]), Hosts::One([0, 2]));
        assert_eq!(Hosts::None.union(one), one);
        assert_eq!(one.union(one), one);
        assert_eq!(one.union(two), Hosts::Many);
        assert_eq!(Hosts::Many.union(one), Hosts::Many);
    }

    #[test]
    fn unsolicited_leaves_out_what_belongs_to_connections() {
        let stats =
            SourceStats { classes: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], ..SourceStats::default() };
        assert_eq!((stats.unsolicited(), stats.packets()), (255, 1023));
    }

    #[test]
    fn a_client_whose_handshakes_complete_is_no_flood() {
        let of = |syns, completed| {
            let mut stats = SourceStats { completed, ..SourceStats::default() };
            stats.classes[Class::Syn as usize] = syns;
            stats.classes[Class::IcmpProbe as usize] = 3;
            stats.unsolicited()
        };
        assert_eq!((of(200, 0), of(200, 150), of(200, 200)), (203, 53, 3));
        // A handshake may complete in a later window than it began.
        assert_eq!(of(0, 7), 3);
    }

    #[test]
    fn a_resolver_and_who_announces_itself_are_no_floods() {
        let of = |udp, answered, to_groups| {
            let mut stats = SourceStats { answered, to_groups, ..SourceStats::default() };
            stats.classes[Class::UdpNew as usize] = udp;
            stats.classes[Class::Syn as usize] = 3;
            stats.unsolicited()
        };
        assert_eq!((of(200, 0, 0), of(200, 150, 0), of(200, 0, 40), of(200, 150, 40)), (203, 53, 163, 13));
        assert_eq!((of(200, 200, 200), of(0, 1, 0)), (3, 3));
    }

    #[test]
    fn every_packet_of_a_target_has_a_class() {
        let stats = TargetStats {
            opening: 1,
            stealth: 2,
            out_of_state: 4,
            noise: 8,
            rest: 16,
            completed: 1,
            ..TargetStats::default()
        };
        for service in [
            Service::new(Proto::Tcp, 80),
            Service::new(Proto::Udp, 53),
            Service::PROBE,
            Service::FRAGMENT,
            Service::REST,
            Service::LUMP,
        ] {
            let classes = stats.classes(service);
            assert_eq!(classes.iter().sum::<u64>(), stats.packets(), "{service:?}");
        }
        assert_eq!((stats.unsolicited(), stats.evidence()), (14, 3));
        assert_eq!((stats.uncompleted(true), stats.uncompleted(false)), (0, 0));
    }
}
