//! For each signature, bytes as they are on the wire, and others that are nearly the same.

mod services;
mod web;

use std::collections::BTreeSet;

use netwatch_common::Proto::{self, Tcp, Udp};

use super::{answer, found, sample, starter};

/// Something that is sent to a port, by which a signature is found or not.
struct Case {
    id: &'static str,
    proto: Proto,
    port: u16,
    is_answer: bool,
    hits: Vec<Vec<u8>>,
    misses: Vec<Vec<u8>>,
}

fn case(id: &'static str, proto: Proto, port: u16, hits: &[&[u8]], misses: &[&[u8]]) -> Case {
    let owned = |all: &[&[u8]]| all.iter().map(|bytes| bytes.to_vec()).collect();
    Case { id, proto, port, is_answer: false, hits: owned(hits), misses: owned(misses) }
}

/// A request for an address.
fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 192.0.2.80\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n")
        .into_bytes()
}

fn header(line: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: 192.0.2.80\r\n{line}\r\nAccept: */*\r\n\r\n").into_bytes()
}

fn post(target: &str, kind: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: 192.0.2.80\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn web(id: &'static str, hits: &[Vec<u8>], misses: &[Vec<u8>]) -> Case {
    Case { id, proto: Tcp, port: 80, is_answer: false, hits: hits.to_vec(), misses: misses.to_vec() }
}

fn cases() -> Vec<Case> {
    [web::web_cases(), web::device_cases(), services::service_cases()].into_iter().flatten().collect()
}

#[test]
fn each_signature_finds_its_attack_and_leaves_its_look_alike() {
    let starter = starter();
    let mut wrong = Vec::new();
    for case in cases() {
        let sample_of = |bytes| match case.is_answer {
            true => answer(case.proto, case.port, bytes),
            false => sample(case.proto, case.port, bytes),
        };
        for (bytes, is_expected) in
            case.hits.iter().map(|bytes| (bytes, true)).chain(case.misses.iter().map(|bytes| (bytes, false)))
        {
            let ids = found(&starter, &sample_of(bytes));
            let is_right = if is_expected { ids == [case.id] } else { ids.is_empty() };
            if !is_right {
                wrong.push(format!("{}: {ids:?} in {:?}", case.id, String::from_utf8_lossy(bytes)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_signature_has_its_case() {
    let starter = starter();
    let tested: BTreeSet<_> = cases().iter().map(|case| case.id.to_owned()).collect();
    let written: BTreeSet<_> = starter.all().iter().map(|signature| signature.id.clone()).collect();
    assert_eq!(tested, written);
    assert!(cases().iter().all(|case| !case.hits.is_empty() && !case.misses.is_empty()));
}

#[test]
fn bytes_of_the_other_side_and_of_other_ports_are_left_alone() {
    let starter = starter();
    for case in cases() {
        let Some(signature) = starter.number(case.id).and_then(|number| starter.get(number)) else {
            continue;
        };
        for bytes in &case.hits {
            let other_side = match case.is_answer {
                true => sample(case.proto, case.port, bytes),
                false => answer(case.proto, case.port, bytes),
            };
            assert_eq!(found(&starter, &other_side), [""; 0], "{}", case.id);
            if !signature.scope.ports.is_any() {
                assert_eq!(found(&starter, &sample(case.proto, 1, bytes)), [""; 0], "{}", case.id);
            }
        }
    }
}
