//! Who asks and who is answered: Conns, tickets, doors.

/// One live peer of one core.
///
/// Core-local: two cores use the same numbers for different peers, see [`Origin`]. The server hands out slots densely
/// (the shard keeps an array by slot) and never uses a (slot, generation) again: an answer that comes back over a link for
/// a generation that has gone is dropped on that ground alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// The place in the core's slab.
    pub slot: u32,
    /// Which tenant of that place.
    pub generation: u32,
}

/// The server's own correlation: given back untouched in the one answer that each request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u32);

/// The label of the door that a Conn came by (`text`, `websocket`, …). The hub only carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Door(pub &'static str);

impl Door {
    /// Every door there is, so that a label that was kept finds its way back.
    const ALL: &'static [&'static str] = &[
        "text",
        "lines",
        "websocket",
        "http",
        "sse",
        "ndjson",
        "udp",
        "socketio",
        "mqtt",
        "yjs",
        "webrtc",
        "webtransport",
        "server",
        "sim",
    ];

    /// The door of that label; `unknown` for one that this version does not have.
    #[must_use]
    pub fn named(label: &str) -> Self {
        let known = Self::ALL.iter().find(|known| **known == label);
        Self(known.copied().unwrap_or("unknown"))
    }

    /// Its place among all of them, for what keeps very many.
    pub(crate) fn code(self) -> u8 {
        let place = Self::ALL.iter().position(|known| *known == self.0);
        place
            .and_then(|at| u8::try_from(at).ok())
            .unwrap_or(u8::MAX)
    }

    /// The door at that place; `unknown` where none is.
    pub(crate) fn coded(code: u8) -> Self {
        let known = Self::ALL.get(usize::from(code));
        Self(known.copied().unwrap_or("unknown"))
    }
}

/// A Conn, named so that every core understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The core that holds the Conn.
    pub core: u16,
    /// The Conn's number there.
    pub conn: ConnId,
}
