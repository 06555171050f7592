//! What can be wrong with a capture, before it is read and while it is.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::limits::FILES;

/// Why a capture cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", Name(path))]
pub struct OpenError {
    /// Which one; `-` is standard input.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub reason: Refusal,
}

/// What is wrong with a file that cannot be read as a capture.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The operating system refuses it.
    #[error("cannot open it: {0}")]
    Open(io::Error),
    /// It is a folder.
    #[error("this is a directory; name the captures in it")]
    Directory,
    /// Nothing is piped in.
    #[error("this is a terminal; pipe a capture into netwatch, or name a file")]
    Terminal,
    /// It is named more than once.
    #[error("it can be read only once; name it once")]
    Twice,
    /// There are too many.
    #[error("{FILES} captures are the most that are read at once; merge some of them first")]
    TooMany,
    /// There is nothing in it.
    #[error("it is empty; a capture starts with the header of pcap or pcapng")]
    Empty,
    /// It ends before anything can be told.
    #[error("it ends inside its header; capture it again")]
    Short,
    /// It is something else.
    #[error("this is no capture: it looks like {0}")]
    LooksLike(&'static str),
    /// It is something else, and nobody knows what.
    #[error("this is no capture: it starts like neither pcap nor pcapng")]
    Unknown,
    /// It is a pcapng file of a kind that nobody knows.
    #[error("this is no pcapng file of version 1; convert it with `editcap`")]
    Version,
    /// Its first bytes cannot be read or decompressed.
    #[error("cannot read it: {0}")]
    Read(io::Error),
}

impl Refusal {
    /// What a file of these first bytes is, when it is no capture.
    pub(super) fn of(header: &[u8]) -> Self {
        // Other files start with more than a capture's header.
        let header = &header[..header.len().min(16)];
        Self::LooksLike(match header {
            [] => return Self::Empty,
            [b'B', b'Z', b'h', ..] => "bzip2; pipe it through `bzip2 -dc` and read `-`",
            [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz; pipe it through `xz -dc` and read `-`",
            [0x04, 0x22, 0x4d, 0x18, ..] => "lz4; pipe it through `lz4 -dc` and read `-`",
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                "data that was compressed twice; unpack it once"
            }
            [b'P', b'K', 3, 4, ..] => "a zip archive; unpack it first",
            [b's', b'n', b'o', b'o', b'p', 0, ..] => "snoop; convert it with `editcap`",
            [b'G', b'M', b'B', b'U', ..] => "Microsoft Network Monitor; convert it with `editcap`",
            [0x7f, b'E', b'L', b'F', ..] => "a program",
            text if text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => "text",
            _ => return Self::Unknown,
        })
    }
}

/// Where a capture is damaged. What lies before that place was used, what lies behind it was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which capture; `-` is standard input.
    pub path: PathBuf,
    /// Where the first record that cannot be used starts, in bytes from the start of the uncompressed capture.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: damaged at byte {}: {}", Name(&self.path), self.offset, self.what)
    }
}

/// A path as people read it, without what a terminal would obey.
struct Name<'a>(&'a PathBuf);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_os_str() == "-" {
            return f.write_str("standard input");
        }
        f.write_str(&self.0.display().to_string().replace(char::is_control, "?"))
    }
}
