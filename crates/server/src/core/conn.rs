//! One Conn's slot on its core: the socket, what it speaks, and what it is still owed.
//!
//! Invariants: an idle Conn holds no read buffer (`input` keeps only an unfinished remainder) and no write queue (`output` exists only
//! while something waits). Room messages never queue here: a Conn that does not read keeps its cursors instead. After a short write the
//! rest of the frame under way goes to `output`, so nothing can slip between the halves of a frame.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use taut_gate::Format;
use taut_hub::{ConnId, Door, Slots};

use super::datagram::Datagrams;
use super::tunnels::Tunnels;
use super::wheel::Alarm;
use crate::metrics::DoorAt;
use crate::talk::Talk;

/// How bytes get in and out.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    /// TLS over one of those, by its key among the core's [`Tunnels`], which does what a stream does here.
    Tunnel(u32),
    /// A peer of one of the core's datagram sockets, by its key there.
    Datagrams(u32),
    /// No socket at all: the Conn that speaks for datagram peers without proof, and a session whose client polls.
    Nobody,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Tunnel(_) | Self::Datagrams(_) | Self::Nobody => {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tunnel(_) | Self::Datagrams(_) | Self::Nobody => {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    /// Watches it for `interest`, anew or (`again`) in another way.
    pub(crate) fn watch(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
        again: bool,
    ) -> io::Result<()> {
        let source: &mut dyn Source = match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
            // The socket is watched, for all of its peers.
            Self::Tunnel(_) | Self::Datagrams(_) | Self::Nobody => return Ok(()),
        };
        if again {
            registry.reregister(source, token, interest)
        } else {
            registry.register(source, token, interest)
        }
    }

    /// Watches it no more.
    pub(crate) fn forget(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => registry.deregister(stream),
            Self::Unix(stream) => registry.deregister(stream),
            Self::Tunnel(_) | Self::Datagrams(_) | Self::Nobody => Ok(()),
        }
    }

    /// Writes as much of the parts as the kernel takes; 0 when it takes nothing now.
    fn write_all_of(&mut self, parts: [&[u8]; 3], datagrams: &mut Datagrams) -> io::Result<usize> {
        // Most often there is one, and a plain write costs less.
        let alone = match parts {
            [[], [], part] | [[], part, []] | [part, [], []] => Some(part),
            _ => None,
        };
        let slices = || parts.map(IoSlice::new);
        loop {
            let result = match (&mut *self, alone) {
                (Self::Tcp(stream), Some(part)) => stream.write(part),
                (Self::Tcp(stream), None) => stream.write_vectored(&slices()),
                (Self::Unix(stream), Some(part)) => stream.write(part),
                (Self::Unix(stream), None) => stream.write_vectored(&slices()),
                (Self::Datagrams(key), _) => {
                    let mut written = 0;
                    for part in parts {
                        let of_part = datagrams.write_lines(*key, part);
                        written += of_part;
                        if of_part < part.len() {
                            break;
                        }
                    }
                    Ok(written)
                }
                (Self::Tunnel(_), _) => Ok(0),
                (Self::Nobody, _) => Ok(parts.iter().map(|part| part.len()).sum()),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                other => return other,
            }
        }
    }

    /// Says FIN: whatever was written still arrives.
    pub(crate) fn finish(&mut self) {
        // Fails only when the peer is gone already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
            Self::Tunnel(_) | Self::Datagrams(_) | Self::Nobody => Ok(()),
        };
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) stream: Stream,
    pub(crate) generation: u32,
    /// In which Format room messages go out.
    pub(crate) format: Format,
    pub(crate) flags: Flags,
    /// How many rooms it is in.
    pub(crate) rooms: u16,
    /// By which door it is counted.
    pub(crate) door_at: DoorAt,
    /// Own answers, or the rest of a frame under way; `None` while nothing waits.
    pub(crate) output: Option<Box<Output>>,
    /// What has arrived and is no whole unit yet; empty without allocation while nothing has.
    pub(crate) input: Remainder,
    pub(crate) talk: Talk,
    pub(crate) name: Name,
    pub(crate) alarm: Alarm,
    /// When bytes last came, in milliseconds of the core's clock, wrapping after 49 days.
    pub(crate) heard_ms: u32,
}

/// What the others see as `from`.
#[derive(Debug)]
pub(crate) enum Name {
    /// The number of a guest, of whom many never say a word; 0 until it is needed.
    Guest(u64),
    Known(Arc<str>),
}

impl Name {
    /// Takes a name. A guest's own needs no place.
    pub(crate) fn set(&mut self, name: &Arc<str>) {
        match self {
            Self::Guest(number) if Self::of_guest(*number) == *name => {}
            _ => *self = Self::Known(Arc::clone(name)),
        }
    }

    /// The name that goes with a number.
    pub(crate) fn of_guest(number: u64) -> Arc<str> {
        format!("guest-{number}").into()
    }
}

/// Bytes that are no whole unit yet: a word while there are none.
#[derive(Debug, Default)]
pub(crate) struct Remainder(Option<Box<Bytes>>);

#[derive(Debug)]
struct Bytes(Vec<u8>);

impl Remainder {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn put(&mut self, bytes: Vec<u8>) {
        self.0 = (!bytes.is_empty()).then(|| Box::new(Bytes(bytes)));
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.0.take().map_or_else(Vec::new, |bytes| bytes.0)
    }
}

// What the fan-out and the heartbeat need lies in a line and a half. (mio's streams are larger in debug builds.)
const _: () = assert!(size_of::<Conn>() <= 96 + size_of::<Stream>() - 8);

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How many of them the kernel has taken. An offset, since moving the rest down at every short write would be quadratic.
    taken: usize,
}

impl Output {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }
}

/// A Conn's small facts, a bit each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags(u32);

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flag {
    /// The kernel took less than was offered; a writability event will come.
    Blocked,
    /// Registered for writability.
    WatchesWrites,
    /// On the list of Conns that have own output or several rooms to flush this turn.
    Dirty,
    /// On the list of Conns whose socket may hold more than was read.
    Ready,
    /// Its units wait until the hub has answered.
    Paused,
    /// Its units wait until it has taken its answers.
    Choked,
    /// Its first byte has come.
    Touched,
    /// Published something in the window being flushed, which it must not hear itself.
    Sender,
    /// Closes as soon as `output` is written.
    Closing,
    /// The farewell is written and FIN said; whatever still comes in is thrown away until the peer closes.
    Lingering,
    /// The peer said FIN.
    Ended,
    /// The peer hears nothing any more either. Only a Unix socket tells it; on TCP the next message finds it out.
    Gone,
    /// A ping is under way.
    Pinged,
    /// Room messages must wait: the answer that precedes them is not out.
    Held,
    /// Has asked the hub for a room at least once, so the hub must hear of its end.
    Opened,
    /// Blocked without progress since the alarm was set for it.
    Stalling,
    /// It was too fast, and is not read for a moment.
    Throttled,
    /// Its units wait until the application has been asked about a message of it.
    Hooked,
    /// It does not take what it said itself, and is not read until it has.
    Unheard,
    /// Its clear text is taken only since a proxy says that the client used TLS, with each request.
    Vouched,
}

impl Flags {
    pub(crate) fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u16) != 0
    }

    pub(crate) fn set(&mut self, flag: Flag, on: bool) {
        self.0 &= !(1 << flag as u16);
        self.0 |= u32::from(on) << flag as u16;
    }

    /// Whether it is not to be read now: for want of an answer of ours, because it takes none, or because it was too fast.
    pub(crate) fn waits(self) -> bool {
        // One comparison: it is asked before each unit.
        const HELD: u32 = 1 << Flag::Paused as u16
            | 1 << Flag::Choked as u16
            | 1 << Flag::Throttled as u16
            | 1 << Flag::Hooked as u16
            | 1 << Flag::Unheard as u16;
        self.0 & HELD != 0
    }

    /// Sets it and says what it was.
    pub(crate) fn replace(&mut self, flag: Flag, on: bool) -> bool {
        let before = self.has(flag);
        self.set(flag, on);
        before
    }
}

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// All of it.
    All,
    /// This many bytes of the body, after all own output.
    Part(usize),
}

impl Conn {
    pub(crate) fn new(stream: Stream, talk: Talk, generation: u32, now_ms: u64) -> Self {
        Self {
            stream,
            generation,
            format: Format::None,
            flags: Flags::default(),
            rooms: 0,
            door_at: DoorAt::NONE,
            output: None,
            input: Remainder::default(),
            talk,
            name: Name::Guest(0),
            alarm: Alarm::default(),
            heard_ms: wrapped(now_ms),
        }
    }

    /// Where own answers go.
    pub(crate) fn answers(&mut self) -> &mut Vec<u8> {
        &mut self.output.get_or_insert_default().bytes
    }

    /// Takes everything out that waits to be written.
    pub(crate) fn take_answers(&mut self) -> Vec<u8> {
        self.output.take().map_or_else(Vec::new, |output| {
            let Output { mut bytes, taken } = *output;
            bytes.drain(..taken);
            bytes
        })
    }

    /// Bytes of own answers that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.rest().len())
    }

    /// Milliseconds since bytes last came.
    pub(crate) fn silent_ms(&self, now_ms: u64) -> u64 {
        u64::from(wrapped(now_ms).wrapping_sub(self.heard_ms))
    }

    /// Writes what waits, then the parts of `body`, in one call. Says also how many bytes went.
    ///
    /// # Errors
    /// The socket's own: the peer is gone.
    pub(crate) fn write(
        &mut self,
        [first, second]: [&[u8]; 2],
        datagrams: &mut Datagrams,
        tunnels: &mut Tunnels,
    ) -> io::Result<(Wrote, usize)> {
        let own = self.output.as_ref().map_or(&[][..], |output| output.rest());
        let total = own.len() + first.len() + second.len();
        if total == 0 && !matches!(self.stream, Stream::Tunnel(_)) {
            self.output = None;
            return Ok((Wrote::All, 0));
        }
        let parts = [own, first, second];
        let (written, whole) = match self.stream {
            // What is sealed and not out blocks the Conn as well.
            Stream::Tunnel(key) => tunnels.write(key, parts)?,
            _ => (self.stream.write_all_of(parts, datagrams)?, true),
        };
        if written == total && whole {
            self.output = None;
            self.flags.set(Flag::Blocked, false);
            return Ok((Wrote::All, written));
        }
        self.flags.set(Flag::Blocked, true);
        match written.checked_sub(own.len()) {
            Some(of_body) => {
                self.output = None;
                Ok((Wrote::Part(of_body), written))
            }
            None => {
                if let Some(output) = &mut self.output {
                    output.taken += written;
                }
                Ok((Wrote::Part(0), written))
            }
        }
    }

    /// Notes that something came.
    pub(crate) fn hear(&mut self, now_ms: u64) {
        self.heard_ms = wrapped(now_ms);
        self.flags.set(Flag::Pinged, false);
    }

    /// Whether FIN means anything to its peer.
    pub(crate) fn has_stream(&self) -> bool {
        !matches!(self.stream, Stream::Datagrams(_) | Stream::Nobody)
    }

    /// Whether it has anything that could be written to: a socket of its own, or one that it shares.
    pub(crate) fn has_carrier(&self) -> bool {
        !matches!(self.stream, Stream::Nobody)
    }

    /// Which door it came by.
    pub(crate) fn door(&self) -> Door {
        self.talk.door()
    }
}

/// The core's clock as a Conn keeps it.
pub(crate) fn wrapped(now_ms: u64) -> u32 {
    u32::try_from(now_ms & u64::from(u32::MAX)).unwrap_or_default()
}

/// All Conns of a core, by slot. A slot's generation counts up at every reuse, so that a late answer never meets a stranger.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    slots: Slots<Conn>,
    generation: u32,
}

impl Conns {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// One more than the highest slot.
    pub(crate) fn places(&self) -> u32 {
        self.slots.places()
    }

    /// Takes in a new Conn.
    pub(crate) fn insert(&mut self, stream: Stream, talk: Talk, now_ms: u64) -> ConnId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let conn = Conn::new(stream, talk, generation, now_ms);
        ConnId {
            slot: self.slots.insert(conn),
            generation,
        }
    }

    pub(crate) fn at(&mut self, slot: u32) -> Option<&mut Conn> {
        self.slots.at_mut(slot)
    }

    /// The Conn, unless its slot has gone to another one.
    pub(crate) fn find(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.at(id.slot)
            .filter(|conn| conn.generation == id.generation)
    }

    pub(crate) fn id(&self, slot: u32) -> Option<ConnId> {
        self.slots.at(slot).map(|conn| ConnId {
            slot,
            generation: conn.generation,
        })
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Conn> {
        self.slots.remove(slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.slots.iter().map(|(_, conn)| conn)
    }

    pub(crate) fn slots(&self) -> Vec<u32> {
        self.slots.iter().map(|(slot, _)| slot).collect()
    }
}
