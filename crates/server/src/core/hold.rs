//! Conns that are too fast: refused, or not read until they may go on.
//!
//! A door with words refuses, says how long to wait, and is not read for as long, [`REFUSED_MS_MAX`] at most: so nobody makes the server say no without end. A
//! WebSocket that carries payload only has no words. It is never refused: what it says passes and is charged, and while it owes it is not read, so that the
//! transport slows it down.

use taut_hub::{ConnId, Input, Output, Ticket};

use super::{Core, Flag};
use crate::limits::{Cost, Over};
use crate::talk::Talk;

/// How long who was refused is not read, in milliseconds; less if it may go on earlier.
const REFUSED_MS_MAX: u64 = 100;
/// How long anybody is not read, at most; then it is looked at again.
const THROTTLED_MS_MAX: u64 = 10_000;
/// How long a payload-only WebSocket that owes is not read, at least, in milliseconds: what its address owes many may wait for, and each of them costs a look.
const OWES_MS_MIN: u64 = 20;

impl Core {
    /// The refusal of what a Conn does faster than it may.
    pub(super) fn too_fast(&mut self, input: &Input) -> Option<Output> {
        let (id, ticket) = match input {
            Input::Publish { conn, ticket, .. }
            | Input::PublishBatch { conn, ticket, .. }
            | Input::Join { conn, ticket, .. }
            | Input::Read { conn, ticket, .. }
            | Input::ReadState { conn, ticket, .. }
            | Input::Who { conn, ticket, .. } => (*conn, *ticket),
            _ => return None,
        };
        self.limiter.bill(id.slot)?;
        if self.has_key(id) {
            return None;
        }
        let cost = Cost::of(input)?;
        let conn = self.conns.find(id)?;
        if matches!(conn.talk, Talk::Payload(..)) && !matches!(input, Input::Join { .. }) {
            self.limiter.charge_anyway(id.slot, cost);
            if let Some(over) = self.limiter.wait(id.slot, Cost::MESSAGE) {
                self.throttle(id, over.retry_ms().max(OWES_MS_MIN));
            }
            return None;
        }
        let charged = match input {
            Input::Join { room, .. } => {
                let is_new =
                    !self.limiter.counts_rooms(id.slot) || !self.shard.is_bound_for(id, room);
                self.limiter.charge_join(id.slot, is_new)
            }
            _ => self.limiter.charge(id.slot, cost),
        };
        let over = charged.err()?;
        Some(self.refuse_too_fast(id, ticket, &over))
    }

    fn refuse_too_fast(&mut self, id: ConnId, ticket: Ticket, over: &Over) -> Output {
        tracing::debug!(conn = %taut_gate::conn_id(self.id, id), "refused: {}", over.text);
        self.throttle(id, over.retry_ms().min(REFUSED_MS_MAX));
        Output::Refused {
            conn: id,
            ticket,
            refusal: over.refusal(),
        }
    }

    /// Reads a Conn no more for so many milliseconds.
    fn throttle(&mut self, id: ConnId, wait_ms: u64) {
        let until_ms = self.now.mono_ms + wait_ms.min(THROTTLED_MS_MAX);
        if let Some(conn) = self.conns.find(id)
            && !conn.flags.replace(Flag::Throttled, true)
        {
            self.limiter.hold(id, until_ms);
        }
    }

    /// Whether a payload-only WebSocket must wait before it says more: another one of its address may have said it all.
    pub(crate) fn owes(&mut self, id: ConnId) -> bool {
        let Some(over) = self.limiter.wait(id.slot, Cost::MESSAGE) else {
            return false;
        };
        self.throttle(id, over.retry_ms().max(OWES_MS_MIN));
        true
    }

    /// Lets those go on whose time has come.
    pub(super) fn release_held(&mut self) {
        while let Some(id) = self.limiter.next_due(self.now.mono_ms) {
            if let Some(conn) = self.conns.find(id)
                && conn.flags.replace(Flag::Throttled, false)
            {
                self.ready_again(id.slot);
            }
        }
    }
}
