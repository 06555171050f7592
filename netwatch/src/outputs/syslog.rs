//! Syslog over UDP, TCP and TLS.

use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::limits::PATIENCE;
use super::sockets::{Settled, is_gone, settle};
use super::transport::{Transport, Trouble};
use super::trust;
use crate::config::{SyslogTarget, SyslogTransport};
use crate::report::Told;
use crate::report::snapshot::Run;
use crate::sinks::syslog::{DATAGRAM, Sender, cut};

/// A receiver of syslog.
pub(super) struct Syslog {
    target: SyslogTarget,
    sender: Sender,
    /// Of TLS only.
    tls: Option<Arc<ClientConfig>>,
    connection: Option<Connection>,
}

enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Syslog {
    pub(super) fn new(target: &SyslogTarget, run: &Run) -> Result<Self, String> {
        let sender = Sender {
            facility: target.facility,
            enterprise_id: target.enterprise_id,
            host: run.host.clone(),
            pid: std::process::id(),
        };
        let tls = tls(target)?;
        Ok(Self { target: target.clone(), sender, tls, connection: None })
    }

    fn connect(&self) -> io::Result<Connection> {
        let (host, port) = (&*self.target.address.host, self.target.address.port);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        // Names are asked for again each time: the receiver may have moved.
        for place in (host, port).to_socket_addrs()? {
            let connected = match self.target.address.transport {
                SyslogTransport::Udp => {
                    let any = if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    UdpSocket::bind(any).and_then(|socket| {
                        socket.connect(place)?;
                        socket.set_write_timeout(Some(PATIENCE))?;
                        Ok(Connection::Udp(socket))
                    })
                }
                SyslogTransport::Tcp | SyslogTransport::Tls => TcpStream::connect_timeout(&place, PATIENCE)
                    .and_then(|stream| {
                        stream.set_write_timeout(Some(PATIENCE))?;
                        stream.set_read_timeout(Some(PATIENCE))?;
                        self.begin(stream)
                    }),
            };
            match connected {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Begins TLS where it is wanted.
    fn begin(&self, mut stream: TcpStream) -> io::Result<Connection> {
        let Some(tls) = &self.tls else { return Ok(Connection::Tcp(stream)) };
        let name = ServerName::try_from(self.target.address.host.clone()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Connection::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    fn send(&self, connection: &mut Connection, batch: &[Arc<Told>], done: &mut usize) -> io::Result<()> {
        if let Connection::Udp(socket) = connection {
            for told in batch {
                let message = self.sender.message(told);
                socket.send(cut(&message, DATAGRAM).as_bytes())?;
                // Where nobody listens, a host nearby says so at once, and this one is sent again.
                if let Some(error) = socket.take_error()? {
                    return Err(error);
                }
                *done += 1;
            }
            return Ok(());
        }
        let mut frames = Vec::new();
        for told in batch {
            let message = self.sender.message(told);
            write!(frames, "{} {message}", message.len())?;
        }
        let settled = match connection {
            Connection::Udp(_) => Settled::All,
            Connection::Tcp(stream) => {
                stream.write_all(&frames)?;
                settle(stream)?
            }
            Connection::Tls(stream) => {
                stream.write_all(&frames)?;
                stream.flush()?;
                settle(&stream.sock)?
            }
        };
        match settled {
            Settled::All => Ok(()),
            Settled::Late => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not take what is sent")),
        }
    }
}

impl Transport for Syslog {
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble> {
        let open = self.connection.take().and_then(still_there);
        let address = &self.target.address;
        let mut connection = match open {
            Some(connection) => connection,
            None => self.connect().map_err(|error| Trouble::io(&format!("connect to {address}"), &error))?,
        };
        self.send(&mut connection, batch, done)
            .map_err(|error| Trouble::io(&format!("send to {address}"), &error))?;
        self.connection = Some(connection);
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.connection = None;
        self.tls = tls(&self.target).map_err(Trouble::again)?;
        Ok(())
    }
}

fn tls(target: &SyslogTarget) -> Result<Option<Arc<ClientConfig>>, String> {
    let is_wanted = target.address.transport == SyslogTransport::Tls;
    is_wanted.then(|| trust::client(target.ca_file.as_deref())).transpose()
}

/// The connection, unless the other end has closed it: what is written to such a one is lost without an error.
fn still_there(connection: Connection) -> Option<Connection> {
    match connection {
        Connection::Udp(socket) => Some(Connection::Udp(socket)),
        Connection::Tcp(stream) => (!is_gone(&stream)).then_some(Connection::Tcp(stream)),
        Connection::Tls(mut stream) => {
            if is_gone(&stream.sock) {
                return None;
            }
            let is_open = hear(&mut stream).is_ok_and(|is_open| is_open);
            (stream.sock.set_nonblocking(false).is_ok() && is_open).then_some(Connection::Tls(stream))
        }
    }
}

/// Takes in what a server says in TLS, though nothing of ours is expected: tickets, and that it closes.
fn hear(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> io::Result<bool> {
    stream.sock.set_nonblocking(true)?;
    loop {
        match stream.conn.read_tls(&mut stream.sock) {
            Ok(0) => return Ok(false),
            Ok(_) => {
                let state = stream.conn.process_new_packets().map_err(io::Error::other)?;
                if state.peer_has_closed() || state.plaintext_bytes_to_read() > 0 {
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}
