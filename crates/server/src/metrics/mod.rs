//! `/metrics` for Prometheus.
//!
//! A core counts in plain integers that nobody else can see ([`Counts`]), and hands out a copy between two turns when it is asked: the message path has no
//! atomic and no lock for it, and an idle Conn costs one byte in what was padding. A scrape wakes each core once and walks its Conns, about a
//! millisecond for 100,000.
//!
//! Labels are the words of the code (doors, reasons, codes) and the numbers of cores, never a name that a peer can choose: so the page is bounded.
//!
//! It has an address of its own, off by default. The doors' addresses never answer for it: see SECURITY.md.

mod counts;
mod gather;
mod histogram;
mod process;
mod scrape;
mod text;
mod words;

pub(crate) use counts::{Counts, DoorAt, Standing};
pub(crate) use gather::Gatherer;
pub(crate) use histogram::Histogram;
pub(crate) use scrape::{ALERT, Acceptance, Scrapes, Teller};

use std::sync::Arc;

use crate::core::{Core, Flag};
use crate::listen::HostPort;
use crate::talk::Talk;
use taut_hub::ConnId;

/// Where the server tells what it counts.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// The address. Anybody on this machine may read there; an address that others can reach needs a key.
    pub listen: HostPort,
    /// What a scrape shows as `Authorization: Bearer KEY`.
    pub key: Option<Arc<str>>,
}

impl Core {
    /// Counts messages that a Conn wants to be said.
    pub(crate) fn count_said(&mut self, id: ConnId, messages: u64) {
        if let Some(conn) = self.conns.find(id) {
            let door = conn.door_at;
            self.counts.door(door).messages_in += messages;
        }
    }

    /// Counts a message of a room that goes to a Conn.
    pub(crate) fn count_heard(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id) {
            let door = conn.door_at;
            self.counts.door(door).messages_out += 1;
        }
    }

    /// How this core stands.
    pub(crate) fn standing(&self) -> Standing {
        let mut standing = Standing {
            rooms: u64::from(self.shard.homes_len()),
            log_bytes: self.shard.log_bytes(),
            pending_bytes: self.shard.pending_bytes(),
            backlog: self.links.backlog_len() as u64,
            ..Standing::default()
        };
        for conn in self.conns.iter() {
            // It speaks for peers that are none.
            if matches!(conn.talk, Talk::Unproven(_)) {
                continue;
            }
            standing.count_conn(conn.door_at);
            // A session whose client is between two polls is not behind.
            standing.behind += u64::from(conn.flags.has(Flag::Blocked) && conn.has_carrier());
        }
        standing
    }
}
