//! What the signatures that come with netwatch find, and what they leave alone.

mod attacks;
mod benign;
mod files;
mod flows;
mod property;

use std::sync::Arc;

use netwatch_common::{Addr, Proto};

use super::{Match, Matcher, STARTER, Sample, Signatures, Wanted, file, load};

/// The signatures that come with netwatch.
fn starter() -> Arc<Signatures> {
    Arc::new(load(&Wanted::default()).unwrap())
}

/// Signatures of a file.
fn signatures(text: &str) -> Arc<Signatures> {
    Arc::new(Signatures::compile(file::parse("test.toml", text).unwrap()).unwrap())
}

/// The first packet of a client's flow to a port.
fn sample(proto: Proto, port: u16, bytes: &[u8]) -> Sample<'_> {
    Sample {
        source: Addr::from(std::net::Ipv4Addr::new(198, 51, 100, 7)),
        source_port: 40_000,
        dest: Addr::from(std::net::Ipv4Addr::new(192, 0, 2, 80)),
        dest_port: port,
        proto,
        client_is_source: Some(true),
        sequence: 1_000,
        payload_len: u32::try_from(bytes.len()).unwrap(),
        bytes,
        at_ns: 0,
        outgoing: false,
    }
}

/// The same, from the server.
fn answer(proto: Proto, port: u16, bytes: &[u8]) -> Sample<'_> {
    let Sample { source, source_port, dest, dest_port, .. } = sample(proto, port, bytes);
    let (client, client_port) = (source, source_port);
    Sample {
        source: dest,
        source_port: dest_port,
        dest: client,
        dest_port: client_port,
        client_is_source: Some(false),
        ..sample(proto, port, bytes)
    }
}

/// The identifiers of what was found.
fn ids(signatures: &Signatures, matches: &[Match]) -> Vec<String> {
    matches
        .iter()
        .filter_map(|found| found.signature(signatures))
        .map(|signature| signature.id.clone())
        .collect()
}

/// What is found in one packet.
fn found(signatures: &Arc<Signatures>, sample: &Sample<'_>) -> Vec<String> {
    ids(signatures, &Matcher::new(signatures.clone()).sample(sample))
}

#[test]
fn the_starter_set_is_right_and_documented() {
    let all = file::parse("starter.toml", STARTER).unwrap();
    assert!(all.len() >= 30, "{}", all.len());
    for signature in &all {
        let id = &signature.id;
        let description = signature.description.as_deref().unwrap_or_default();
        assert!(description.ends_with('.') && !description.contains("  "), "{id}: {description:?}");
        assert!(!signature.name.ends_with('.'), "{id}: a name is a fragment");
        assert!(signature.attack_id.is_some(), "{id}: lacks a technique");
    }
}
