//! The core's Conns that speak TLS: their tunnels, by key, and the buffers that they share.
//!
//! A Conn holds only the key, so that one in clear text is no larger for it. Whoever takes a Conn out of the slab takes its tunnel out, too.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::{Interest, Registry, Token};
use taut_hub::{ConnId, Slots};

use super::{Core, READ_BYTES, Stream};
use crate::acceptor::Newcomer;
use crate::listen::Speaks;
use crate::tls::{Buffers, Luggage, Tunnel};

/// Tunnels taken in during one turn.
const TUNNELS_PER_TURN: usize = 256;

/// What comes of TLS.
#[derive(Debug)]
pub(crate) enum Secured {
    /// A connection whose handshake is done.
    Tunnel(Box<Tunnel>),
    /// A stream of an HTTP/2 connection that a front serves.
    #[cfg_attr(not(feature = "http2"), expect(dead_code))]
    Stream(Newcomer),
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Tunnels {
    slots: Slots<Box<Tunnel>>,
    buffers: Buffers,
    /// Whether the last read left something behind.
    more: bool,
}

impl Tunnels {
    /// Takes a tunnel in; its key.
    pub(crate) fn insert(&mut self, tunnel: Box<Tunnel>) -> u32 {
        self.slots.insert(tunnel)
    }

    /// Takes a tunnel out, to move it to another core.
    pub(crate) fn remove(&mut self, key: u32) -> Option<Box<Tunnel>> {
        self.slots.remove(key)
    }

    /// Closes a tunnel, with close_notify where that is possible.
    pub(super) fn close(&mut self, key: u32) {
        if let Some(mut tunnel) = self.slots.remove(key) {
            tunnel.part(&mut self.buffers);
        }
    }

    /// Says close_notify and FIN.
    pub(super) fn finish(&mut self, key: u32) {
        if let Some(tunnel) = self.slots.at_mut(key) {
            tunnel.finish(&mut self.buffers);
        }
    }

    /// Forgets what the last read left behind: it was that of another Conn.
    pub(super) fn begin_read(&mut self) {
        self.more = false;
    }

    /// Reads clear text, as a socket would. Whether more is there tells [`Tunnels::has_more`].
    pub(super) fn read(&mut self, key: u32, out: &mut [u8]) -> io::Result<usize> {
        let Some(tunnel) = self.slots.at_mut(key) else {
            return Ok(0);
        };
        let brought = tunnel.read(out, &mut self.buffers, READ_BYTES)?;
        self.more = brought.more && !brought.end;
        if brought.bytes == 0 && !brought.end {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(brought.bytes)
    }

    /// Whether the last read stopped short of what there may be.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// Writes clear text; see [`Tunnel::write`].
    pub(super) fn write(&mut self, key: u32, parts: [&[u8]; 3]) -> io::Result<(usize, bool)> {
        match self.slots.at_mut(key) {
            Some(tunnel) => tunnel.write(parts, &mut self.buffers),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Watches the socket beneath, anew or in another way.
    pub(super) fn watch(
        &mut self,
        key: u32,
        registry: &Registry,
        token: Token,
        interest: Interest,
        again: bool,
    ) -> io::Result<()> {
        match self.slots.at_mut(key) {
            Some(tunnel) => tunnel.socket().watch(registry, token, interest, again),
            None => Ok(()),
        }
    }

    /// The address at the other end.
    pub(super) fn address(&mut self, key: u32) -> Option<std::net::IpAddr> {
        Some(self.peer_address(key)?.ip())
    }

    /// The address that a tunnel's socket has on its other side.
    pub(crate) fn peer_address(&mut self, key: u32) -> Option<SocketAddr> {
        self.slots.at_mut(key)?.address()
    }

    fn at(&self, key: u32) -> Option<&Tunnel> {
        self.slots.at(key).map(|tunnel| &**tunnel)
    }
}

impl Core {
    /// Takes in the tunnels whose handshakes are done, and the streams of HTTP/2.
    pub(super) fn take_in_tunnels(&mut self) {
        for _ in 0..TUNNELS_PER_TURN {
            let Some(secured) = self.secured.as_ref().and_then(|s| s.try_recv().ok()) else {
                return;
            };
            if self.is_draining() {
                self.uncount();
                continue;
            }
            let mut tunnel = match secured {
                Secured::Tunnel(tunnel) => tunnel,
                Secured::Stream(newcomer) => {
                    let _ = self.welcome(newcomer);
                    continue;
                }
            };
            let luggage = tunnel.luggage.take();
            let (bill, client) = luggage.map_or((None, None), |l| (l.bill, l.client));
            let stream = Stream::Tunnel(self.tunnels.insert(tunnel));
            let speaks = Speaks::Anything;
            // What came with the last bytes of the handshake is told by no event.
            if let Some(id) = self.welcome(Newcomer {
                stream,
                speaks,
                bill,
                origin: None,
            }) {
                if let Some(client) = client {
                    self.identities.set_client(id, client);
                }
                self.ready_again(id.slot);
                if let Some(name) = self.certificate_name(id).cloned() {
                    tell!(self, id, DEBUG, %name, "a client showed a certificate");
                }
            }
        }
        // More may wait than this turn took.
        self.alert.raise();
    }

    /// Gives a Conn that begins to speak TLS to the handshakes, with what it has brought; false where there is no certificate.
    pub(crate) fn begin_tls(&mut self, id: ConnId, data: &[u8]) -> bool {
        let Some(handshakes) = self.handshakes.clone() else {
            return false;
        };
        let is_clear = self
            .conns
            .find(id)
            .is_some_and(|conn| matches!(conn.stream, Stream::Tcp(_) | Stream::Unix(_)));
        if !is_clear {
            return false;
        }
        let bill = self.limiter.take(id.slot);
        let client = self.identities.client_of_conn(id);
        let Some(mut conn) = self.conns.remove(id.slot) else {
            return true;
        };
        self.identities.forget(id);
        self.uncount();
        self.moved = Some((id, None));
        if let Err(error) = conn.stream.forget(self.poll.registry()) {
            tell_often!(WARN, %error, "a connection could not be handed to a handshake and is closed");
            return true;
        }
        handshakes.hand_in(conn.stream, data.to_vec(), Luggage::pack(bill, client));
        true
    }

    /// Whom the certificate of a Conn's peer names, where it showed one that the configured authorities vouch for.
    pub(crate) fn certificate_name(&mut self, id: ConnId) -> Option<&Arc<str>> {
        match self.conns.find(id)?.stream {
            Stream::Tunnel(key) => self.tunnels.at(key)?.peer(),
            Stream::Unix(_) => self.identities.origin(id)?.certificate.as_ref(),
            _ => None,
        }
    }
}
