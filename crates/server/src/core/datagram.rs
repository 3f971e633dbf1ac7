//! UDP: one socket an address, on one core; datagrams come in and go out in batches.
//!
//! A peer becomes a Conn when it has proved that its address is its own (see [`crate::talk::datagram`](crate::talk)). What it is owed is written like lines: `Outgoing`
//! cuts them at their ends into datagrams, so a walk over a room's members serves datagram peers like any other.
//!
//! Invariants: nothing waits here without a bound. `outgoing` full: the Conns keep their cursors and go on when it has drained, answers
//! to those who are no Conn are dropped. A datagram is never cut.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use mio::{Interest, Token};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg};
use taut_hub::ConnId;

use super::{Core, Flag};

/// Datagrams taken from, or given to, the kernel in one call.
const BATCH: usize = 64;
/// Batches that one turn takes from a socket; then the others come first.
const BATCHES_PER_TURN: usize = 8;
/// Bytes of the longest datagram that IPv4 carries (RFC 768 and RFC 791: 65,535 less their heads), and one more to see that there is none longer.
const DATAGRAM_BYTES: usize = 65_508;
/// Datagrams that may wait for the kernel.
const OUTGOING_MAX: usize = 4_096;
/// Their bytes.
const OUTGOING_BYTES_MAX: usize = 4 << 20;

/// The token of a core's first datagram socket; the further ones count down.
const FIRST: usize = usize::MAX - 1;

/// The datagram sockets of a core, and the peers that are Conns.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    doors: Vec<DatagramDoor>,
    peers: slab::Slab<Peer>,
    conns: HashMap<Peer, ConnId>,
    pub(crate) outgoing: Outgoing,
    /// Conns that found `outgoing` full.
    waiting: Vec<u32>,
    incoming: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct DatagramDoor {
    socket: mio::net::UdpSocket,
    /// The kernel may hold more than the last turn took.
    ready: bool,
    /// The Conn that says what peers without proof publish.
    nobody: ConnId,
}

/// Where datagrams come from and go to: which of the core's sockets, and the address behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) door: u16,
    pub(crate) address: SocketAddr,
}

/// Datagrams on their way to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    datagrams: Vec<(Peer, std::ops::Range<usize>)>,
    /// How many of them the kernel has taken.
    taken: usize,
}

impl Outgoing {
    /// Takes as many of the lines as there is space for, each as one datagram without its line end. Says how many bytes they were.
    pub(crate) fn take_lines(&mut self, peer: Peer, lines: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(end) = memchr::memchr(b'\n', &lines[taken..]) {
            if !self.take(peer, &lines[taken..taken + end]) {
                break;
            }
            taken += end + 1;
        }
        taken
    }

    /// Takes one datagram; false when there is no space for it.
    pub(crate) fn take(&mut self, peer: Peer, datagram: &[u8]) -> bool {
        let start = self.bytes.len();
        if self.datagrams.len() >= OUTGOING_MAX || start + datagram.len() > OUTGOING_BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push((peer, start..self.bytes.len()));
        true
    }

    fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(OUTGOING_BYTES_MAX / 16);
        self.datagrams.clear();
        self.taken = 0;
    }
}

impl Datagrams {
    /// The Conn that a peer is, if it is one.
    pub(crate) fn conn_of(&self, peer: Peer) -> Option<ConnId> {
        self.conns.get(&peer).copied()
    }

    /// The Conn that speaks for the peers of a door that are none.
    pub(crate) fn nobody(&self, door: u16) -> Option<ConnId> {
        self.doors.get(usize::from(door)).map(|door| door.nobody)
    }

    /// Makes a place for a peer that becomes a Conn.
    pub(crate) fn admit(&mut self, peer: Peer) -> u32 {
        u32::try_from(self.peers.insert(peer)).unwrap_or(u32::MAX)
    }

    /// Notes which Conn a peer is.
    pub(crate) fn name(&mut self, peer: Peer, conn: ConnId) {
        self.conns.insert(peer, conn);
    }

    /// Where a peer that is a Conn is.
    pub(super) fn address(&self, key: u32) -> Option<SocketAddr> {
        self.peers.get(key as usize).map(|peer| peer.address)
    }

    /// How many peers are Conns.
    pub(crate) fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// Forgets a peer whose Conn has ended.
    pub(crate) fn forget(&mut self, key: u32) {
        if let Some(peer) = self.peers.try_remove(key as usize) {
            self.conns.remove(&peer);
        }
    }

    /// Writes lines to a peer, each as one datagram; says how many bytes found space.
    pub(crate) fn write_lines(&mut self, key: u32, lines: &[u8]) -> usize {
        match self.peers.get(key as usize) {
            Some(peer) => self.outgoing.take_lines(*peer, lines),
            None => lines.len(),
        }
    }

    /// Lets a Conn that found no space go on when there is some.
    pub(crate) fn wait(&mut self, slot: u32) {
        self.waiting.push(slot);
    }

    /// Whether a turn must follow at once.
    pub(super) fn is_ready(&self) -> bool {
        self.doors.iter().any(|door| door.ready)
    }
}

impl Core {
    /// Takes over a datagram socket.
    pub(crate) fn open_datagrams(&mut self, mut socket: mio::net::UdpSocket) -> io::Result<()> {
        let index = self.datagrams.doors.len();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut socket, Token(FIRST - index), both)?;
        let nobody = self.nobody();
        self.datagrams.doors.push(DatagramDoor {
            socket,
            ready: true,
            nobody,
        });
        Ok(())
    }

    /// An event of a datagram socket, if it is one.
    pub(super) fn datagram_event(&mut self, event: &mio::event::Event) -> bool {
        let Some(index) = FIRST.checked_sub(event.token().0) else {
            return false;
        };
        let Some(door) = self.datagrams.doors.get_mut(index) else {
            return false;
        };
        // Writability needs no note: every turn tries to send what waits.
        door.ready |= event.is_readable();
        true
    }

    /// Takes in what has come to the datagram sockets, bounded.
    pub(super) fn receive_datagrams(&mut self) {
        if self.is_congested() || !self.datagrams.is_ready() {
            return;
        }
        let mut incoming = std::mem::take(&mut self.datagrams.incoming);
        incoming.resize_with(BATCH, || vec![0; DATAGRAM_BYTES]);
        for index in 0..self.datagrams.doors.len() {
            self.receive_from(index, &mut incoming);
        }
        self.datagrams.incoming = incoming;
    }

    fn receive_from(&mut self, index: usize, incoming: &mut [Vec<u8>]) {
        for _ in 0..BATCHES_PER_TURN {
            let Some(door) = self.datagrams.doors.get_mut(index) else {
                return;
            };
            if !door.ready {
                return;
            }
            let came = match receive_batch(&door.socket, incoming) {
                Ok(came) => came,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(nix::errno::Errno::EAGAIN) => {
                    door.ready = false;
                    return;
                }
                // An earlier datagram found nobody: the kernel says so here, and it concerns no other peer.
                Err(error) => {
                    tracing::debug!(%error, "a datagram was not delivered");
                    continue;
                }
            };
            let door = u16::try_from(index).unwrap_or(u16::MAX);
            for ((bytes, address), buffer) in came.into_iter().zip(incoming.iter()) {
                if let (Some(address), Some(datagram)) = (address, buffer.get(..bytes)) {
                    self.datagram(Peer { door, address }, datagram);
                }
            }
        }
    }

    /// Gives the kernel what waits, and lets those go on who waited for space.
    pub(super) fn send_datagrams(&mut self) {
        let Datagrams {
            doors, outgoing, ..
        } = &mut self.datagrams;
        if outgoing.is_empty() {
            return;
        }
        while outgoing.taken < outgoing.datagrams.len() {
            let rest = &outgoing.datagrams[outgoing.taken..];
            let door = rest[0].0.door;
            let length = rest
                .iter()
                .take(BATCH)
                .take_while(|(peer, _)| peer.door == door);
            let batch = &rest[..length.count()];
            let Some(found) = doors.get(usize::from(door)) else {
                outgoing.taken += batch.len();
                continue;
            };
            match send_batch(&found.socket, &outgoing.bytes, batch) {
                Ok(count) => outgoing.taken += count.max(1),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return,
                // This one cannot be sent, whatever the reason; the others can.
                Err(error) => {
                    tracing::debug!(%error, "a datagram could not be sent");
                    outgoing.taken += 1;
                }
            }
        }
        outgoing.clear();
        for slot in std::mem::take(&mut self.datagrams.waiting) {
            if let Some(conn) = self.conns.at(slot)
                && conn.flags.has(Flag::Blocked)
            {
                conn.flags.set(Flag::Blocked, false);
                conn.flags.set(Flag::Stalling, false);
                self.touch(slot);
            }
        }
    }
}

type Came = Vec<(usize, Option<SocketAddr>)>;

/// Takes what the kernel has, at most one datagram a buffer.
fn receive_batch(socket: &mio::net::UdpSocket, incoming: &mut [Vec<u8>]) -> nix::Result<Came> {
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(incoming.len(), None);
    let mut buffers: Vec<[IoSliceMut<'_>; 1]> = incoming
        .iter_mut()
        .map(|buffer| [IoSliceMut::new(buffer)])
        .collect();
    let came = recvmmsg(
        socket.as_raw_fd(),
        &mut headers,
        buffers.iter_mut(),
        MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    Ok(came
        .map(|message| (message.bytes, message.address.as_ref().and_then(address_of)))
        .collect())
}

fn send_batch(
    socket: &mio::net::UdpSocket,
    bytes: &[u8],
    batch: &[(Peer, std::ops::Range<usize>)],
) -> nix::Result<usize> {
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(batch.len(), None);
    let slices: Vec<[IoSlice<'_>; 1]> = batch
        .iter()
        .map(|(_, range)| [IoSlice::new(bytes.get(range.clone()).unwrap_or_default())])
        .collect();
    let addresses: Vec<Option<SockaddrStorage>> = batch
        .iter()
        .map(|(peer, _)| Some(SockaddrStorage::from(peer.address)))
        .collect();
    let sent = sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        &slices,
        &addresses,
        [],
        MsgFlags::MSG_DONTWAIT,
    )?;
    Ok(sent.count())
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => address
            .as_sockaddr_in()
            .map(|found| SocketAddrV4::from(*found).into()),
        nix::sys::socket::AddressFamily::Inet6 => address
            .as_sockaddr_in6()
            .map(|found| SocketAddrV6::from(*found).into()),
        _ => None,
    }
}
