//! Packets from and to addresses that feeds list: what is counted of them.

use bytemuck::{Pod, Zeroable};

use crate::classify::{ACK, RST, SYN, is_syn};
use crate::packet::{Kind, Packet};
use crate::target::Service;
use crate::wire::Addr;

/// An address that a feed lists, and whom it has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct ListedKey {
    /// The address that is listed.
    pub remote: Addr,
    /// The other end.
    pub local: Addr,
}

/// One CPU's counts of one [`ListedKey`] during one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ListedCounts {
    /// Packets from the listed address.
    pub packets_in: u64,
    /// Their bytes on the wire, link header included.
    pub bytes_in: u64,
    /// Packets to the listed address, as far as what is sent is seen.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Handshakes that the listed address began and completed.
    pub completed: u64,
    /// TCP SYNs without ACK that were sent to it.
    pub opened: u64,
    /// SYN-ACKs that it sent on known flows: answers to what was opened.
    pub answered: u64,
    /// UDP packets from it.
    pub udp_in: u64,
    /// UDP flows that were begun towards it.
    pub udp_begun: u64,
    /// ICMP packets that ask for an answer and were sent to it.
    pub probes_out: u64,
    /// What the first packet from it went to, in the form of [`Self::service_in`]; 0 where there was none.
    pub first_in: u64,
    /// What the first packet to it went to, likewise.
    pub first_out: u64,
    /// When the first of [`udp_in`](Self::udp_in) came: monotonic nanoseconds; 0 where there was none.
    pub udp_in_ns: u64,
    /// When the first of [`udp_begun`](Self::udp_begun) was sent, likewise: who sends after something has come answers.
    pub udp_begun_ns: u64,
    /// When the first packet came or went: coarse monotonic nanoseconds.
    pub first_ns: u64,
    /// When the last one did.
    pub last_ns: u64,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the listed address.
    In,
    /// To it.
    Out,
}

/// What is known of a packet besides its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Circumstances {
    /// Bytes on the wire.
    pub bytes: u64,
    /// When: coarse monotonic nanoseconds.
    pub now_ns: u64,
    /// The same, not coarse; of UDP only.
    pub exact_ns: u64,
    /// 1 where it completes a handshake that its sender began, 0 elsewhere.
    pub completed: u32,
    /// 1 where it belongs to a known flow, 0 elsewhere.
    pub is_known: u32,
    /// 1 where its sender sent nothing on the flow before, 0 elsewhere.
    pub is_first: u32,
    /// Always zero.
    pub padding: u32,
}

/// Set in what stands for a first packet's service: there was one.
const IS_SET: u64 = 1 << 32;

impl ListedCounts {
    /// A new entry: nothing counted yet.
    pub const ZERO: Self = Self {
        packets_in: 0,
        bytes_in: 0,
        packets_out: 0,
        bytes_out: 0,
        completed: 0,
        opened: 0,
        answered: 0,
        udp_in: 0,
        udp_begun: 0,
        probes_out: 0,
        first_in: 0,
        first_out: 0,
        udp_in_ns: 0,
        udp_begun_ns: 0,
        first_ns: 0,
        last_ns: 0,
    };

    /// Counts one packet. Returns whether it is the first of its kind here, which is worth a hint: the first of all, the
    /// first handshake, or the first by which something is begun towards the listed address.
    #[inline(always)]
    pub fn count(&mut self, packet: &Packet, way: Way, seen: &Circumstances) -> bool {
        let mut is_news = self.first_ns == 0;
        if is_news {
            self.first_ns = seen.now_ns;
        }
        self.last_ns = seen.now_ns;
        let transport = &packet.transport;
        let is_tcp = matches!(transport.kind, Kind::Tcp);
        let is_udp = matches!(transport.kind, Kind::Udp);
        match way {
            Way::In => {
                if self.first_in == 0 {
                    self.first_in = IS_SET | u64::from(packet.service().number());
                }
                self.packets_in += 1;
                self.bytes_in += seen.bytes;
                if seen.completed != 0 {
                    is_news |= self.completed == 0;
                    self.completed += 1;
                }
                if is_tcp && transport.flags & (SYN | ACK | RST) == SYN | ACK && seen.is_known != 0 {
                    is_news |= self.answered == 0;
                    self.answered += 1;
                }
                if is_udp {
                    self.udp_in_ns = first(self.udp_in_ns, seen.exact_ns);
                    self.udp_in += 1;
                }
            }
            Way::Out => {
                if self.first_out == 0 {
                    self.first_out = IS_SET | u64::from(packet.service().number());
                }
                self.packets_out += 1;
                self.bytes_out += seen.bytes;
                if is_tcp && is_syn(transport.flags) {
                    is_news |= self.opened == 0;
                    self.opened += 1;
                }
                if is_udp && seen.is_first != 0 {
                    is_news |= self.udp_begun == 0;
                    self.udp_begun_ns = first(self.udp_begun_ns, seen.exact_ns);
                    self.udp_begun += 1;
                }
                if matches!(transport.kind, Kind::IcmpProbe) {
                    is_news |= self.probes_out == 0;
                    self.probes_out += 1;
                }
            }
        }
        is_news
    }

    /// What the first packet from the listed address went to: a service here.
    #[must_use]
    pub fn service_in(&self) -> Option<Service> {
        service(self.first_in)
    }

    /// What the first packet to the listed address went to: a service there.
    #[must_use]
    pub fn service_out(&self) -> Option<Service> {
        service(self.first_out)
    }

    /// Packets in both directions.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets_in + self.packets_out
    }

    /// Adds what was counted of the same key later, or earlier.
    pub fn merge(&mut self, other: &Self) {
        let later = if other.first_ns < self.first_ns { *self } else { *other };
        let earlier = if other.first_ns < self.first_ns { *other } else { *self };
        let least = |one: u64, other: u64| if one == 0 || other == 0 { one | other } else { one.min(other) };
        *self = Self {
            packets_in: self.packets_in + other.packets_in,
            bytes_in: self.bytes_in + other.bytes_in,
            packets_out: self.packets_out + other.packets_out,
            bytes_out: self.bytes_out + other.bytes_out,
            completed: self.completed + other.completed,
            opened: self.opened + other.opened,
            answered: self.answered + other.answered,
            udp_in: self.udp_in + other.udp_in,
            udp_begun: self.udp_begun + other.udp_begun,
            probes_out: self.probes_out + other.probes_out,
            first_in: first(earlier.first_in, later.first_in),
            first_out: first(earlier.first_out, later.first_out),
            udp_in_ns: least(self.udp_in_ns, other.udp_in_ns),
            udp_begun_ns: least(self.udp_begun_ns, other.udp_begun_ns),
            first_ns: first(earlier.first_ns, later.first_ns),
            last_ns: self.last_ns.max(other.last_ns),
        };
    }
}

/// The first of two values that is there.
#[inline(always)]
const fn first(earlier: u64, later: u64) -> u64 {
    if earlier == 0 { later } else { earlier }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is the number")]
fn service(word: u64) -> Option<Service> {
    (word & IS_SET != 0).then(|| Service::from_number(word as u32))
}

const _: () = assert!(size_of::<ListedKey>() == 32 && size_of::<ListedCounts>() == 128);
const _: () = assert!(size_of::<Circumstances>() == 40);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Transport;
    use crate::wire::Proto;
    use core::net::Ipv4Addr;

    const SEEN: Circumstances = Circumstances {
        bytes: 60,
        now_ns: 7,
        exact_ns: 70,
        completed: 0,
        is_known: 0,
        is_first: 0,
        padding: 0,
    };

    fn packet(kind: Kind, flags: u8, dest_port: u16) -> Packet {
        let transport = Transport { flags, dest_port, ..Transport::without_ports(kind) };
        Packet { source: Ipv4Addr::LOCALHOST.into(), dest: Ipv4Addr::LOCALHOST.into(), transport }
    }

    fn count(counts: &mut ListedCounts, packet: &Packet, way: Way, seen: &Circumstances) -> bool {
        counts.count(packet, way, seen)
    }

    #[test]
    fn what_is_new_about_a_listed_address_is_news_once() {
        let mut counts = ListedCounts::ZERO;
        let syn = packet(Kind::Tcp, SYN, 443);
        let answer = packet(Kind::Tcp, SYN | ACK, 40_000);
        let known = Circumstances { is_known: 1, ..SEEN };
        for is_news in [true, false] {
            assert_eq!(count(&mut counts, &syn, Way::Out, &SEEN), is_news);
            assert_eq!(count(&mut counts, &answer, Way::In, &known), is_news);
            let ack = packet(Kind::Tcp, ACK, 22);
            assert_eq!(count(&mut counts, &ack, Way::In, &Circumstances { completed: 1, ..known }), is_news);
            assert!(!count(&mut counts, &answer, Way::In, &SEEN), "an answer to nothing");
            let udp = packet(Kind::Udp, 0, 53);
            assert!(!count(&mut counts, &udp, Way::Out, &SEEN));
            assert_eq!(count(&mut counts, &udp, Way::Out, &Circumstances { is_first: 1, ..SEEN }), is_news);
            assert_eq!(count(&mut counts, &packet(Kind::IcmpProbe, 0, 0), Way::Out, &SEEN), is_news);
            assert!(!count(&mut counts, &udp, Way::In, &SEEN));
        }
        assert_eq!((counts.packets_in, counts.bytes_in), (8, 480));
        assert_eq!((counts.packets_out, counts.bytes_out, counts.packets()), (8, 480, 16));
        assert_eq!((counts.opened, counts.answered, counts.completed), (2, 2, 2));
        assert_eq!((counts.udp_in, counts.udp_begun, counts.probes_out), (2, 2, 2));
        assert_eq!(counts.service_out(), Some(Service::new(Proto::Tcp, 443)));
        assert_eq!(counts.service_in(), Some(Service::new(Proto::Tcp, 40_000)));
    }

    #[test]
    fn the_earlier_of_two_has_the_first_packet() {
        let (mut early, mut late) = (ListedCounts::ZERO, ListedCounts::ZERO);
        count(&mut early, &packet(Kind::Tcp, SYN, 22), Way::In, &SEEN);
        let later = Circumstances { now_ns: 9, exact_ns: 90, is_first: 1, ..SEEN };
        count(&mut late, &packet(Kind::Tcp, SYN, 23), Way::In, &later);
        count(&mut late, &packet(Kind::Udp, 0, 53), Way::Out, &later);
        let mut sum = late;
        sum.merge(&early);
        early.merge(&late);
        assert_eq!(early, sum);
        assert_eq!((sum.packets_in, sum.packets_out, sum.first_ns, sum.last_ns), (2, 1, 7, 9));
        assert_eq!((sum.udp_in_ns, sum.udp_begun_ns), (0, 90));
        assert_eq!(sum.service_in(), Some(Service::new(Proto::Tcp, 22)));
        assert_eq!(sum.service_out(), Some(Service::new(Proto::Udp, 53)));
    }
}
