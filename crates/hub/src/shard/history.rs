//! What a home reads of its room: from the log, and behind it from the store's blocks.

use std::sync::Arc;

use crate::message::Message;
use crate::name::RoomName;
use crate::position::Position;
use crate::room::{Asker, Parked, Role, Room, RoomId};
use crate::store::{StoreError, StoreRequest, Stretch};

use super::{Answer, Ask, Output, Page, Range, Recovery, Shard, Start, State};

/// What a read finds.
enum Found {
    /// Messages, oldest first, and the offset up to which they say all: what is left out before it is lost.
    Messages(Vec<Arc<Message>>, u64),
    /// This block must be read first.
    Missing(u64),
}

impl Shard {
    /// A page of history. `None` where the store is asked first.
    pub(super) fn read_home(
        &mut self,
        asker: Asker,
        name: &RoomName,
        range: Range,
        out: &mut Vec<Output>,
    ) -> Option<Answer> {
        let Some(id) = self.rooms.find(name) else {
            return Some(Answer::History(self.nothing(name, range.start)));
        };
        self.trim(id);
        let start = self.resolve(asker, id, range.start, out, |start| Ask::Read {
            range: Range { start, ..range },
        })?;
        let room = self.rooms.at_mut(id)?;
        room.used = true;
        let (after, mut recovery) = begin(room, start);
        let head = room.log.head();
        let epoch = room.epoch;
        if range.until.is_some_and(|until| until.epoch != epoch) {
            // Nobody knows where that was: all there is, and no word that it is what was asked for.
            recovery = Recovery::From(room.position(after));
        }
        let until = match range.until {
            Some(until) if until.epoch == epoch => until.offset.min(head),
            Some(_) | None => head,
        };
        let count = range.limit.min(self.limits.page_messages_max);
        let found = if range.reverse {
            self.look_back(id, after, until, count)
        } else {
            self.look_up(id, after, until, count, self.limits.page_bytes_max)
        };
        let (messages, end) = match found {
            Found::Messages(messages, end) => (messages, end),
            Found::Missing(number) => {
                let ask = Ask::Read {
                    range: Range {
                        start: Start::After(Position {
                            epoch,
                            offset: after,
                        }),
                        ..range
                    },
                };
                // Asked again from where it begins now; whether that is all it asked for must not be forgotten.
                let ask = match recovery {
                    Recovery::Complete => ask,
                    Recovery::From(_) => Ask::Read { range },
                };
                self.wait_for_block(id, number, Parked { asker, ask }, out);
                return None;
            }
        };
        let room = self.rooms.at(id)?;
        Some(Answer::History(Page {
            room: name.clone(),
            at: room.position(end),
            head: room.position(head),
            recovery,
            more: if range.reverse {
                end > after
            } else {
                end < until
            },
            messages,
        }))
    }

    /// What is set in a room.
    pub(super) fn state_home(&mut self, name: &RoomName, key: Option<&str>) -> Answer {
        let nowhere = Position {
            epoch: self.epoch,
            offset: self.floor,
        };
        let room = self.rooms.find(name).and_then(|id| self.rooms.at(id));
        let entries = match room.map(|room| &room.role) {
            Some(Role::Home(home)) => home.state.entries(key),
            _ => Vec::new(),
        };
        Answer::State(State {
            room: name.clone(),
            at: room.map_or(nowhere, |room| room.position(room.log.head())),
            entries,
        })
    }

    /// What a reader needs that its log does not have. `None` where the store is asked first.
    pub(super) fn pull_home(
        &mut self,
        asker: Asker,
        name: &RoomName,
        after: u64,
        out: &mut Vec<Output>,
    ) -> Option<Answer> {
        let limits = self.limits;
        let Some(id) = self.rooms.find(name) else {
            return Some(Answer::Pulled {
                asked: after,
                after: Position {
                    epoch: self.epoch,
                    offset: self.floor,
                },
                messages: Vec::new(),
            });
        };
        let room = self.rooms.at(id)?;
        let begin = after.max(room.oldest() - 1);
        let head = room.log.head();
        match self.look_up(
            id,
            begin,
            head,
            limits.chunk_messages_max,
            limits.chunk_bytes_max,
        ) {
            Found::Messages(messages, end) => {
                let room = self.rooms.at(id)?;
                // Where nothing could be read, everything up to there is lost to the reader.
                let begin = if messages.is_empty() { end } else { begin };
                Some(Answer::Pulled {
                    asked: after,
                    after: room.position(begin),
                    messages,
                })
            }
            Found::Missing(number) => {
                let ask = Ask::Pull { after };
                self.wait_for_block(id, number, Parked { asker, ask }, out);
                None
            }
        }
    }

    /// Messages behind `after` and up to `until`, oldest first: at most what lies in one block, or all that the log has.
    fn look_up(&self, id: RoomId, after: u64, until: u64, count: u32, bytes_max: u64) -> Found {
        let Some(room) = self.rooms.at(id) else {
            return Found::Messages(Vec::new(), after);
        };
        if after + 1 >= room.log.first() || after >= until || room.oldest() >= room.log.first() {
            let messages = take(room.log.after(after), until, count, bytes_max);
            let end = messages.last().map_or(after, |message| message.offset);
            return Found::Messages(messages, end);
        }
        let number = self.limits.block_of(after + 1);
        // What lies in the log need not be in the block, but may.
        let needed = self
            .limits
            .block_start(number + 1)
            .min(room.log.first() - 1);
        let block = match self.blocks.find(id, number) {
            Some(block) if block.up_to >= needed => block,
            _ => return Found::Missing(number),
        };
        let behind = block.messages.partition_point(|m| m.offset <= after);
        let messages = take(block.messages[behind..].iter(), until, count, bytes_max);
        // Where the page was cut short the rest follows; else it says all up to the block's end.
        let cut = block.messages.len() - behind > messages.len();
        let end = match messages.last() {
            Some(message) if cut => message.offset,
            _ => block.up_to.min(until).max(after),
        };
        Found::Messages(messages, end)
    }

    /// Messages behind `after` and up to `until`, newest first; `end` is the offset before the last of them.
    fn look_back(&self, id: RoomId, after: u64, until: u64, count: u32) -> Found {
        let bytes_max = self.limits.page_bytes_max;
        let Some(room) = self.rooms.at(id) else {
            return Found::Messages(Vec::new(), after);
        };
        if until <= after {
            return Found::Messages(Vec::new(), after);
        }
        let (mut newest, floor): (Vec<Arc<Message>>, u64) = if until >= room.log.first() {
            let floor = after.max(room.log.first() - 1);
            (room.log.after(floor).cloned().collect(), floor)
        } else {
            let number = self.limits.block_of(until);
            match self.blocks.find(id, number) {
                Some(block) if block.up_to >= until => (
                    block.messages.to_vec(),
                    after.max(self.limits.block_start(number)),
                ),
                _ => return Found::Missing(number),
            }
        };
        newest.retain(|message| message.offset > floor && message.offset <= until);
        newest.reverse();
        let whole = newest.len();
        let messages = take(newest.iter(), u64::MAX, count, bytes_max);
        let end = match messages.last() {
            Some(message) if messages.len() < whole => message.offset - 1,
            _ => floor,
        };
        Found::Messages(messages, end)
    }

    fn wait_for_block(&mut self, id: RoomId, number: u64, parked: Parked, out: &mut Vec<Output>) {
        let Some(name) = self.rooms.at(id).map(|room| room.name().clone()) else {
            return;
        };
        if self.blocks.wait(id, number, parked) {
            out.push(Output::Store {
                request: StoreRequest::Read {
                    id,
                    room: name,
                    after: self.limits.block_start(number),
                    messages_max: self.limits.block_messages,
                    bytes_max: u64::MAX,
                },
            });
        }
    }

    /// A block has been read, or could not be.
    pub(super) fn block_read(
        &mut self,
        id: RoomId,
        after: u64,
        result: Result<Stretch, StoreError>,
        out: &mut Vec<Output>,
    ) {
        let number = self.limits.block_of(after + 1);
        let Some(room) = self.rooms.at(id) else {
            return;
        };
        let name = room.name().clone();
        // What is kept and not yet said is not read before it is.
        let up_to = self.limits.block_start(number + 1).min(room.log.head());
        match result {
            Ok(mut stretch) => {
                stretch.messages.retain(|message| message.offset <= up_to);
                let bytes_max = self.limits.blocks_bytes_max;
                let waiting = self
                    .blocks
                    .put(id, number, stretch.messages, up_to, bytes_max);
                for Parked { asker, ask } in waiting {
                    self.answer_again(asker, &name, ask, out);
                }
            }
            Err(error) => {
                let reason = error.to_string();
                for Parked { asker, ask } in self.blocks.fail(id, number) {
                    self.refuse_parked(asker, &name, ask, &reason, out);
                }
            }
        }
        self.after_home(&name, out);
    }

    /// The page of a room that is not there: what it would be if it were made now.
    fn nothing(&self, name: &RoomName, start: Start) -> Page {
        let at = Position {
            epoch: self.epoch,
            offset: self.floor,
        };
        let recovery = match start {
            Start::After(position) if position != at => Recovery::From(at),
            _ => Recovery::Complete,
        };
        Page {
            room: name.clone(),
            at,
            head: at,
            recovery,
            messages: Vec::new(),
            more: false,
        }
    }

    /// Whether somebody waits for the store to read in this room.
    pub(super) fn is_read(&self, id: RoomId) -> bool {
        self.blocks.is_reading(id) || self.seeking.keys().any(|(room, _)| *room == id)
    }
}

/// Where a reader begins, and whether that is what it asked for.
pub(super) fn begin(room: &Room, start: Start) -> (u64, Recovery) {
    let oldest = room.oldest() - 1;
    let head = room.log.head();
    match start {
        // A time that nobody has looked up: `resolve` comes before.
        Start::Now | Start::RewindMs(_) => (head, Recovery::Complete),
        Start::Rewind(count) => (
            oldest.max(head.saturating_sub(u64::from(count))),
            Recovery::Complete,
        ),
        Start::After(position)
            if position.epoch == room.epoch && (oldest..=head).contains(&position.offset) =>
        {
            (position.offset, Recovery::Complete)
        }
        Start::After(_) => (oldest, Recovery::From(room.position(oldest))),
    }
}

/// The same for who may not hear what was said before: it begins at the head. What it missed is said to be missing.
pub(super) fn begin_now(room: &Room, start: Start) -> (u64, Recovery) {
    let head = room.log.head();
    let at = room.position(head);
    match start {
        Start::After(position) if position != at => (head, Recovery::From(at)),
        _ => (head, Recovery::Complete),
    }
}

/// The first of `messages`, bounded in number and bytes, and up to an offset; always at least one where there is one.
fn take<'a>(
    messages: impl Iterator<Item = &'a Arc<Message>>,
    until: u64,
    count_max: u32,
    bytes_max: u64,
) -> Vec<Arc<Message>> {
    let mut bytes = 0;
    messages
        .take(count_max as usize)
        .take_while(|message| {
            let fits = bytes == 0 || bytes + message.cost_bytes() <= bytes_max;
            bytes += message.cost_bytes();
            fits && message.offset <= until
        })
        .cloned()
        .collect()
}
