//! A socket that speaks TLS: rustls without buffers of its own, so that a core's buffers serve all of its tunnels.
//!
//! Invariants: `partial` holds only what is no whole record, or no whole handshake message, yet; every call into rustls is given it, since rustls counts
//! from its beginning. `unsent` holds at most one record and what rustls itself wants to say; while it holds anything, nothing more is encrypted.
//! What was received ends by the peer's close_notify; an end without it is an error, since anybody on the way could have cut the rest off (RFC 8446 §6.1).

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus,
};

use super::peer;
use crate::core::Stream;
use crate::limits::Bill;

/// Bytes of clear text in one record at most (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 << 10;
/// What encryption adds to a record at most, rounded up; a key update may go ahead of it.
const OVERHEAD_BYTES: usize = 512;
/// Reads of the socket that one read of a tunnel may take, when they bring no clear text.
const READS: usize = 4;

/// See the [module](self).
pub(crate) struct Tunnel {
    socket: Stream,
    session: UnbufferedServerConnection,
    /// What has come and is not whole.
    partial: Vec<u8>,
    /// Clear text that came where nobody could take it: with the last bytes of the handshake, or behind a full buffer.
    early: Vec<u8>,
    unsent: Vec<u8>,
    /// How much of `unsent` the kernel has taken.
    sent: usize,
    /// The peer has said close_notify.
    is_ended: bool,
    /// We have said it.
    is_finished: bool,
    peer: Option<Arc<str>>,
    /// What goes with it while it is no Conn.
    pub(crate) luggage: Option<Box<Luggage>>,
}

/// What a connection has beside its socket, while its handshake is under way.
#[derive(Debug)]
pub(crate) struct Luggage {
    /// What it holds of the limits.
    pub(crate) bill: Option<Box<Bill>>,
    /// Whose it is, as a proxy says.
    pub(crate) client: Option<IpAddr>,
}

impl Luggage {
    /// Takes no place where there is nothing.
    pub(crate) fn pack(bill: Option<Box<Bill>>, client: Option<IpAddr>) -> Option<Box<Self>> {
        let is_any = bill.is_some() || client.is_some();
        is_any.then(|| Box::new(Self { bill, client }))
    }
}

/// The buffers that all tunnels of a thread share; empty until the first one comes.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The parts of one record.
    joined: Vec<u8>,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brought {
    /// Bytes of clear text; 0 only where `end` or `more` says why.
    pub(crate) bytes: usize,
    /// The peer has said close_notify, and everything before it has been read.
    pub(crate) end: bool,
    /// The socket may hold more, although less came than was asked for.
    pub(crate) more: bool,
}

/// How far a handshake is.
#[derive(Debug)]
pub(crate) enum Shaken {
    /// It waits for the peer; `blocked`: also for the socket to take what is to be sent.
    Waits { blocked: bool },
    /// It is done, and everything is sent.
    Done,
    /// It failed; the peer has been told where that was possible. `None`: the peer went without a word.
    Failed(Option<rustls::Error>),
}

impl Tunnel {
    /// Begins a handshake with what the socket has brought.
    ///
    /// # Errors
    /// What rustls finds wrong with its configuration.
    pub(crate) fn begin(
        socket: Stream,
        first: Vec<u8>,
        config: Arc<ServerConfig>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            socket,
            session: UnbufferedServerConnection::new(config)?,
            partial: first,
            early: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            is_ended: false,
            is_finished: false,
            peer: None,
            luggage: None,
        })
    }

    /// The socket beneath.
    pub(crate) fn socket(&mut self) -> &mut Stream {
        &mut self.socket
    }

    /// Whom the peer's certificate names, when it showed one and the configured authorities vouch for it.
    pub(crate) fn peer(&self) -> Option<&Arc<str>> {
        self.peer.as_ref()
    }

    /// The address at the other end, where that is one of TCP.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            _ => None,
        }
    }

    /// Whether the peer has agreed on HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) fn speaks_http2(&self) -> bool {
        self.session.alpn_protocol() == Some(crate::http2::ALPN)
    }

    /// Whether clear text waits that no news of the socket will tell of.
    #[cfg(feature = "http2")]
    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Goes on with the handshake until it waits, is done or has failed. `received` counts what came, and `bytes_max` bounds it.
    pub(crate) fn shake(
        &mut self,
        buffer: &mut [u8],
        received: &mut usize,
        bytes_max: usize,
    ) -> Shaken {
        loop {
            if let Err(error) = self.advance() {
                self.say_why();
                return Shaken::Failed(Some(error));
            }
            match self.send() {
                Ok(true) => {}
                Ok(false) => return Shaken::Waits { blocked: true },
                Err(_) => return Shaken::Failed(None),
            }
            if !self.session.is_handshaking() {
                self.peer = peer::name(self.session.peer_certificates());
                self.partial.shrink_to_fit();
                return Shaken::Done;
            }
            if self.is_ended {
                return Shaken::Failed(None);
            }
            // What a client says behind its last words of the handshake may be long, and stays in the socket.
            let left = bytes_max.saturating_sub(*received).min(buffer.len());
            if left == 0 {
                let text = format!("it took more than {bytes_max} bytes");
                return Shaken::Failed(Some(rustls::Error::General(text)));
            }
            match self.socket.read(&mut buffer[..left]) {
                Ok(0) => return Shaken::Failed(None),
                Ok(count) => {
                    *received += count;
                    self.partial.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Shaken::Waits { blocked: false };
                }
                Err(_) => return Shaken::Failed(None),
            }
        }
    }

    /// Reads and decrypts into `out`, in a bounded number of reads of the socket.
    ///
    /// # Errors
    /// The socket's own; `WouldBlock` when nothing is there; `InvalidData` when the peer broke TLS, and `UnexpectedEof` when the connection ended without
    /// close_notify.
    pub(crate) fn read(
        &mut self,
        out: &mut [u8],
        buffers: &mut Buffers,
        at_once: usize,
    ) -> io::Result<Brought> {
        let mut brought = Brought {
            bytes: 0,
            end: false,
            more: true,
        };
        if !self.early.is_empty() {
            brought.bytes = self.early.len().min(out.len());
            out[..brought.bytes].copy_from_slice(&self.early[..brought.bytes]);
            // An idle tunnel keeps no room for what it held once.
            self.early = self.early.split_off(brought.bytes);
            return Ok(brought);
        }
        if self.is_ended {
            brought.end = true;
            return Ok(brought);
        }
        buffers.incoming.resize(at_once, 0);
        for _ in 0..READS {
            let incoming = &mut buffers.incoming;
            let start = self.partial.len();
            let Some((kept, space)) = incoming.split_at_mut_checked(start) else {
                return Err(invalid("a handshake message without end"));
            };
            kept.copy_from_slice(&self.partial);
            let space_bytes = space.len();
            let (count, eof) = match self.socket.read(space) {
                // What came with the handshake waits without any news of the socket.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && start > 0 => (0, false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
                Ok(count) => (count, count == 0 && space_bytes > 0),
            };
            let filled = start + count;
            let (used, plain) = self.open(&mut buffers.incoming[..filled], out)?;
            self.partial = buffers.incoming[used..filled].to_vec();
            // Answers to key updates. What the kernel does not take goes ahead of the next words.
            self.send()?;
            brought.bytes = plain;
            brought.more = eof || count == space_bytes || !self.early.is_empty();
            brought.end = self.is_ended && self.early.is_empty() && plain == 0;
            if plain > 0 || brought.end {
                return Ok(brought);
            }
            if eof {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        brought.more = true;
        Ok(brought)
    }

    /// Encrypts and writes as much of the parts as the kernel takes, and at most one record more, which is kept. Says how many bytes of the parts are done
    /// with, and whether all that is encrypted is out.
    ///
    /// # Errors
    /// The socket's own: the peer is gone.
    pub(crate) fn write(
        &mut self,
        parts: [&[u8]; 3],
        buffers: &mut Buffers,
    ) -> io::Result<(usize, bool)> {
        if !self.send()? {
            return Ok((0, false));
        }
        let Buffers {
            outgoing, joined, ..
        } = buffers;
        let mut taken = 0;
        loop {
            let record = record_at(parts, taken, joined);
            if record.is_empty() {
                return Ok((taken, true));
            }
            let sealed = self.seal(Some(record), outgoing)?;
            taken += record.len();
            if !self.put(&outgoing[..sealed])? {
                return Ok((taken, false));
            }
        }
    }

    /// Says close_notify, once; then FIN, unless something waits that the kernel has not taken.
    pub(crate) fn finish(&mut self, buffers: &mut Buffers) {
        // Fails only when the peer is gone already.
        if self.say_end(buffers).unwrap_or(false) {
            self.socket.finish();
        }
    }

    /// Says close_notify where that is possible now: the socket is about to close.
    pub(crate) fn part(&mut self, buffers: &mut Buffers) {
        // Whoever is gone hears nothing.
        let _ = self.say_end(buffers);
    }

    fn say_end(&mut self, buffers: &mut Buffers) -> io::Result<bool> {
        if self.session.is_handshaking() || !self.send()? {
            return Ok(false);
        }
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(true);
        }
        let sealed = self.seal(None, &mut buffers.outgoing)?;
        self.put(&buffers.outgoing[..sealed])
    }

    /// Writes encrypted bytes; keeps what the kernel does not take, and says whether it took all.
    fn put(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let sent = write_some(&mut self.socket, bytes)?;
        if sent == bytes.len() {
            return Ok(true);
        }
        self.unsent.clear();
        self.unsent.extend_from_slice(&bytes[sent..]);
        self.sent = 0;
        Ok(false)
    }

    /// Writes what waits; true when nothing does any more.
    fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.unsent.len() {
            match write_some(&mut self.socket, &self.unsent[self.sent..])? {
                0 => return Ok(false),
                sent => self.sent += sent,
            }
        }
        if !self.unsent.is_empty() {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(true)
    }

    /// Lets rustls work on `partial`: steps of the handshake.
    fn advance(&mut self) -> Result<(), rustls::Error> {
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut self.partial);
            let mut waits = false;
            match state? {
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.unsent)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        self.early.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::PeerClosed => self.is_ended = true,
                _ => waits = true,
            }
            self.partial.drain(..discard);
            if waits {
                return Ok(());
            }
        }
    }

    /// Decrypts `incoming` into `out`; says how many bytes of the one are done with, and how many of the other are filled.
    fn open(&mut self, incoming: &mut [u8], out: &mut [u8]) -> io::Result<(usize, usize)> {
        let (mut used, mut plain) = (0, 0);
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut incoming[used..]);
            let mut waits = false;
            match state {
                Err(error) => {
                    self.say_why();
                    return Err(invalid(error));
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        let payload = record.payload;
                        match out.get_mut(plain..plain + payload.len()) {
                            Some(place) if self.early.is_empty() => {
                                place.copy_from_slice(payload);
                                plain += payload.len();
                            }
                            _ => self.early.extend_from_slice(payload),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.unsent).map_err(invalid)?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_ended = true,
                _ => waits = true,
            }
            used += discard;
            if waits {
                return Ok((used, plain));
            }
        }
    }

    /// Encrypts one record, or (`None`) close_notify, behind whatever rustls wants to say; gives the length.
    fn seal(&mut self, record: Option<&[u8]>, outgoing: &mut Vec<u8>) -> io::Result<usize> {
        let least = record.map_or(0, <[u8]>::len) + OVERHEAD_BYTES;
        if outgoing.len() < least {
            outgoing.resize(least, 0);
        }
        let mut ahead = Vec::new();
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut self.partial);
            let mut sealed = None;
            match state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let result = match record {
                        Some(record) => traffic.encrypt(record, outgoing),
                        None => traffic.queue_close_notify(outgoing),
                    };
                    match result {
                        Ok(length) => sealed = Some(length),
                        Err(EncryptError::InsufficientSize(error)) => {
                            outgoing.resize(error.required_size, 0);
                        }
                        Err(error @ EncryptError::EncryptExhausted) => return Err(invalid(error)),
                    }
                }
                ConnectionState::EncodeTlsData(data) => {
                    encode(data, &mut ahead).map_err(invalid)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(next) = traffic.next_record() {
                        let next = next.map_err(invalid)?;
                        discard += next.discard;
                        self.early.extend_from_slice(next.payload);
                    }
                }
                ConnectionState::PeerClosed => self.is_ended = true,
                _ => return Err(invalid("the connection is closed already")),
            }
            self.partial.drain(..discard);
            if let Some(length) = sealed {
                if !ahead.is_empty() {
                    outgoing.splice(..0, ahead.iter().copied());
                }
                return Ok(ahead.len() + length);
            }
        }
    }

    /// After an error: tells the peer by the alert that rustls has for it. Only that is asked for: there is nothing to be read any more.
    fn say_why(&mut self) {
        while self.session.wants_write() {
            let encoded = match self.session.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent).is_ok(),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while traffic.next_record().is_some() {}
                    true
                }
                _ => false,
            };
            if !encoded {
                break;
            }
        }
        // Whoever is gone hears nothing.
        let _ = self.send();
        self.socket.finish();
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel")
            .field("socket", &self.socket)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The next record's clear text, beginning `taken` bytes into the parts. Where it lies in several of them it is joined, since a record is sealed in one piece.
fn record_at<'a>(parts: [&'a [u8]; 3], taken: usize, joined: &'a mut Vec<u8>) -> &'a [u8] {
    let mut skip = taken;
    joined.clear();
    let mut rest = parts.into_iter().filter_map(|part| {
        let from = skip.min(part.len());
        skip -= from;
        (from < part.len()).then(|| &part[from..])
    });
    let Some(first) = rest.next() else {
        return &[];
    };
    if first.len() >= RECORD_BYTES {
        return &first[..RECORD_BYTES];
    }
    let Some(second) = rest.next() else {
        return first;
    };
    for part in [first, second].into_iter().chain(rest) {
        let space = RECORD_BYTES - joined.len();
        joined.extend_from_slice(&part[..part.len().min(space)]);
    }
    joined
}

/// Appends what rustls wants to say.
fn encode<T>(mut data: EncodeTlsData<'_, T>, out: &mut Vec<u8>) -> Result<(), rustls::Error> {
    let at = out.len();
    loop {
        match data.encode(&mut out[at..]) {
            Ok(length) => {
                out.truncate(at + length);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(error)) => out.resize(at + error.required_size, 0),
            Err(error @ EncodeError::AlreadyEncoded) => {
                return Err(rustls::Error::General(error.to_string()));
            }
        }
    }
}

/// Writes as much as the kernel takes: 0 when it takes nothing now.
fn write_some(socket: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            other => return other,
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
