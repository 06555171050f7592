//! Which payload signatures are looked for, of all that the command line and the file say about them.

use std::sync::Arc;

use super::layer::{Origin, Said, SignatureLayer, first};
use super::show::{self, Row};
use crate::signatures::load::adjust;
use crate::signatures::{Signatures, Wanted};

/// Samples within a second, unless configured otherwise.
const RATE: u32 = 5_000;

/// What is looked for, and at what cost.
#[derive(Clone, Debug)]
pub struct SignatureSettings {
    /// Whether packets are sampled at all.
    pub enabled: bool,
    /// Most packets that are sampled within a second.
    pub rate: u32,
    /// The signatures in effect.
    pub set: Arc<Signatures>,
}

/// Reads the files and puts the layers on top of each other.
pub(super) fn resolve(
    line: SignatureLayer,
    file: SignatureLayer,
) -> Result<(SignatureSettings, Vec<Row>), String> {
    let enabled = first([file.enabled], true);
    let files = first([line.files, file.files], Vec::new());
    let starter = first([file.starter], true);
    let rate = first([file.rate], RATE);
    let disable = first([file.disable], Vec::new());
    let severity = first([file.severity], Vec::new());

    let wanted =
        Wanted { starter: starter.value, files: files.value.iter().map(|file| file.path.clone()).collect() };
    let mut all = wanted.read().map_err(|problems| one_line(&files, &problems))?;
    adjust(&mut all, &[], &severity.value)
        .map_err(|wrong| format!("{}: {wrong}", severity.origin.name("signatures.severity")))?;
    adjust(&mut all, &disable.value, &[])
        .map_err(|wrong| format!("{}: {wrong}", disable.origin.name("signatures.disable")))?;
    let set = Signatures::compile(all).map_err(|wrong| format!("signatures: {wrong}"))?;

    let rows = vec![
        show::number_of("signatures", "enabled", &enabled),
        show::strings_of("signatures", "files", &files, |file| &file.text),
        show::number_of("signatures", "starter", &starter),
        show::number_of("signatures", "rate", &rate),
        show::strings_of("signatures", "disable", &disable, |id| id),
        show::severities("signatures", "severity", &severity),
    ];
    let settings = SignatureSettings { enabled: enabled.value, rate: rate.value, set: Arc::new(set) };
    Ok((settings, rows))
}

/// The first problem, and how to see the others.
fn one_line<T>(files: &Said<T>, problems: &[String]) -> String {
    let first = problems.first().map_or("", String::as_str);
    let who = match &files.origin {
        Origin::CommandLine => "--signatures".to_owned(),
        origin => origin.name("signatures.files"),
    };
    match problems.len() {
        0 | 1 => format!("{who}: {first}"),
        many => format!("{who}: {first} (and {} more: `netwatch signatures check` tells them)", many - 1),
    }
}
