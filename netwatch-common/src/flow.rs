//! Flows on which this host has sent: what makes a packet from the other side an answer.

use bytemuck::{Pod, Zeroable};

use crate::classify::{ACK, RST, Replies, SYN, is_syn};
use crate::packet::{Kind, Packet};
use crate::wire::{Addr, Proto};

/// Key of the table of flows, as a packet from the other side shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct FlowKey {
    /// The other side.
    pub remote: Addr,
    /// This host, or whoever it forwards for.
    pub local: Addr,
    /// Remote port in bits 16 to 31, local port in bits 0 to 15.
    ports: u32,
    /// IP protocol number.
    proto: u32,
}

impl FlowKey {
    /// The flow of which a packet from `remote` is a part.
    #[must_use]
    #[inline(always)]
    pub const fn new(remote: Addr, remote_port: u16, local: Addr, local_port: u16, proto: Proto) -> Self {
        Self { remote, local, ports: (remote_port as u32) << 16 | local_port as u32, proto: proto as u32 }
    }

    /// Remote port in the upper half, local port in the lower.
    #[must_use]
    #[inline(always)]
    pub const fn ports(&self) -> u32 {
        self.ports
    }

    /// IP protocol number.
    #[must_use]
    #[inline(always)]
    pub const fn proto(&self) -> u32 {
        self.proto
    }

    /// The flow in the other direction.
    #[must_use]
    pub const fn reversed(&self) -> Self {
        Self { remote: self.local, local: self.remote, ports: self.ports.rotate_left(16), proto: self.proto }
    }
}

/// What is known of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Flow {
    /// When this host last sent on the flow: coarse monotonic nanoseconds, to a [tick](Self::tick).
    pub sent_ns: u64,
    /// How far the handshake has come that the other side began: one of the constants of this type.
    pub handshake: u32,
    /// As long as the other side has not acknowledged it, the sequence number of the SYN-ACK with which this host answered,
    /// in host byte order. From then on, and of connections that this host began, how many bytes of payload were looked at:
    /// of those received in the low half, of those sent in the other.
    pub answer: u32,
}

impl Flow {
    /// How long after this host has last sent a flow is known, in nanoseconds: 120 s.
    pub const KNOWN_NS: u64 = 120_000_000_000;
    /// Times of a flow are kept in ticks of so many bits of nanoseconds: 66 µs.
    pub const TICK_BITS: u32 = 16;
    /// How stale [`sent_ns`](Self::sent_ns) may get before it is written again, in nanoseconds: a write for every packet
    /// would make CPUs fight for the line.
    const REFRESH_NS: u64 = 1_000_000_000;
    /// The other side began no handshake, as far as was seen.
    pub const HANDSHAKE_NONE: u32 = 0;
    /// This host answered a SYN.
    pub const HANDSHAKE_ANSWERED: u32 = 1;
    /// The other side acknowledged the answer.
    pub const HANDSHAKE_COMPLETED: u32 = 2;
    /// This host sent a SYN.
    pub const HANDSHAKE_BEGUN: u32 = 3;
    /// Bytes of payload that are looked at in each direction of a connection: what tells an attack comes first.
    pub const INSPECTED: u32 = 2_048;
    /// As how many a packet counts at least, so that a connection is good for 64 packets at most.
    pub const LEAST_INSPECTED: u32 = 32;
    const SENT_ONE: u32 = 1 << 16;

    /// How far beyond the answer an acknowledgement may lie that completes a handshake: a server that knows its client
    /// may send a little before that (TCP Fast Open).
    const AHEAD: u32 = 1 << 16;

    /// The tick that a time lies in.
    #[must_use]
    #[inline(always)]
    pub const fn tick(now_ns: u64) -> u64 {
        now_ns >> Self::TICK_BITS << Self::TICK_BITS
    }

    /// Whether this host has sent on it lately. One that it has not is no flow any more: what is sent begins another.
    #[must_use]
    #[inline(always)]
    pub const fn is_known(&self, now_ns: u64) -> bool {
        Self::tick(now_ns).wrapping_sub(self.sent_ns) <= Self::tick(Self::KNOWN_NS)
    }

    /// A flow on which this host sends its first packet, `packet`.
    #[must_use]
    #[inline(always)]
    pub const fn begun(packet: &Packet, now_ns: u64) -> Self {
        Self {
            sent_ns: Self::tick(now_ns),
            handshake: Self::handshake_of(packet.transport.flags),
            answer: if is_syn(packet.transport.flags) { 0 } else { packet.transport.sequence },
        }
    }

    /// Takes note of another packet that this host sends.
    #[inline(always)]
    pub const fn sent(&mut self, packet: &Packet, now_ns: u64) {
        let flags = packet.transport.flags;
        if now_ns.wrapping_sub(self.sent_ns) > Self::REFRESH_NS {
            self.sent_ns = Self::tick(now_ns);
        }
        if flags & SYN != 0 {
            *self = Self::begun(packet, now_ns);
        }
    }

    /// What is known of `packet`, which comes from the other side; `None` where the flow is too old to be known. Takes
    /// note of a handshake that it completes.
    #[inline(always)]
    pub const fn received(&mut self, packet: &Packet, now_ns: u64) -> Option<Sight> {
        if !self.is_known(now_ns) {
            return None;
        }
        let is_tcp = matches!(packet.transport.kind, Kind::Tcp);
        let is_answer = is_tcp && packet.transport.flags & (ACK | SYN | RST) == ACK;
        if !is_answer || self.handshake != Self::HANDSHAKE_ANSWERED {
            return Some(Sight::of(Replies::Known));
        }
        if self.is_acknowledged_by(packet.transport.acknowledgement) {
            self.handshake = Self::HANDSHAKE_COMPLETED;
            self.answer = 0;
            return Some(Sight { completed: 1, ..Sight::of(Replies::Known) });
        }
        // Somebody guesses: the flow is not known to whoever sent this.
        Some(Sight::of(Replies::Unknown))
    }

    /// Whether to look into the payload of a packet of the flow that comes from the other side, of which [`received`]
    /// was told: whether it is one of the first that have any. Takes note that it was looked at. Connections that are older than what
    /// is known of them are not looked into: nobody can tell whether these are their first bytes.
    ///
    /// Returns 0 where not, and otherwise whose bytes they are: [`Sample::CLIENT`] or [`Sample::SERVER`].
    ///
    /// [`received`]: Self::received
    /// [`Sample::CLIENT`]: crate::Sample::CLIENT
    /// [`Sample::SERVER`]: crate::Sample::SERVER
    #[must_use]
    #[inline(always)]
    pub const fn inspects_received(&mut self, packet: &Packet) -> u32 {
        if !self.has_begun_with(packet) || self.answer & (Self::SENT_ONE - 1) >= Self::INSPECTED {
            return 0;
        }
        self.answer += Self::inspected(packet);
        self.handshake - 1
    }

    /// The same of a packet that this host sends, of which [`sent`](Self::sent) was told.
    #[must_use]
    #[inline(always)]
    pub const fn inspects_sent(&mut self, packet: &Packet) -> u32 {
        if !self.has_begun_with(packet) || self.answer >= Self::INSPECTED * Self::SENT_ONE {
            return 0;
        }
        self.answer += Self::inspected(packet) * Self::SENT_ONE;
        4 - self.handshake
    }

    /// As how many bytes a packet counts: what is beyond those that are looked at does not matter.
    #[inline(always)]
    const fn inspected(packet: &Packet) -> u32 {
        match packet.transport.payload_len {
            0..Self::LEAST_INSPECTED => Self::LEAST_INSPECTED,
            Self::INSPECTED.. => Self::INSPECTED,
            len => len,
        }
    }

    /// Whether the connection's beginning was seen, and the packet carries something.
    #[inline(always)]
    const fn has_begun_with(&self, packet: &Packet) -> bool {
        packet.transport.payload_len > 0 && self.handshake >= Self::HANDSHAKE_COMPLETED
    }

    #[inline(always)]
    const fn handshake_of(flags: u8) -> u32 {
        if flags & (SYN | ACK) == SYN | ACK {
            Self::HANDSHAKE_ANSWERED
        } else if is_syn(flags) {
            Self::HANDSHAKE_BEGUN
        } else {
            Self::HANDSHAKE_NONE
        }
    }

    /// Whether a TCP packet with ACK on this flow acknowledges the answer to its SYN. Who forged the SYN's source has
    /// not seen the answer, and does not know the number.
    #[inline(always)]
    const fn is_acknowledged_by(&self, acknowledgement: u32) -> bool {
        acknowledgement.wrapping_sub(self.answer.wrapping_add(1)) < Self::AHEAD
    }
}

/// What is known of a packet's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// For the classification.
    pub replies: Replies,
    /// 1 where the packet completes a handshake that the other side began, 0 elsewhere.
    pub completed: u32,
    /// Whose bytes its payload is, where it is to be looked into: see [`Flow::inspects_received`]. 0 elsewhere.
    pub inspect: u32,
}

impl Sight {
    /// What is known, and that the packet completes no handshake.
    #[must_use]
    #[inline(always)]
    pub const fn of(replies: Replies) -> Self {
        Self { replies, completed: 0, inspect: 0 }
    }
}

impl Packet {
    /// The flow to look up for a packet from the other side; none where it would tell nothing.
    #[must_use]
    #[inline(always)]
    pub fn flow_to_look_up(&self) -> Option<FlowKey> {
        // A SYN is a SYN, whatever is known: asking would cost a flood's every packet a miss.
        let is_tcp = matches!(self.transport.kind, Kind::Tcp);
        self.flow().filter(|_| !(is_tcp && is_syn(self.transport.flags)))
    }

    /// Whether it is the first answer to a UDP flow. `is_first` says that its sender sent nothing on the flow before,
    /// `sight` what is known of the flow that it is a part of.
    #[must_use]
    #[inline(always)]
    pub const fn answers_udp(&self, is_first: bool, sight: Sight) -> bool {
        is_first && matches!(self.transport.kind, Kind::Udp) && matches!(sight.replies, Replies::Known)
    }

    /// Whether it comes from the middle of a TCP connection: a flow that begins with it is older than that.
    #[must_use]
    #[inline(always)]
    pub const fn is_amid_connection(&self) -> bool {
        matches!(self.transport.kind, Kind::Tcp) && self.transport.flags & SYN == 0
    }
}

// What is said of a handshake and of a side are numbers that are computed from each other.
const _: () = assert!(Flow::HANDSHAKE_COMPLETED - 1 == crate::Sample::CLIENT as u32);
const _: () = assert!(Flow::HANDSHAKE_BEGUN - 1 == crate::Sample::SERVER as u32);
const _: () = assert!(4 - Flow::HANDSHAKE_COMPLETED == crate::Sample::SERVER as u32);
const _: () = assert!(4 - Flow::HANDSHAKE_BEGUN == crate::Sample::CLIENT as u32);
const _: () = assert!(size_of::<FlowKey>() == 40 && align_of::<FlowKey>() == 4);
const _: () = assert!(size_of::<Flow>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use crate::packet::Transport;
    use core::net::Ipv4Addr;

    const SECOND: u64 = 1_000_000_000;

    fn tcp(flags: u8, sequence: u32, acknowledgement: u32) -> Packet {
        let transport = Transport { flags, sequence, acknowledgement, ..Transport::without_ports(Kind::Tcp) };
        Packet { source: Ipv4Addr::LOCALHOST.into(), dest: Ipv4Addr::LOCALHOST.into(), transport }
    }

    #[test]
    fn a_flow_is_known_for_two_minutes_after_the_last_packet_sent() {
        let start = Flow::tick(SECOND);
        let mut flow = Flow::begun(&tcp(ACK, 1, 1), SECOND);
        let known = Some(Sight::of(Replies::Known));
        assert_eq!(flow.received(&tcp(ACK, 9, 9), start + Flow::KNOWN_NS), known);
        assert_eq!(flow.received(&tcp(ACK, 9, 9), start + Flow::KNOWN_NS + (1 << Flow::TICK_BITS)), None);
        flow.sent(&tcp(ACK, 1, 1), 60 * SECOND);
        assert_eq!(flow.received(&tcp(RST, 9, 9), Flow::tick(60 * SECOND) + Flow::KNOWN_NS), known);
    }

    #[test]
    fn a_handshake_completes_once_and_by_the_right_number() {
        let mut flow = Flow::begun(&tcp(SYN | ACK, u32::MAX, 7), SECOND);
        let guess = Some(Sight::of(Replies::Unknown));
        assert_eq!(flow.received(&tcp(ACK, 7, 1 << 20), SECOND), guess);
        assert_eq!(flow.received(&tcp(ACK, 7, u32::MAX), SECOND), guess);
        let completes = Some(Sight { completed: 1, ..Sight::of(Replies::Known) });
        assert_eq!(flow.received(&tcp(ACK, 7, 0), SECOND), completes);
        assert_eq!(flow.received(&tcp(ACK, 7, 0), SECOND), Some(Sight::of(Replies::Known)));
    }

    #[test]
    fn the_first_packets_with_payload_are_looked_into_each_way() {
        let with = |flags, sequence, payload_len| {
            let packet = tcp(flags, sequence, sequence + 1);
            Packet { transport: Transport { payload_len, ..packet.transport }, ..packet }
        };
        // We answer a SYN, then we begin one.
        for (flags, sequence, sides) in
            [(SYN | ACK, 5, [Sample::CLIENT, Sample::SERVER]), (SYN, 0, [Sample::SERVER, Sample::CLIENT])]
        {
            let mut flow = Flow::begun(&with(flags, sequence, 0), SECOND);
            let mut looked = [[0; 3]; 2];
            for number in 0..100 {
                let received = with(ACK, 5, 100);
                assert!(flow.received(&received, SECOND).is_some());
                assert_eq!(flow.inspects_received(&with(ACK, 5, 0)), 0, "{number}");
                looked[0][flow.inspects_received(&received) as usize] += 1;
                flow.sent(&received, SECOND);
                looked[1][flow.inspects_sent(&received) as usize] += 1;
            }
            for (looked, side) in looked.into_iter().zip(sides) {
                // Packets of 100 bytes.
                assert_eq!((looked[usize::from(side)], looked[0]), (21, 79));
            }
        }
    }

    #[test]
    fn small_packets_are_many_and_large_ones_few() {
        for (payload_len, packets) in [(1, 64), (32, 64), (33, 63), (1_448, 2), (60_000, 1)] {
            let mut flow = Flow::begun(&tcp(SYN, 0, 0), SECOND);
            let packet = tcp(ACK, 1, 1);
            let packet = Packet { transport: Transport { payload_len, ..packet.transport }, ..packet };
            let looked = |inspects: &mut dyn FnMut() -> u32| (0..100).filter(|_| inspects() != 0).count();
            assert_eq!(looked(&mut || flow.inspects_sent(&packet)), packets, "{payload_len}");
            assert_eq!(looked(&mut || flow.inspects_received(&packet)), packets, "{payload_len}");
        }
    }

    #[test]
    fn what_began_unseen_or_is_not_complete_is_not_looked_into() {
        let mut older = Flow::begun(&tcp(ACK, 7, 7), SECOND);
        let mut answered = Flow::begun(&tcp(SYN | ACK, 7, 7), SECOND);
        let packet = tcp(ACK, 1, 1 << 30);
        let guess = Packet { transport: Transport { payload_len: 9, ..packet.transport }, ..packet };
        for flow in [&mut older, &mut answered] {
            assert!(flow.received(&guess, SECOND).is_some());
            assert_eq!((flow.inspects_received(&guess), flow.inspects_sent(&guess)), (0, 0));
        }
    }

    #[test]
    fn a_udp_flow_is_answered_by_the_first_packet_that_comes_back() {
        let (known, unknown) = (Sight::of(Replies::Known), Sight::of(Replies::Unknown));
        let udp = Packet { transport: Transport::without_ports(Kind::Udp), ..tcp(0, 0, 0) };
        assert!(udp.answers_udp(true, known));
        assert!(!udp.answers_udp(false, known) && !udp.answers_udp(true, unknown));
        assert!(!tcp(ACK, 0, 0).answers_udp(true, known));
    }

    #[test]
    fn only_syns_are_not_looked_up() {
        assert_eq!(tcp(SYN, 0, 0).flow_to_look_up(), None);
        for flags in [ACK, RST, SYN | ACK, 0] {
            assert!(tcp(flags, 0, 0).flow_to_look_up().is_some(), "{flags:#x}");
        }
    }
}
