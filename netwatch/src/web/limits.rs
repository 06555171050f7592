//! Bounds of the server: nothing that somebody sends, or does not read, takes more than this.

use std::time::Duration;

/// Connections at once. Streams are among them.
pub const CONNECTIONS: usize = 512;
/// Open streams at once.
pub const STREAMS: usize = 256;
/// Bytes of a request's head.
pub const HEAD_BYTES: usize = 16 << 10;
/// Headers of a request.
pub const HEADERS: usize = 64;
/// Bytes of a request's path and query.
pub const URI_BYTES: usize = 2_048;
/// Bytes of the address by which somebody is led to the login and back.
pub const LED_BYTES: usize = 1_500;
/// Steps of incidents that are kept for streams that come back, or are slow.
pub const RING: usize = 4_096;
/// Bytes of those.
pub const RING_BYTES: usize = 16 << 20;
/// Steps that may wait to be taken by the server.
pub const QUEUE: usize = 4_096;
/// Bytes that a stream is given at a time.
pub const CHUNK: usize = 64 << 10;
/// Answers that are kept for whoever asks the same.
pub const CACHED: usize = 64;
/// Bytes of the largest of those.
pub const CACHED_BYTES: usize = 256 << 10;
/// Bytes of a certificate, a key, or a token's file.
pub const FILE_BYTES: u64 = 1 << 20;
/// Bytes of a request's body, where one is taken at all.
pub const BODY_BYTES: usize = 4 << 10;
/// Browsers that are logged in at once; one more takes the place of the one that was used least lately.
pub const SESSIONS: usize = 64;
/// How long one that is not used stays logged in.
pub const SESSION: Duration = Duration::from_secs(12 * 3_600);
/// Wrong tokens that an address may give in [`GUESS_TIME`].
pub const GUESSES: u32 = 5;
/// How long those are remembered.
pub const GUESS_TIME: Duration = Duration::from_secs(60);
/// Addresses of which they are remembered at once.
pub const GUESSERS: usize = 1_024;
/// Acknowledgements that a stream may be behind; more are not told.
pub const ACKNOWLEDGED: usize = 64;
/// Fewest and most letters of a token.
pub const TOKEN: (usize, usize) = (16, 4_096);
/// How long the server may take to stop.
pub const STOP: Duration = Duration::from_secs(2);

/// How long things may take. Tests have less patience than the world.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a request's head, and for the next request of a connection.
    pub head: Duration,
    /// For a handshake of TLS.
    pub handshake: Duration,
    /// For an answer to be found.
    pub answer: Duration,
    /// For a client to take anything of what is sent.
    pub stall: Duration,
    /// Between signs of life on a stream that has nothing to say.
    pub silence: Duration,
    /// How old an answer may be that is given again.
    pub cached: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            silence: Duration::from_secs(15),
            cached: Duration::from_secs(1),
        }
    }
}
