//! A core's side of the limits: which of its Conns are limited, and who of them waits.
//!
//! A Conn's slot has a bill only where its address counts; the bills lie beside the Conns, so that a Conn is no larger for them. What an address has used up is
//! shared by all cores ([`Account`](super::account::Account)), what a Conn has is its core's own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

use taut_hub::ConnId;

use super::bill::{Bill, longest, rows_of, take};
use super::{Cost, Limits, Over};

/// Bills of one block: what grows with Conns grows by blocks.
const BLOCK: usize = 256;

/// The bills of so many slots.
type Block = [Option<Box<Bill>>; BLOCK];

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Arc<Limits>,
    blocks: Vec<Option<Box<Block>>>,
    /// The time of the turn, on the clock that all cores share.
    now_ns: u64,
    /// Who is not read until when, in milliseconds of the core's clock; at most one entry a Conn.
    held: BinaryHeap<Reverse<(u64, u32, u32)>>,
}

impl Limiter {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            blocks: Vec::new(),
            now_ns: 0,
            held: BinaryHeap::new(),
        }
    }

    /// Takes the time, once a turn, where anybody has a bill.
    pub(crate) fn look_at_clock(&mut self) {
        if self.has_bills() {
            self.now_ns = self.limits.now_ns();
        }
    }

    /// Whether any Conn has had a bill: without, there is nothing to look up.
    pub(crate) fn has_bills(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Gives a Conn its bill.
    pub(crate) fn put(&mut self, slot: u32, bill: Option<Box<Bill>>) {
        let Some(bill) = bill else {
            return;
        };
        if !self.has_bills() {
            self.now_ns = self.limits.now_ns();
        }
        let (block, index) = (slot as usize / BLOCK, slot as usize % BLOCK);
        if self.blocks.len() <= block {
            self.blocks.resize_with(block + 1, || None);
        }
        let block = self.blocks[block].get_or_insert_with(|| Box::new([const { None }; BLOCK]));
        block[index] = Some(bill);
    }

    /// Takes a Conn's bill, to go with it to wherever it goes; dropped, it gives up its place.
    pub(crate) fn take(&mut self, slot: u32) -> Option<Box<Bill>> {
        let block = self.blocks.get_mut(slot as usize / BLOCK)?;
        block.as_mut()?[slot as usize % BLOCK].take()
    }

    /// A Conn's bill, where it is limited.
    pub(crate) fn bill(&self, slot: u32) -> Option<&Bill> {
        let block = self.blocks.get(slot as usize / BLOCK)?;
        block.as_ref()?[slot as usize % BLOCK].as_deref()
    }

    /// Takes what something costs, or says how long to wait.
    pub(crate) fn charge(&self, slot: u32, cost: Cost) -> Result<(), Over> {
        match self.bill(slot) {
            Some(bill) => take(&bill.rows(&self.limits, cost), self.now_ns),
            None => Ok(()),
        }
    }

    /// Takes what has been let through already.
    pub(crate) fn charge_anyway(&self, slot: u32, cost: Cost) {
        let Some(bill) = self.bill(slot) else {
            return;
        };
        for row in bill.rows(&self.limits, cost) {
            if let Some(meter) = row.meter {
                meter.charge(row.rate, self.now_ns, row.units);
            }
        }
    }

    /// Whether something would have to wait, and for how long.
    pub(crate) fn wait(&self, slot: u32, cost: Cost) -> Option<Over> {
        let none = Over {
            text: "",
            wait_ns: 0,
        };
        let rows = self.bill(slot)?.rows(&self.limits, cost);
        Some(longest(&rows, self.now_ns, none)).filter(|over| over.wait_ns > 0)
    }

    /// The bill of a session that a Conn opens, which counts as one more Conn of its address.
    pub(crate) fn open_session(&self, slot: u32) -> Result<Option<Box<Bill>>, Over> {
        let Some(place) = self.bill(slot).and_then(|bill| bill.place.as_ref()) else {
            return Ok(None);
        };
        let place = self.limits.open(place.account(), self.now_ns)?;
        Ok(Some(Box::new(Bill::new(place))))
    }

    /// The bill of a datagram peer that has proved its address.
    pub(crate) fn admit(&self, address: SocketAddr) -> Result<Option<Box<Bill>>, Over> {
        self.limits.admit(Some(address))
    }

    /// The same as [`Limiter::charge`] for a datagram of an address that nobody has proved.
    pub(crate) fn charge_stranger(&self, address: SocketAddr, cost: Cost) -> Result<(), Over> {
        let now_ns = self.limits.now_ns();
        match self.limits.of_stranger(address, now_ns) {
            Some(account) => take(&rows_of(&account, &self.limits.address, cost), now_ns),
            None => Ok(()),
        }
    }

    /// Notes when a Conn may be read again.
    pub(crate) fn hold(&mut self, id: ConnId, until_ms: u64) {
        self.held.push(Reverse((until_ms, id.slot, id.generation)));
    }

    /// When the next one may, in milliseconds of the core's clock.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.held.peek().map(|Reverse((at_ms, ..))| *at_ms)
    }

    /// The next one whose time has come.
    pub(crate) fn next_due(&mut self, now_ms: u64) -> Option<ConnId> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let Reverse((_, slot, generation)) = self.held.pop()?;
        Some(ConnId { slot, generation })
    }
}
