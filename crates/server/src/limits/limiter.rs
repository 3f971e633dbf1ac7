//! A core's side of the limits: which of its Conns are limited, and who of them waits.
//!
//! A Conn's slot has a bill only where its address or its user counts; the bills lie beside the Conns, so that a Conn is no larger for them. What an address has used up is
//! shared by all cores ([`Account`](super::account::Account)), what a Conn has is its core's own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

use taut_hub::ConnId;

use super::bill::{Bill, give_back, longest, take};
use super::rules::{OF_ADDRESS, Rules};
use super::{Cost, Limits, Over};

/// Bills of one block: what grows with Conns grows by blocks.
const BLOCK: usize = 256;

/// The bills of so many slots.
type Block = [Option<Box<Bill>>; BLOCK];

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Arc<Limits>,
    rules: Arc<Rules>,
    /// As the rules say it; asked at each answer, so it lies here.
    counts_users: bool,
    blocks: Vec<Option<Box<Block>>>,
    /// The time of the turn, on the clock that all cores share.
    now_ns: u64,
    /// Who is not read until when, in milliseconds of the core's clock; at most one entry a Conn.
    held: BinaryHeap<Reverse<(u64, u32, u32)>>,
}

impl Limiter {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        let rules = limits.rules();
        Self {
            counts_users: rules.counts_users,
            rules,
            limits,
            blocks: Vec::new(),
            now_ns: 0,
            held: BinaryHeap::new(),
        }
    }

    /// Takes the time, once a turn, where anybody has a bill or may get one.
    pub(crate) fn look_at_clock(&mut self) {
        if self.has_bills() || self.counts_users {
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

    fn bill_mut(&mut self, slot: u32) -> Option<&mut Bill> {
        let block = self.blocks.get_mut(slot as usize / BLOCK)?;
        block.as_mut()?[slot as usize % BLOCK].as_deref_mut()
    }

    /// A Conn's bill, where it is limited.
    pub(crate) fn bill(&self, slot: u32) -> Option<&Bill> {
        let block = self.blocks.get(slot as usize / BLOCK)?;
        block.as_ref()?[slot as usize % BLOCK].as_deref()
    }

    /// Takes what something costs, or says how long to wait.
    pub(crate) fn charge(&self, slot: u32, cost: Cost) -> Result<(), Over> {
        match self.bill(slot) {
            Some(bill) => take(&bill.rows(&self.rules, cost), self.now_ns),
            None => Ok(()),
        }
    }

    /// The same for a join; `is_new`: into a room that the Conn is not in, so that its user is in one more.
    pub(crate) fn charge_join(&mut self, slot: u32, is_new: bool) -> Result<(), Over> {
        let (rules, now_ns) = (Arc::clone(&self.rules), self.now_ns);
        let Some(bill) = self.bill_mut(slot) else {
            return Ok(());
        };
        take(&bill.rows(&rules, Cost::Join), now_ns)?;
        let Some(share) = bill.share.as_mut().filter(|_| is_new) else {
            return Ok(());
        };
        let took = share.take_room(rules.user.rooms_max);
        if took.is_err() {
            give_back(&bill.rows(&rules, Cost::Join));
        }
        took
    }

    /// Takes what has been let through already.
    pub(crate) fn charge_anyway(&self, slot: u32, cost: Cost) {
        let Some(bill) = self.bill(slot) else {
            return;
        };
        for row in bill.rows(&self.rules, cost) {
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
        let rows = self.bill(slot)?.rows(&self.rules, cost);
        Some(longest(&rows, self.now_ns, none)).filter(|over| over.wait_ns > 0)
    }

    /// The bill of a session that a Conn opens, which counts as one more Conn of its address, and of its user.
    pub(crate) fn open_session(&self, slot: u32) -> Result<Option<Box<Bill>>, Over> {
        let Some(of) = self.bill(slot) else {
            return Ok(None);
        };
        let mut bill = Bill::default();
        if let Some(share) = &of.share {
            let share = self
                .limits
                .share(share.user(), &self.rules, self.now_ns, false);
            bill.share = Some(share?);
        }
        if let Some(place) = &of.place {
            let place = Limits::open_again(place.account(), &self.rules, self.now_ns);
            bill.place = Some(place?);
        }
        Ok((!bill.is_empty()).then(|| Box::new(bill)))
    }

    /// The bill of a datagram peer that has proved its address.
    pub(crate) fn admit(&self, address: SocketAddr) -> Result<Option<Box<Bill>>, Over> {
        self.limits.admit(Some(address))
    }

    /// The same as [`Limiter::charge`] for a datagram of an address that nobody has proved.
    pub(crate) fn charge_stranger(&self, address: SocketAddr, cost: Cost) -> Result<(), Over> {
        let (rules, now_ns) = (&self.rules, self.limits.now_ns());
        match self.limits.of_stranger(rules, address, now_ns) {
            Some(account) => take(
                &rules.address.rates.rows(&account, cost, &OF_ADDRESS),
                now_ns,
            ),
            None => Ok(()),
        }
    }

    /// From now on a Conn is this user's, or nobody's: it gives its place up and takes another. `is_in`: whatever the rules say, since it is let in already.
    pub(crate) fn belong(
        &mut self,
        slot: u32,
        user: Option<&Arc<str>>,
        is_in: bool,
    ) -> Result<(), Over> {
        let user = user.filter(|_| self.counts_users);
        let bill = self.bill(slot);
        if bill.is_some_and(|bill| bill.turned.is_some()) {
            return Ok(());
        }
        let before = bill.and_then(|bill| bill.share.as_ref());
        if before.map(|share| share.user()) == user {
            return Ok(());
        }
        let share = match user {
            Some(user) => Some(self.limits.share(user, &self.rules, self.now_ns, is_in)?),
            None => None,
        };
        let mut bill = self.take(slot).unwrap_or_default();
        bill.share = share;
        self.put(slot, Some(bill).filter(|bill| !bill.is_empty()));
        Ok(())
    }

    /// A Conn comes from elsewhere, as a proxy says: it gives its place there up and takes one here. Its user stays. Who is refused has none.
    pub(crate) fn come_from(&mut self, slot: u32, address: SocketAddr) -> Result<(), Over> {
        if let Some(bill) = self.bill_mut(slot) {
            bill.place = None;
        }
        let (bill, outcome) = match self.limits.admit(Some(address)) {
            Ok(bill) => (bill, Ok(())),
            Err(over) => (None, Err(over)),
        };
        self.replace(slot, bill);
        outcome
    }

    /// A session goes on over a socket that came with `bill`: where it comes from now counts, and its user stays.
    pub(crate) fn replace(&mut self, slot: u32, bill: Option<Box<Bill>>) {
        let share = self.take(slot).and_then(|mut bill| bill.share.take());
        let mut bill = bill.unwrap_or_default();
        bill.share = share;
        self.put(slot, Some(bill).filter(|bill| !bill.is_empty()));
    }

    /// Whether it matters in how many rooms a Conn is.
    pub(crate) fn counts_rooms(&self, slot: u32) -> bool {
        self.counts_users && self.bill(slot).is_some_and(|bill| bill.share.is_some())
    }

    /// A Conn is in so many rooms, or about to be.
    pub(crate) fn count_rooms(&mut self, slot: u32, rooms: usize) {
        let rooms = u32::try_from(rooms).unwrap_or(u32::MAX);
        if let Some(share) = self.bill_mut(slot).and_then(|bill| bill.share.as_mut()) {
            share.count_rooms(rooms);
        }
    }

    /// Takes the rules that are in force now.
    pub(crate) fn follow(&mut self) {
        let rules = self.limits.rules();
        if rules.conn != self.rules.conn {
            let blocks = self.blocks.iter().flatten();
            let bills = blocks.flat_map(|block| block.iter().flatten());
            bills.for_each(|bill| bill.begin_anew());
        }
        self.counts_users = rules.counts_users;
        self.rules = rules;
        self.look_at_clock();
    }

    /// Rules have changed: whether a Conn counts for its address may have. `None`: nobody knows where it comes from.
    pub(crate) fn count_again(&mut self, slot: u32, address: Option<SocketAddr>) {
        let counts = match address {
            Some(address) => self.rules.counts(address),
            None => self.rules.counts_addresses,
        };
        let mut bill = self.take(slot).unwrap_or_default();
        if !counts {
            bill.place = None;
        } else if let Some(address) = address.filter(|_| bill.place.is_none())
            && bill.turned.is_none()
        {
            // The turn's time may be old: nobody had a bill.
            bill.place = self.limits.place_of(address, self.limits.now_ns());
        }
        self.put(slot, Some(bill).filter(|bill| !bill.is_empty()));
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
