//! A core's side of the limits: which of its Conns are limited, and what each of them has used up.
//!
//! A Conn's slot has a bill only where its address counts; the bills lie beside the Conns, so that a Conn is no larger for them. What an address has used up is
//! shared by all cores ([`Account`](super::account::Account)), what a Conn has is its core's own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

use taut_hub::rate::Rate;
use taut_hub::{ConnId, Draft, Input, Refusal};

use super::account::{Account, Meter, Place};
use super::{Limits, Turned};

/// Bills of one block: what grows with Conns grows by blocks.
const BLOCK: usize = 256;
/// Nanoseconds of a millisecond.
const MS_NS: u64 = 1_000_000;

/// What something uses up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    messages: u64,
    bytes: u64,
    joins: u64,
}

impl Cost {
    /// What a command uses up; `None` for those that are not limited.
    pub(crate) fn of(input: &Input) -> Option<Self> {
        let said = |draft: &Draft| draft.body.bytes().len() as u64;
        match input {
            Input::Publish { draft, .. } => Some(Self {
                messages: 1,
                bytes: said(draft),
                joins: 0,
            }),
            Input::PublishBatch { batch, .. } => Some(Self {
                messages: batch.drafts.len() as u64,
                bytes: batch.drafts.iter().map(said).sum(),
                joins: 0,
            }),
            Input::Join { .. } => Some(Self::JOIN),
            _ => None,
        }
    }

    /// One join.
    pub(crate) const JOIN: Self = Self {
        messages: 0,
        bytes: 0,
        joins: 1,
    };
    /// The least that a message uses up.
    pub(crate) const MESSAGE: Self = Self {
        messages: 1,
        bytes: 1,
        joins: 0,
    };
}

/// Why something is too fast, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// Who does what, and which setting says how fast it may.
    pub(crate) text: &'static str,
    pub(crate) wait_ns: u64,
}

impl Over {
    /// Milliseconds to wait, rounded up.
    pub(crate) fn retry_ms(&self) -> u64 {
        self.wait_ns.div_ceil(MS_NS).max(1)
    }

    /// As the hub would say it.
    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::RateLimited {
            text: self.text,
            retry_ms: self.retry_ms(),
        }
    }

    fn or_later(self, other: Self) -> Self {
        if other.wait_ns > self.wait_ns {
            other
        } else {
            self
        }
    }
}

/// What one Conn holds of the limits.
#[derive(Debug)]
pub(crate) struct Bill {
    place: Option<Place>,
    messages: Meter,
    bytes: Meter,
    joins: Meter,
    /// Why it is not let in, where it is only here to be told so.
    pub(crate) turned: Option<Turned>,
}

impl Bill {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place: Some(place),
            turned: None,
            messages: Meter::default(),
            bytes: Meter::default(),
            joins: Meter::default(),
        }
    }

    /// The bill of who is turned away.
    pub(crate) fn of_turned(turned: Turned) -> Self {
        Self {
            place: None,
            turned: Some(turned),
            messages: Meter::default(),
            bytes: Meter::default(),
            joins: Meter::default(),
        }
    }

    /// Everything that limits it, in the order in which it is asked.
    fn rows<'a>(&'a self, limits: &'a Limits, cost: Cost) -> [Row<'a>; 6] {
        let conn = &limits.conn;
        let account = self.place.as_ref().map(Place::account);
        let [messages, bytes, joins] = match account {
            Some(account) => rows_of(account, &limits.address, cost),
            None => [Row::NONE; 3],
        };
        [
            Row {
                meter: Some(&self.messages),
                rate: conn.messages.as_ref(),
                units: cost.messages,
                text: "this connection sends messages faster than limits.conn.messages_per_s allows",
            },
            Row {
                meter: Some(&self.bytes),
                rate: conn.bytes.as_ref(),
                units: cost.bytes,
                text: "this connection sends more bytes than limits.conn.bytes_per_s allows",
            },
            Row {
                meter: Some(&self.joins),
                rate: conn.joins.as_ref(),
                units: cost.joins,
                text: "this connection joins rooms faster than limits.conn.joins_per_s allows",
            },
            messages,
            bytes,
            joins,
        ]
    }
}

/// One meter, its rate, and what is asked of it.
#[derive(Clone, Copy)]
struct Row<'a> {
    meter: Option<&'a Meter>,
    rate: Option<&'a Rate>,
    units: u64,
    text: &'static str,
}

impl Row<'_> {
    /// Nothing that limits anything.
    const NONE: Self = Self {
        meter: None,
        rate: None,
        units: 0,
        text: "",
    };

    fn over(&self, wait_ns: u64) -> Over {
        Over {
            text: self.text,
            wait_ns,
        }
    }
}

fn rows_of<'a>(account: &'a Account, rates: &'a super::shared::Rates, cost: Cost) -> [Row<'a>; 3] {
    [
        Row {
            meter: Some(&account.messages),
            rate: rates.messages.as_ref(),
            units: cost.messages,
            text: "your address sends messages faster than limits.address.messages_per_s allows",
        },
        Row {
            meter: Some(&account.bytes),
            rate: rates.bytes.as_ref(),
            units: cost.bytes,
            text: "your address sends more bytes than limits.address.bytes_per_s allows",
        },
        Row {
            meter: Some(&account.joins),
            rate: rates.joins.as_ref(),
            units: cost.joins,
            text: "your address joins rooms faster than limits.address.joins_per_s allows",
        },
    ]
}

/// Takes from all rows or from none. What was taken before the one that refuses is given back.
fn take(rows: &[Row<'_>], now_ns: u64) -> Result<(), Over> {
    for (index, row) in rows.iter().enumerate() {
        let took = row
            .meter
            .map_or(Ok(()), |meter| meter.take(row.rate, now_ns, row.units));
        let Err(wait_ns) = took else {
            continue;
        };
        for taken in rows.iter().take(index) {
            if let Some(meter) = taken.meter {
                meter.give_back(taken.rate, taken.units);
            }
        }
        return Err(longest(rows, now_ns, row.over(wait_ns)));
    }
    Ok(())
}

/// The longest wait of all rows: what one of them lets pass another may not.
fn longest(rows: &[Row<'_>], now_ns: u64, over: Over) -> Over {
    rows.iter().fold(over, |over, row| {
        let wait_ns = row
            .meter
            .map_or(0, |meter| meter.wait_ns(row.rate, now_ns, row.units));
        over.or_later(row.over(wait_ns))
    })
}

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

    /// Takes the time, once a turn.
    pub(crate) fn look_at_clock(&mut self) {
        if self.limits.is_on() {
            self.now_ns = self.limits.now_ns();
        }
    }

    /// Gives a Conn its bill.
    pub(crate) fn put(&mut self, slot: u32, bill: Option<Box<Bill>>) {
        let Some(bill) = bill else {
            return;
        };
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
        match self.limits.of_stranger(address, self.now_ns) {
            Some(account) => take(&rows_of(&account, &self.limits.address, cost), self.now_ns),
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
