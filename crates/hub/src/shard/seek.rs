//! Starts that are a time: where in the room does it lie? The log knows, or the store is asked.

use crate::room::{Asker, Parked, Room, RoomId};
use crate::store::{StoreError, StoreRequest};

use super::{Ask, Output, Range, Shard, Start};

impl Shard {
    /// Turns a start that is a time into one that is a number of messages. `None` where the store is asked first; it then asks `again` with the answer.
    pub(super) fn resolve(
        &mut self,
        asker: Asker,
        id: RoomId,
        start: Start,
        out: &mut Vec<Output>,
        again: impl FnOnce(Start) -> Ask,
    ) -> Option<Start> {
        let Start::RewindMs(ms) = start else {
            return Some(start);
        };
        let time_ms = self.now.unix_ms.saturating_sub(ms);
        let room = self.rooms.at(id)?;
        let in_log =
            room.oldest() >= room.log.first() || room.log.last_before(time_ms) >= room.log.first();
        if in_log {
            return Some(rewind_to(room, room.log.last_before(time_ms)));
        }
        let name = room.name().clone();
        let ask = again(Start::RewindMs(ms));
        self.pending_bytes += ask.waiting_bytes();
        self.seeking
            .entry((id, time_ms))
            .or_default()
            .push(Parked { asker, ask });
        out.push(Output::Store {
            request: StoreRequest::Seek {
                id,
                room: name,
                time_ms,
            },
        });
        None
    }

    /// A Conn whose join waits to be told where a time lies says what comes behind it in its turn. Gives the question back where none does.
    pub(super) fn queue_behind(&mut self, id: RoomId, asker: Asker, ask: Ask) -> Option<Ask> {
        let waiting = self.seeking.iter_mut().find_map(|((room, _), waiting)| {
            let joins = |parked: &Parked| {
                parked.asker.origin == asker.origin && matches!(parked.ask, Ask::Join { .. })
            };
            (*room == id && waiting.iter().any(joins)).then_some(waiting)
        });
        match waiting {
            Some(waiting) => {
                self.pending_bytes += ask.waiting_bytes();
                waiting.push(Parked { asker, ask });
                None
            }
            None => Some(ask),
        }
    }

    /// The store has found where in a room a time lies.
    pub(super) fn sought(
        &mut self,
        id: RoomId,
        time_ms: u64,
        result: Result<u64, StoreError>,
        out: &mut Vec<Output>,
    ) {
        let Some(room) = self.rooms.at(id) else {
            return;
        };
        let name = room.name().clone();
        let found = result.map(|offset| rewind_to(room, offset));
        let parked = self.seeking.remove(&(id, time_ms)).unwrap_or_default();
        self.unpark(&parked);
        for Parked { asker, ask } in parked {
            match &found {
                Ok(start) => {
                    let ask = starting(ask, *start);
                    self.answer_again(asker, &name, ask, out);
                }
                Err(error) => self.refuse_parked(asker, &name, ask, &error.to_string(), out),
            }
        }
        self.after_home(&name, out);
    }
}

/// Everything behind `offset`: a number of messages, since what retention has forgotten meanwhile is no gap for who did not ask for a position.
fn rewind_to(room: &Room, offset: u64) -> Start {
    let count = room.log.head().saturating_sub(offset);
    Start::Rewind(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The same question from another start, where it began with a time.
fn starting(ask: Ask, start: Start) -> Ask {
    match ask {
        Ask::Read { range } if matches!(range.start, Start::RewindMs(_)) => Ask::Read {
            range: Range { start, ..range },
        },
        Ask::Join {
            name,
            door,
            presence,
            data,
            state,
            past,
            start: Start::RewindMs(_),
        } => Ask::Join {
            name,
            door,
            start,
            presence,
            data,
            state,
            past,
        },
        other => other,
    }
}
