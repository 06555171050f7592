//! From files to what is matched: those that come with netwatch, those of the operator, and what he makes of both.

use std::path::PathBuf;

use super::limits;
use super::set::Signatures;
use super::signature::Signature;
use super::{file, limits::FILES};
use crate::analysis::Severity;
use crate::nearest::nearest;

/// The signatures that come with netwatch, as a file.
pub const STARTER: &str = include_str!("../../signatures/starter.toml");
/// What messages call that file.
pub const STARTER_NAME: &str = "starter.toml";

/// Which signatures are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whether those that come with netwatch are.
    pub starter: bool,
    /// Files of others.
    pub files: Vec<PathBuf>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { starter: true, files: Vec::new() }
    }
}

impl Wanted {
    /// Reads them.
    ///
    /// # Errors
    /// All that is wrong with the files, one sentence each.
    pub fn read(&self) -> Result<Vec<Signature>, Vec<String>> {
        if self.files.len() > FILES {
            return Err(vec![format!("at most {FILES} files of signatures, not {}", self.files.len())]);
        }
        let starter = self.starter.then(|| file::parse(STARTER_NAME, STARTER));
        let files = self.files.iter().map(|path| file::read(path));
        let (mut all, mut wrong) = (Vec::<Signature>::new(), Vec::new());
        for signatures in starter.into_iter().chain(files) {
            match signatures {
                Err(problems) => wrong.extend(problems),
                Ok(signatures) => {
                    for signature in signatures {
                        match all.iter().find(|other| other.id == signature.id) {
                            None => all.push(signature),
                            Some(other) => {
                                let place = &signature.written;
                                let says = file::taken(&signature.id, &other.written);
                                wrong.push(format!("{place}: id: {says}"));
                            }
                        }
                    }
                }
            }
        }
        if all.len() > limits::SIGNATURES {
            wrong.push(format!("at most {} signatures in all files, not {}", limits::SIGNATURES, all.len()));
        }
        if wrong.is_empty() { Ok(all) } else { Err(wrong) }
    }
}

/// Takes signatures away, and gives others another severity; both by their identifiers.
///
/// # Errors
/// An identifier that no signature has.
pub fn adjust(
    all: &mut Vec<Signature>,
    disable: &[String],
    severity: &[(String, Severity)],
) -> Result<(), String> {
    for (id, severity) in severity {
        match all.iter_mut().find(|signature| signature.id == *id) {
            Some(signature) => signature.severity = *severity,
            None => return Err(unknown(id, all)),
        }
    }
    if let Some(id) = disable.iter().find(|id| !all.iter().any(|signature| signature.id == **id)) {
        return Err(unknown(id, all));
    }
    all.retain(|signature| !disable.contains(&signature.id));
    Ok(())
}

/// What the signatures of files are, compiled.
///
/// # Errors
/// All that is wrong with the files, one sentence each.
pub fn load(wanted: &Wanted) -> Result<Signatures, Vec<String>> {
    Signatures::compile(wanted.read()?).map_err(|wrong| vec![wrong])
}

fn unknown(id: &str, all: &[Signature]) -> String {
    match nearest(id, all.iter().map(|signature| &*signature.id)) {
        Some(near) => format!("no signature named {id:?}; did you mean {near:?}?"),
        None => format!("no signature named {id:?}; `netwatch signatures list` names them"),
    }
}
