//! One signature: what it is called, in which bytes it is looked for, and what its matches mean.

use std::sync::Arc;

use netwatch_common::Proto;

use super::pattern::Pattern;
use super::ports::Ports;
use crate::analysis::Severity;

/// One signature.
#[derive(Clone, Debug)]
pub struct Signature {
    /// What it is called in configuration and alerts, and for ever: `web.log4shell`.
    pub id: String,
    /// What was found, as a fragment of a sentence: `Log4Shell lookup in an HTTP request`.
    pub name: String,
    /// In which packets it is looked for.
    pub scope: Scope,
    /// How bad it is.
    pub severity: Severity,
    /// Where to read on: an address on the web, a CVE or an RFC.
    pub reference: String,
    /// The technique in MITRE ATT&CK.
    pub attack_id: Option<String>,
    /// What it looks for and why, in sentences.
    pub description: Option<String>,
    /// Patterns, all of which have to be found.
    pub patterns: Vec<Pattern>,
    /// Where it was written.
    pub written: Written,
}

/// Where a signature was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1 on.
    pub line: usize,
    /// The column, from 1 on.
    pub column: usize,
}

impl core::fmt::Display for Written {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// In which packets a signature is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// One protocol; either where there is none.
    pub proto: Option<Proto>,
    /// Ports of the server.
    pub ports: Ports,
    /// Who sends the bytes; either where there is none.
    pub from: Option<Sender>,
}

/// A side of a flow: who began it, or who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// Who began it.
    Client,
    /// Who was asked.
    Server,
}

impl Sender {
    /// The lower-case name used in files and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl Scope {
    /// Who sent a packet, if the signature is to be looked for in it.
    ///
    /// `client_is_source` says who began the flow, where that is known. Elsewhere the side with a port of the signature
    /// is the server; where both or neither can be told so, that with the lower port.
    #[must_use]
    pub fn sender(&self, proto: Proto, ports: (u16, u16), client_is_source: Option<bool>) -> Option<Sender> {
        if self.proto.is_some_and(|only| only != proto) {
            return None;
        }
        let (source, dest) = ports;
        let is_to_server = client_is_source.unwrap_or_else(|| {
            match (self.ports.contains(source), self.ports.contains(dest)) {
                (false, true) => true,
                (true, false) => false,
                _ => dest <= source,
            }
        });
        let (server, sender) = if is_to_server { (dest, Sender::Client) } else { (source, Sender::Server) };
        (self.ports.contains(server) && self.from.is_none_or(|from| from == sender)).then_some(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_by_what_is_known_and_else_by_ports() {
        let scope = |ports: &[(u16, u16)], from| Scope {
            proto: Some(Proto::Tcp),
            ports: Ports::of(ports.to_vec()),
            from,
        };
        let web = scope(&[(80, 80), (8080, 8080)], Some(Sender::Client));
        for (ports, client_is_source, expect) in [
            ((40_000, 80), Some(true), Some(Sender::Client)),
            ((80, 40_000), Some(false), None),
            // The host's own connections from port 80 to elsewhere.
            ((80, 40_000), Some(true), None),
            ((40_000, 80), None, Some(Sender::Client)),
            ((80, 40_000), None, None),
            ((8080, 80), None, Some(Sender::Client)),
            ((80, 8080), None, None),
            ((40_000, 81), None, None),
        ] {
            assert_eq!(web.sender(Proto::Tcp, ports, client_is_source), expect, "{ports:?}");
        }
        assert_eq!(web.sender(Proto::Udp, (40_000, 80), Some(true)), None);
        let either = scope(&[(0, u16::MAX)], None);
        assert_eq!(either.sender(Proto::Tcp, (40_000, 5), None), Some(Sender::Client));
        assert_eq!(either.sender(Proto::Tcp, (5, 40_000), None), Some(Sender::Server));
    }
}
