//! The file: opened with care, looked after, and set aside where it is damaged.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::Error;
use super::schema::{self, Kind};

/// The file in the state directory.
pub(super) const NAME: &str = "history.db";
/// How long one waits for another process that reads.
const PATIENCE: Duration = Duration::from_secs(2);
/// Damaged files that are kept, each with its log and index.
const DAMAGED_MAX: usize = 10;

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It must not be touched.
    Refused(Error),
    /// It is no database any more, or not a sound one.
    Damaged(String),
    /// It was removed, replaced or emptied by others.
    Moved(&'static str),
    /// Anything that may go away: a full disk, no permission.
    Trouble(String),
}

impl Wrong {
    /// The reason as a sentence.
    pub(super) fn says(self) -> String {
        match self {
            Self::Refused(error) => error.to_string(),
            Self::Moved(why) => why.to_owned(),
            Self::Damaged(why) | Self::Trouble(why) => why,
        }
    }
}

impl From<rusqlite::Error> for Wrong {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Trouble(error.to_string()) }
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Trouble(error.to_string())
    }
}

/// Whether an error says that the file is not what it was.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The connection that writes.
#[derive(Debug)]
pub(super) struct File {
    pub connection: Connection,
    path: PathBuf,
    /// Device and number of the file that is open.
    identity: (u64, u64),
    /// The same of its log.
    log: Option<(u64, u64)>,
}

impl File {
    /// Opens the file, makes it where it is missing, and takes it to the newest schema.
    pub(super) fn open(path: &Path, steps: &[&str]) -> Result<Self, Wrong> {
        create(path)?;
        let identity = identity(path)?;
        // No link is followed, whatever lies there.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        let known = schema::version(steps);
        let from = match schema::kind(&connection)? {
            Kind::Foreign => return Err(Wrong::Refused(Error::Foreign(path.to_owned()))),
            Kind::Ours(found) if found > known => {
                return Err(Wrong::Refused(Error::Newer { path: path.to_owned(), found, known }));
            }
            Kind::Ours(version) => version,
            Kind::New => {
                // Only possible before there is anything in it.
                connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
                0
            }
        };
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Wrong::Trouble(format!(
                "the file system allows no write-ahead log (journal mode {mode})"
            )));
        }
        // What was acknowledged outlives a power cut, and not only the process.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 256)?;
        connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        connection.pragma_update(None, "cache_size", -4096)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        schema::migrate(&mut connection, from, steps)?;
        Ok(Self { connection, path: path.to_owned(), identity, log: None })
    }

    /// Whether the open file is still the one that the path names. SQLite would write on into one that is gone.
    pub(super) fn is_in_place(&mut self) -> Result<(), Wrong> {
        // It comes with the first transaction.
        self.log = self.log.or_else(|| identity(&beside(&self.path, "-wal")).ok());
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) != self.identity => {
                Err(Wrong::Moved("the file was replaced by another"))
            }
            Ok(found) if found.len() == 0 => Err(Wrong::Moved("the file was emptied")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Wrong::Moved("the file was removed"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes a file that is no longer in its place, and takes its log away: SQLite would take it for that of whatever is
    /// there now, and write it into that.
    pub(super) fn abandon(self) {
        let Self { connection, path, log, .. } = self;
        drop(connection);
        let left = beside(&path, "-wal");
        if log.is_some() && identity(&left).ok() == log {
            // Where that fails, nothing better can be done.
            let _ = fs::remove_file(left);
            let _ = fs::remove_file(beside(&path, "-shm"));
        }
    }

    /// Looks whether the database is sound. Through a connection of its own, which has nothing of it in its memory yet.
    pub(super) fn examine(&self) -> Result<(), Wrong> {
        let connection = open_to_read(&self.path, false)?;
        let says: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if says == "ok" { Ok(()) } else { Err(Wrong::Damaged(says.replace('\n', " "))) }
    }
}

/// Opens a file to read only. `immutable` is for files that nobody writes and of which the log cannot be used.
pub(super) fn open_to_read(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        let uri = format!("file:{}?immutable=1", escaped(path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(PATIENCE)?;
    // Who only reads leaves the log to who writes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Bytes of the file and its log.
pub(super) fn bytes(path: &Path) -> u64 {
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(path) + length(&beside(path, "-wal"))
}

/// Whether there is a log with something in it.
pub(super) fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|metadata| metadata.len() > 0)
}

/// Whether this process may read the file, and its log and index where there are any. Nothing is opened for it: closing what
/// SQLite has open as well would give up its locks.
pub(super) fn is_readable(path: &Path) -> bool {
    ["", "-wal", "-shm"].iter().all(|end| {
        let access = nix::unistd::eaccess(&beside(path, end), nix::unistd::AccessFlags::R_OK);
        !matches!(access, Err(nix::errno::Errno::EACCES | nix::errno::Errno::EPERM))
    })
}

/// Device and number of a file.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Gives a damaged file another name, which is returned. Nobody may have it open to write.
pub(super) fn set_aside(path: &Path, now: jiff::Timestamp) -> io::Result<PathBuf> {
    let name = beside(path, &format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ")));
    // A disk that damages each new file shall not be filled with them.
    let prefix = beside(path, ".damaged-");
    let others = fs::read_dir(path.parent().unwrap_or(path))?.flatten();
    if others.filter(|other| starts_with(&other.path(), &prefix)).count() >= DAMAGED_MAX * 3 {
        return Err(io::Error::other("there are too many damaged files beside it already; remove some"));
    }
    if fs::symlink_metadata(&name).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // The log first: without its file nobody takes it for that of the new one.
    for end in ["-wal", "-shm"] {
        match fs::rename(beside(path, end), beside(&name, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &name)?;
    Ok(name)
}

fn create(path: &Path) -> Result<(), Wrong> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => return Err(Wrong::Refused(Error::NotRegular(path.to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    // A file that is there is never opened but by SQLite: closing it would give up SQLite's locks on it.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
    options.open(path)?;
    if let Some(dir) = path.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn starts_with(path: &Path, prefix: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(prefix.as_os_str().as_encoded_bytes())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A path in a URI.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let letter = |byte: &u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.as_os_str().as_bytes().iter().map(letter).collect()
}
