//! `netwatch signatures`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::print;
use crate::cli::{ChosenArgs, PlaceArgs, SignaturesCommand};
use crate::config::Config;
use crate::exit::Usage;
use crate::nearest::nearest;
use crate::signatures::limits::BYTES_KEPT;
use crate::signatures::load::STARTER_NAME;
use crate::signatures::{Excerpt, STARTER, Scope, Sender, Signature, Signatures, Wanted, file, load};

/// `netwatch signatures`.
///
/// # Errors
///
/// All that is wrong with the files or the options, or nothing can be read or printed.
pub fn signatures(command: SignaturesCommand) -> anyhow::Result<ExitCode> {
    match command {
        SignaturesCommand::List { chosen } => print(&list(&*in_effect(&chosen)?)),
        SignaturesCommand::Explain { signature, chosen } => {
            print(&explain(&*in_effect(&chosen)?, &signature).map_err(Usage)?)
        }
        SignaturesCommand::Check { files } => {
            let wanted = Wanted { starter: false, files };
            let signatures = load(&wanted).map_err(|problems| Usage(problems.join("\n")))?;
            print(&checked(&wanted, &signatures))
        }
        SignaturesCommand::Test { file, proto, port, from, chosen } => {
            let signatures = in_effect(&chosen)?;
            let bytes = bytes(&file).with_context(|| format!("read {}", file.display()))?;
            let is_wanted = |scope: &Scope| {
                let is_proto =
                    proto.is_none_or(|wanted| scope.proto.is_none_or(|proto| proto == wanted.into()));
                let is_from = from.is_none_or(|wanted| scope.from.is_none_or(|from| from == wanted.into()));
                is_proto && is_from && port.is_none_or(|port| scope.ports.contains(port))
            };
            let among: Vec<_> =
                signatures.all().iter().filter(|signature| is_wanted(&signature.scope)).collect();
            let found = found(&among, &bytes);
            let (many, of) = (found.len(), among.len());
            print(&format!("{}{many} of {of} signatures found in {} bytes\n", found.concat(), bytes.len()))?;
            Ok(if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
    }
}

fn in_effect(chosen: &ChosenArgs) -> anyhow::Result<Arc<Signatures>> {
    let config = Config::from_settings(&chosen.settings(), &PlaceArgs::default()).map_err(Usage)?;
    Ok(config.signatures.set)
}

fn list(signatures: &Signatures) -> String {
    let width = |cell: fn(&Signature) -> String, title: &str| {
        signatures.all().iter().map(|signature| cell(signature).len()).chain([title.len()]).max().unwrap_or(0)
    };
    // Sets of ports can be long; `explain` shows all of them.
    let ports = |signature: &Signature| match signature.scope.ports.to_string() {
        text if text.len() > 16 => format!("{}...", text.get(..13).unwrap_or_default()),
        text => text,
    };
    let id = width(|signature| signature.id.clone(), "SIGNATURE");
    let mut text = format!("{:<id$}  SEVERITY  PROTO  PORTS             NAME\n", "SIGNATURE");
    for signature in signatures.all() {
        let (severity, proto) = (signature.severity.name(), proto(&signature.scope));
        let ports = ports(signature);
        let _ = writeln!(
            text,
            "{:<id$}  {severity:<8}  {proto:<5}  {ports:<16}  {}",
            signature.id, signature.name
        );
    }
    text
}

fn explain(signatures: &Signatures, id: &str) -> Result<String, String> {
    let Some(signature) = signatures.all().iter().find(|signature| signature.id == id) else {
        let near = nearest(id, signatures.all().iter().map(|signature| &*signature.id));
        let meant = near.map_or_else(
            || "`netwatch signatures list` names them".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return Err(format!("no signature named {id:?}; {meant}"));
    };
    let Signature { name, scope, severity, reference, attack_id, description, patterns, written, .. } =
        signature;
    let mut text = format!("{id}: {name}\n\n");
    let mut line = |title: &str, value: &str| {
        let _ = writeln!(text, "  {title:<9}  {value}");
    };
    line("severity", severity.name());
    line("proto", proto(scope));
    line("ports", &scope.ports.to_string());
    line("from", scope.from.map_or("any", Sender::name));
    line("reference", reference);
    if let Some(technique) = attack_id {
        line("ATT&CK", technique);
    }
    line("written", &format!("{}:{}", written.file, written.line));
    for pattern in patterns {
        line("pattern", pattern.source());
    }
    if let Some(description) = description {
        let _ = write!(text, "\n{description}\n");
    }
    Ok(text)
}

/// One line for each file, and what is doubtful in it.
fn checked(wanted: &Wanted, signatures: &Signatures) -> String {
    let mut text = String::new();
    for path in &wanted.files {
        let name = path.display().to_string();
        let many = signatures.all().iter().filter(|signature| *signature.written.file == *name).count();
        let _ = writeln!(text, "{name}: ok, {many} signature{}", if many == 1 { "" } else { "s" });
    }
    let starter = file::parse(STARTER_NAME, STARTER).unwrap_or_default();
    for signature in signatures.all() {
        if starter.iter().any(|other| other.id == signature.id) {
            let Signature { id, written, .. } = signature;
            let _ = writeln!(
                text,
                "warning: {written}: id: {id:?} is that of a signature that comes with netwatch; one of both has to go, \
                 or write starter = false"
            );
        }
    }
    text
}

/// At most as many bytes as are looked at in a flow.
fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut read = |from: &mut dyn Read| from.take(BYTES_KEPT as u64 + 1).read_to_end(&mut bytes);
    if file.as_os_str() == "-" { read(&mut io::stdin().lock()) } else { read(&mut File::open(file)?) }?;
    if bytes.len() > BYTES_KEPT {
        bytes.truncate(BYTES_KEPT);
        let _ = writeln!(io::stderr(), "netwatch: only the first {BYTES_KEPT} bytes of a flow are looked at");
    }
    Ok(bytes)
}

/// One line for each signature that is found.
fn found(among: &[&Signature], bytes: &[u8]) -> Vec<String> {
    let lines = among.iter().filter_map(|signature| {
        let range = signature.find(bytes, 0)?;
        let excerpt = Excerpt::of(bytes, &range, &(0..bytes.len()));
        let (severity, last) = (signature.severity.name(), range.end.max(range.start + 1) - 1);
        let Signature { id, name, .. } = signature;
        Some(format!("{id} ({severity}): {name}\n  bytes {} to {last}, in \"{excerpt}\"\n", range.start))
    });
    lines.collect()
}

fn proto(scope: &Scope) -> &'static str {
    scope.proto.map_or("any", netwatch_common::Proto::name)
}
