//! What a core does behind its inputs: relays are fed, and readers take what they can, lag and stall.

use std::collections::VecDeque;
use std::sync::Arc;

use taut_hub::{ConnId, Membership, Message, Next, Position, RoomId};

use super::World;
use crate::check::{Broken, Sabotage};

/// Messages that one reader takes in one turn at most.
const READS_PER_TURN: usize = 16;

impl World {
    /// What the server does at the end of a turn.
    pub(super) fn flush(&mut self, core: u16) -> Result<(), Broken> {
        let rooms = std::mem::take(&mut self.dirty[usize::from(core)]);
        let slots: Vec<u32> = self.readers[usize::from(core)].keys().copied().collect();
        for slot in slots {
            self.read(core, slot)?;
        }
        for room in rooms {
            self.serve_relays(core, room)?;
            self.shards[usize::from(core)].flushed(room);
            self.check_bound(core, room)?;
            self.check_latest_bound(core, room)?;
        }
        Ok(())
    }

    fn serve_relays(&mut self, core: u16, id: RoomId) -> Result<(), Broken> {
        let Some(room) = self.shards[usize::from(core)].room(id) else {
            return Ok(());
        };
        for to in room.relays_behind().collect::<Vec<_>>() {
            loop {
                let waiting = self.links.get(&(core, to)).map_or(0, VecDeque::len);
                if waiting >= self.weather.link_space {
                    self.dirty[usize::from(core)].insert(id);
                    break;
                }
                let mut outputs = Vec::new();
                let shard = &mut self.shards[usize::from(core)];
                let next = shard
                    .next_for_relay(id, to)
                    .or_else(|| shard.next_latest_for_relay(id, to, &mut outputs));
                for output in outputs {
                    self.settle(core, output)?;
                }
                match next {
                    Some(message) => self.send(core, to, message),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// One reader takes what its rooms have for it, until it has enough.
    fn read(&mut self, core: u16, slot: u32) -> Result<(), Broken> {
        let Some(reader) = self.readers[usize::from(core)].get(&slot) else {
            return Ok(());
        };
        if reader.blocked_until_ms > self.now_ms {
            return Ok(());
        }
        let (conn, temper) = (reader.conn, reader.temper);
        for membership in self.shards[usize::from(core)].memberships(conn).to_vec() {
            for _ in 0..READS_PER_TURN {
                if !self.read_one(core, conn, membership)? {
                    break;
                }
                if self.alive(core, conn).is_err() {
                    return Ok(());
                }
                if temper != u64::MAX && self.random.once_in(temper) {
                    let until = self.now_ms + self.random.below(3_000);
                    if let Some(reader) = self.readers[usize::from(core)].get_mut(&slot) {
                        reader.blocked_until_ms = until;
                    }
                    return Ok(());
                }
            }
            self.read_latest(core, conn, membership)?;
        }
        Ok(())
    }

    /// One message or gap of one room; false when there is nothing now.
    fn read_one(&mut self, core: u16, conn: ConnId, at: Membership) -> Result<bool, Broken> {
        let mut outputs = Vec::new();
        let now = self.now();
        let shard = &mut self.shards[usize::from(core)];
        let next = shard.next(at.room, at.index, now, &mut outputs);
        for output in outputs {
            self.settle(core, output)?;
        }
        match next {
            Next::Caught | Next::Pending => Ok(false),
            Next::Disconnect => self.disconnect(core, conn).map(|()| true),
            Next::Gap { after, at: to } => self.gap(core, conn, at.room, after, to).map(|()| true),
            Next::Message(message) => {
                if let Some(room) = self.shards[usize::from(core)].room_mut(at.room) {
                    room.sent(at.index, message.offset);
                }
                self.take(core, conn, at.room, &message)?;
                Ok(true)
            }
        }
    }

    fn take(
        &mut self,
        core: u16,
        conn: ConnId,
        room: RoomId,
        message: &Arc<Message>,
    ) -> Result<(), Broken> {
        let name = self.room_name(core, room)?;
        let epoch = self.shards[usize::from(core)]
            .room(room)
            .map_or(Position::UNKNOWN.epoch, taut_hub::Room::epoch);
        let strikes = self.sabotage.is_some() && self.random.once_in(50);
        let mut body = message.body.bytes().to_vec();
        if strikes && self.sabotage == Some(Sabotage::Forge) {
            body = b"forged".to_vec();
        }
        let at = Position {
            epoch,
            offset: message.offset,
        };
        self.truth.record(&name, at, &body)?;
        self.report.deliveries += 1;
        let sabotage = self.sabotage.filter(|_| strikes);
        let Some(view) = self.view(core, conn, name.as_str()) else {
            return Err(Broken(format!(
                "{name} {at} came to a Conn that is not in it"
            )));
        };
        let told = match sabotage {
            Some(Sabotage::Lose) => Ok(()),
            Some(Sabotage::Repeat) => view.message(message).and_then(|()| view.message(message)),
            _ => view.message(message),
        };
        told.map_err(|broken| Broken(format!("core {core}, {conn:?} in {name}: {broken}")))
    }

    pub(super) fn gap(
        &mut self,
        core: u16,
        conn: ConnId,
        room: RoomId,
        after: Position,
        at: Position,
    ) -> Result<(), Broken> {
        self.report.gaps += 1;
        let name = self.room_name(core, room)?;
        let policy = self.shards[usize::from(core)]
            .room(room)
            .map_or(taut_hub::LagPolicy::Resume, |room| room.policy().lag.policy);
        match self.view(core, conn, name.as_str()) {
            Some(view) => view
                .gap(after, at, policy)
                .map_err(|broken| Broken(format!("core {core}, {conn:?} in {name}: {broken}"))),
            None => Err(Broken(format!(
                "a gap in {name} was said to a Conn that is not in it"
            ))),
        }
    }

    /// Conns that have taken nothing for too long.
    pub(super) fn stall(&mut self, core: u16) -> Result<(), Broken> {
        let stalled: Vec<ConnId> = self.readers[usize::from(core)]
            .values()
            .filter(|reader| reader.blocked_until_ms > self.now_ms + 1_000)
            .map(|reader| reader.conn)
            .collect();
        for conn in stalled {
            let mut outputs = Vec::new();
            let now = self.now();
            self.shards[usize::from(core)].stalled(conn, now, &mut outputs);
            for output in outputs {
                self.settle(core, output)?;
            }
        }
        Ok(())
    }
}
