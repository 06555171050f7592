//! Real conversations of real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect as connect_to, setsockopt, socket, sockopt,
};

/// Connects from this address, and this port unless it is 0.
#[track_caller]
pub fn connect(from: SocketAddrV4, to: SocketAddrV4) -> TcpStream {
    let made = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&made, sockopt::ReuseAddr, &true).unwrap();
    bind(made.as_raw_fd(), &SockaddrIn::from(from)).unwrap();
    connect_to(made.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    made.into()
}

/// Asks a server and reads its answer of so many bytes, to the end.
#[track_caller]
pub fn fetch(mut stream: TcpStream, bytes: usize) {
    stream.write_all(b"GET").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), bytes);
}

/// Serves connections for ever, each with so many bytes and on a thread of its own.
pub fn serve(listener: TcpListener, bytes: usize) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let mut question = [0; 3];
                let _ = stream.read_exact(&mut question).and_then(|()| stream.write_all(&vec![7; bytes]));
            });
        }
    });
}

/// Answers every datagram with itself, for ever.
pub fn echo(socket: UdpSocket) {
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..len], from);
        }
    });
}
