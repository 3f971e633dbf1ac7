//! What a core counts: plain integers of its own, which nobody else reads. A scrape is handed a copy between two turns.

use std::ops::AddAssign;

use super::histogram::Histogram;
use super::words::Words;

/// The doors, by [`DoorAt`].
pub(crate) const DOORS: [&str; 9] = [
    "none",
    "http",
    "sse",
    "ndjson",
    "lines",
    "udp",
    "text",
    "websocket",
    "socketio",
];

/// A door's place in [`DOORS`]: what a Conn keeps, so that a delivery finds its counter without looking at what the Conn speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DoorAt(u8);

impl DoorAt {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const HTTP: Self = Self(1);
    pub(crate) const SSE: Self = Self(2);
    pub(crate) const NDJSON: Self = Self(3);
    pub(crate) const LINES: Self = Self(4);
    pub(crate) const UDP: Self = Self(5);
    pub(crate) const TEXT: Self = Self(6);
    pub(crate) const WEBSOCKET: Self = Self(7);
    pub(crate) const SOCKETIO: Self = Self(8);

    /// The door's name.
    pub(crate) fn name(self) -> &'static str {
        DOORS.get(usize::from(self.0)).copied().unwrap_or("none")
    }
}

/// What a core has counted since it began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    doors: [DoorCounts; DOORS.len()],
    /// Refusals, by code.
    pub(crate) refusals: Words,
    /// Gaps that readers were told of.
    pub(crate) gaps: u64,
    /// From what came in to the end of the flush that brought it out, once a room and flush.
    pub(crate) fanout: Histogram,
}

/// The same of one door.
#[derive(Debug, Clone, Default)]
pub(crate) struct DoorCounts {
    /// Conns that came to speak it.
    pub(crate) opened: u64,
    /// Messages that were to be said.
    pub(crate) messages_in: u64,
    /// Messages of rooms that were written.
    pub(crate) messages_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Ends of Conns, by reason.
    pub(crate) closes: Words,
}

/// How a core stands when it is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Open Conns, by door.
    pub(crate) conns: [u64; DOORS.len()],
    /// Conns that the kernel takes no more bytes for.
    pub(crate) behind: u64,
    /// Rooms whose home it is.
    pub(crate) rooms: u64,
    /// What their logs cost, in bytes.
    pub(crate) log_bytes: u64,
    /// Bytes of messages on their way to the store.
    pub(crate) pending_bytes: u64,
    /// Messages that wait for space in a ring to another core.
    pub(crate) backlog: u64,
}

impl Counts {
    /// The counters of a door.
    pub(crate) fn door(&mut self, door: DoorAt) -> &mut DoorCounts {
        // There is no other way to make one than the constants.
        let last = DOORS.len() - 1;
        &mut self.doors[usize::from(door.0).min(last)]
    }

    /// Each door's name and counters.
    pub(crate) fn doors(&self) -> impl Iterator<Item = (&'static str, &DoorCounts)> {
        DOORS.into_iter().zip(&self.doors)
    }

    /// Takes in what another core has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (door, more) in self.doors.iter_mut().zip(&other.doors) {
            door.opened += more.opened;
            door.messages_in += more.messages_in;
            door.messages_out += more.messages_out;
            door.bytes_in += more.bytes_in;
            door.bytes_out += more.bytes_out;
            door.closes.add(&more.closes);
        }
        self.refusals.add(&other.refusals);
        self.gaps += other.gaps;
        self.fanout.add(&other.fanout);
    }
}

impl AddAssign<&Self> for Standing {
    fn add_assign(&mut self, other: &Self) {
        for (conns, more) in self.conns.iter_mut().zip(other.conns) {
            *conns += more;
        }
        self.behind += other.behind;
        self.rooms += other.rooms;
        self.log_bytes += other.log_bytes;
        self.pending_bytes += other.pending_bytes;
        self.backlog += other.backlog;
    }
}

impl Standing {
    /// One more open Conn.
    pub(crate) fn count_conn(&mut self, door: DoorAt) {
        let last = DOORS.len() - 1;
        self.conns[usize::from(door.0).min(last)] += 1;
    }
}
