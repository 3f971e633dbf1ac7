use std::collections::BTreeMap;

use taut_hub::{ConnId, Start, Ticket, Watch};

use crate::check::View;

/// A Conn as the simulation plays it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) conn: ConnId,
    pub(crate) name: String,
    /// It takes nothing before this time.
    pub(crate) blocked_until_ms: u64,
    /// It stops reading once in so many messages.
    pub(crate) temper: u64,
    /// What it has been told, by room.
    pub(crate) views: BTreeMap<String, View>,
    /// What it has asked and not been answered.
    pub(crate) asked: BTreeMap<Ticket, Asked>,
    pub(crate) next_ticket: u32,
}

/// A request under way.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Join(String, Start, Watch),
    Leave(String),
    Publish(String, Vec<Vec<u8>>),
    /// Something on the lane `latest`.
    Say,
    /// Who is there, when all is quiet: the answer is compared with what the reader was told.
    Check,
    Other,
}

impl Reader {
    pub(crate) fn new(conn: ConnId, name: String, temper: u64) -> Self {
        Self {
            conn,
            name,
            blocked_until_ms: 0,
            temper,
            views: BTreeMap::new(),
            asked: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    pub(crate) fn ask(&mut self, asked: Asked) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.asked.insert(ticket, asked);
        ticket
    }
}
