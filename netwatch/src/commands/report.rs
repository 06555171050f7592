//! `netwatch report`: a report of some time as one file.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{self as unix_fs, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
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

/// Writes a file whole or not at all: beside the old one, and then in its place. Who may read the old one may read the new one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // A pipe or a device is written to, and not replaced.
    if fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(&path).ok();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside: PathBuf = path.with_file_name(name);
    let mut options = OpenOptions::new();
    // Where there is an old one, nobody else reads it before it is known who may; the umask says it of a new one.
    options.write(true).create_new(true).mode(if old.is_some() { 0o600 } else { 0o666 });
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(content)?;
        if let Some(old) = &old {
            permit_as(&file, old)?;
        }
        file.sync_all()?;
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        // What is half written helps nobody.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Gives a file the owner and the mode of another one.
fn permit_as(file: &File, old: &Metadata) -> io::Result<()> {
    let mut mode = old.mode() & 0o777;
    let new = file.metadata()?;
    let is_ours = (new.uid(), new.gid()) == (old.uid(), old.gid());
    // Only root gives files away. Where it stays ours, what the old group may do is not for a group of ours.
    if !is_ours && unix_fs::fchown(file, Some(old.uid()), Some(old.gid())).is_err() {
        mode &= !0o070;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_the_old_report_may_read_the_new_one() {
        let dir = std::env::temp_dir().join(format!("netwatch-replace-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mode = |file: &Path| fs::metadata(file).unwrap().mode() & 0o777;
        let file = dir.join("report.html");
        replace(&file, b"one").unwrap();
        fs::write(dir.join("other"), b"").unwrap();
        assert_eq!(mode(&file), mode(&dir.join("other")), "a new one is as new files are");
        for wanted in [0o600, 0o640, 0o666] {
            fs::set_permissions(&file, Permissions::from_mode(wanted)).unwrap();
            let owner = fs::metadata(&file).unwrap().uid();
            replace(&file, b"two").unwrap();
            assert_eq!((mode(&file), fs::metadata(&file).unwrap().uid()), (wanted, owner));
        }
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "something was left behind");
        if unix_fs::chown(&file, Some(12_345), Some(12_345)).is_ok() {
            replace(&file, b"three").unwrap();
            let known = fs::metadata(&file).unwrap();
            assert_eq!((known.uid(), known.gid()), (12_345, 12_345));
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
