//! Connections: as many as there may be, each with an end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::counts::{Trouble, less, more};
use super::limits::{CONNECTIONS, HEAD_BYTES, HEADERS};
use super::shared::Shared;
use super::stall::Impatient;
use super::{guard, routes};

/// What who comes when there is no room is told, on connections without TLS.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
/// How long to wait after a connection could not be accepted: mostly there are too many open files.
const BREATH: Duration = Duration::from_millis(100);
/// How long connections may take to end when the server stops.
const GOODBYE: Duration = Duration::from_millis(1_500);

/// What is known of a request before it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The address that it came to.
    pub local: IpAddr,
    /// Where it came from.
    pub peer: IpAddr,
    /// Whether over TLS.
    pub is_tls: bool,
}

/// Accepts connections until the server stops, and then ends them.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = routes::router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            // Those that have ended are let go.
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            shared.counts.trouble(Trouble::Accept);
            tokio::time::sleep(BREATH).await;
            continue;
        };
        if connections.len() >= CONNECTIONS {
            shared.counts.trouble(Trouble::Connections);
            if shared.tls().is_none() {
                let _ = stream.try_write(NO_ROOM);
            }
            continue;
        }
        connections.spawn(connection(stream, Arc::clone(&shared), router.clone()));
    }
    drop(listener);
    let all_gone = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GOODBYE, all_gone).await;
}

/// One of the connections that there are, until it is dropped.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        more(&shared.counts.accepted);
        more(&shared.counts.connections);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        less(&self.0.counts.connections);
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, router: Router) {
    let _counted = Counted::new(&shared);
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
    let config = shared.tls();
    let ends = Ends { local: local.ip(), peer: peer.ip(), is_tls: config.is_some() };
    // Alerts must not wait for more of them.
    let _ = stream.set_nodelay(true);
    // The server's own patience ends first where the other end is there and takes nothing.
    give_up_after(&stream, shared.patience.stall * 2);
    let Some(config) = config else { return http(stream, ends, &shared, &router).await };
    let patience = shared.patience.handshake;
    let handshake = tokio::time::timeout(patience, TlsAcceptor::from(config).accept(stream));
    tokio::select! {
        () = shared.stop.cancelled() => {}
        done = handshake => match done {
            Ok(Ok(stream)) => http(stream, ends, &shared, &router).await,
            _ => shared.counts.trouble(Trouble::Handshake),
        }
    }
}

/// Ends the connection where nobody acknowledges what was sent: a machine that is gone would keep its seat for a quarter of
/// an hour, since a stream sends it little.
fn give_up_after(stream: &TcpStream, patience: Duration) {
    let millis = libc::c_uint::try_from(patience.as_millis()).unwrap_or(libc::c_uint::MAX);
    let length = libc::socklen_t::try_from(size_of_val(&millis)).unwrap_or_default();
    // SAFETY: the descriptor is open as long as the stream lives, and the kernel reads as many bytes as the number has.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            (&raw const millis).cast(),
            length,
        );
    }
}

async fn http<S>(stream: S, ends: Ends, shared: &Arc<Shared>, router: &Router)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = Impatient::new(stream, shared.patience.stall);
    let service = service_fn(|request| async {
        Ok::<_, Infallible>(guard::answer(shared, router, ends, request).await)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(shared.patience.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        if is_stalled(&error) {
            shared.counts.trouble(Trouble::Stalled);
        } else if error.is_timeout() {
            shared.counts.trouble(Trouble::Slow);
        } else if error.is_parse() {
            shared.counts.trouble(Trouble::NoHttp);
        }
    }
}

/// Whether a connection ended because nobody took what was sent, which [`Impatient`] and the kernel say in the same way.
fn is_stalled(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        source = cause.source();
    }
    false
}
