//! A connection that we open, for a thread that waits on it, under one deadline for everything: addresses that are silent, what is written, what is read.
//!
//! A limit for each read alone would let a peer that sends byte by byte go on for ever; within TLS, where one read is many of the socket, not even we would notice.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    /// Tries the addresses of a host in turn. One that is silent, as IPv6 often is where there is none, costs its share of the time and leaves the others theirs.
    ///
    /// # Errors
    /// What the name lookup said, or the last address.
    pub(crate) fn connect(host: &str, port: u16, until: Instant) -> io::Result<Self> {
        let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its host has no address");
        for (left_over, address) in (1..=addresses.len()).rev().zip(&addresses) {
            let share = left(until)? / u32::try_from(left_over).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, share) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    return Ok(Self { socket, until });
                }
                Err(error) => {
                    last = io::Error::new(error.kind(), format!("{address}: {error}"));
                }
            }
        }
        Err(last)
    }

    /// A new deadline.
    pub(crate) fn give_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// Whether nothing waits to be read, not even the end.
    pub(crate) fn is_silent(&self) -> bool {
        let is_silent = self.socket.set_nonblocking(true).is_ok()
            && matches!(self.socket.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).is_ok() && is_silent
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.until)?))?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.until)?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// What is left of the time.
///
/// # Errors
/// `TimedOut`: nothing is.
pub(crate) fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
