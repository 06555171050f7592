//! Why there is no history.

use std::io;
use std::path::PathBuf;

/// Why the history cannot be kept here. None of it goes away by itself, so netwatch does not start; what may go away, like a
/// full disk, is no error but is said in [`StoreState::trouble`](crate::report::snapshot::StoreState::trouble).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be used.
    #[error("state_dir: cannot use {}: {source}; name a directory that this user can write to", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer netwatch has written it.
    #[error(
        "{}: its schema is version {found}, and this netwatch knows version {known} at most: run the newer netwatch \
         that has written it, or move the file away to begin anew", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// It belongs to another program.
    #[error(
        "{}: is a database of another program, and is left as it is: move it away, or give netwatch a state_dir \
         of its own", .0.display()
    )]
    Foreign(PathBuf),
    /// It is a directory, a link, a device or the like.
    #[error("{}: is not a regular file; move it away", .0.display())]
    NotRegular(PathBuf),
    /// A thread could not be started.
    #[error("the history needs threads of its own: {0}")]
    Thread(io::Error),
    /// There is not even memory for it.
    #[error("the history cannot be kept in memory: {0}")]
    Memory(rusqlite::Error),
}

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is none.
    #[error(
        "there is no history at {}: name the directory in which netwatch keeps its state with --state-dir, or its \
         configuration with -c", .0.display()
    )]
    Missing(PathBuf),
    /// It is none that this netwatch can read.
    #[error(transparent)]
    Unfit(#[from] Error),
    /// Reading failed.
    #[error("cannot read {}: {reason}", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
