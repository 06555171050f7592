//! `netwatch report`: a report of some time as one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::history;
use crate::cli::ReportArgs;
use crate::exit::Usage;
use crate::handout::{self, Asked};
use crate::report::Time;
use crate::store::Archive;
use crate::{clock, figures};

/// `netwatch report`.
///
/// # Errors
///
/// The options are not right, there is no history, or nothing can be written.
pub fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let now = clock::now();
    let time =
        |name: &str, text: &str| history::time(text, now).map_err(|wrong| Usage(format!("{name}: {wrong}")));
    let since = time("--since", &args.since)?;
    let until = args.until.as_deref().map(|text| time("--until", text)).transpose()?.unwrap_or(Time(now));
    if since >= until || since >= Time(now) {
        return Err(Usage("--since: it must be before --until, and before now".to_owned()).into());
    }
    let dir = history::dir(args.state_dir.as_deref(), args.config.as_deref())?;
    let archive = Archive::open(&dir)?;
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Names of files need not be text.
    let words: Vec<_> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let asked = Asked {
        since,
        until,
        now: Time(now),
        title: args.title.clone().unwrap_or_else(|| "What netwatch saw".to_owned()),
        host: host.trim().to_owned(),
        command: format!("netwatch {}", words.join(" ")),
        dir: dir.display().to_string(),
    };
    let text = handout::report(&archive, &asked)?;
    if args.output == Path::new("-") {
        return super::print(&text);
    }
    let was_there = args.output.exists();
    replace(&args.output, text.as_bytes()).with_context(|| {
        format!("cannot write {}; name a file in a folder that is there", args.output.display())
    })?;
    let instead = if was_there { ", in place of what was there" } else { "" };
    let size = figures::bytes(text.len() as f64);
    // Where nobody reads it, the file is there all the same.
    let _ = writeln!(io::stderr(), "wrote {} ({size}){instead}", args.output.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes a file whole or not at all: beside the old one, and then in its place.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // A pipe or a device is written to, and not replaced.
    if fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside: PathBuf = path.with_file_name(name);
    let written = File::create_new(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        // What is half written helps nobody.
        let _ = fs::remove_file(&beside);
    }
    written
}
