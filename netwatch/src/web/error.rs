//! Why the server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server does not start; one for each thing that can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not one of this machine's.
    #[error(
        "cannot listen on {address}: {}; see who does with `ss -ltnp`, or say another with `--listen`",
        plain(source)
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The file of the token cannot be read, or has no good token.
    #[error("web.token_file {}: {reason}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate cannot be read, or is none.
    #[error("web.tls_cert {}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key cannot be read, is none, or belongs to another certificate.
    #[error("web.tls_key {}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration says that nothing is served.
    #[error("web.listen is \"none\", so there is nothing to serve")]
    Off,
    /// There is no thread, or no runtime, for the server.
    #[error("start the server's thread: {0}")]
    Thread(io::Error),
}

/// The kernel's words without the number behind them.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut words = text[..end].chars();
    words.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(words).collect()
}
