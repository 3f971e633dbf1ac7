//! The lane `latest` at the end of a turn.
//!
//! What a room has pending on it is encoded once per Format and goes out in the same write as what the walk brings besides. A member's own messages are
//! cut out of the shared bytes. Whoever cannot be written now keeps its cursor on the lane, and reads by it when it can
//! ([`Shard::next_latest`](taut_hub::Shard::next_latest)): of each key the newest that it has not had.

use taut_gate::{Encoder, Format};
use taut_hub::{ConnId, LinkMessage, Member, Membership, Origin, Room, RoomId};

use super::Core;
use super::flush::GATHER_BYTES;

/// What the room being walked has on the lane. The buffers are kept for the next room.
#[derive(Debug, Default)]
pub(super) struct LatestWindows {
    formats: Vec<Window>,
    /// Who said each of the messages, in their order.
    origins: Vec<Option<Origin>>,
    /// Behind which number the windows begin; `None` until a member has said where.
    start: Option<u32>,
    /// The window without one member's own messages.
    others: Window,
    given: Given,
    /// How many messages that was.
    given_len: u64,
}

#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    /// The number of each message, and where it ends. Empty: not encoded yet.
    ends: Vec<(u32, usize)>,
}

/// What the member that was asked for last got.
#[derive(Debug, Default, Clone, Copy)]
enum Given {
    #[default]
    Nothing,
    /// The window of this Format, from this byte on.
    Shared(usize, usize),
    /// The window without its own messages.
    Others,
}

impl LatestWindows {
    /// Turns to another room.
    pub(super) fn begin(&mut self) {
        if self.start.take().is_some() {
            self.origins.clear();
            for window in &mut self.formats {
                window.bytes.clear();
                window.ends.clear();
            }
        }
    }

    /// Whether a member whose cursor on the lane is there can be served from here. The first one that has something to get says where the windows begin.
    pub(super) fn covers(&mut self, room: &Room, cursor: u32) -> bool {
        let Some(latest) = room.latest().filter(|latest| cursor < latest.newest()) else {
            return true;
        };
        if let Some(start) = self.start {
            return cursor >= start;
        }
        self.start = Some(cursor);
        self.formats.resize_with(Format::SHARED, Window::default);
        let messages = latest.after(cursor);
        self.origins
            .extend(messages.map(|(_, message)| message.left_out()));
        true
    }

    /// What the member has not had, but for its own; encoded now if nobody of its Format came before.
    pub(super) fn behind(
        &mut self,
        room: &Room,
        member: Member,
        core: u16,
        (index, format): (usize, Format),
        encoder: &mut Encoder,
    ) -> &[u8] {
        self.given = Given::Nothing;
        self.given_len = 0;
        let (Some(start), Some(latest)) = (self.start, room.latest()) else {
            return &[];
        };
        let window = &mut self.formats[index];
        if window.ends.is_empty() {
            for (number, message) in latest.after(start) {
                encoder.encode(format, room, message, &mut window.bytes);
                window.ends.push((number, window.bytes.len()));
            }
        }
        let first = window
            .ends
            .partition_point(|(number, _)| *number <= member.latest);
        let from = first.checked_sub(1).map_or(0, |last| window.ends[last].1);
        let own = Some(Origin {
            core,
            conn: member.conn,
        });
        if room.policy().echo || !self.origins[first..].contains(&own) {
            self.given = Given::Shared(index, from);
            self.given_len = (window.ends.len() - first) as u64;
            return &window.bytes[from..];
        }
        self.others.bytes.clear();
        self.others.ends.clear();
        let mut from = from;
        for ((number, end), origin) in window.ends.iter().zip(&self.origins).skip(first) {
            if *origin != own {
                self.others
                    .bytes
                    .extend_from_slice(&window.bytes[from..*end]);
                let end = self.others.bytes.len();
                self.others.ends.push((*number, end));
            }
            from = *end;
        }
        self.given = Given::Others;
        self.given_len = self.others.ends.len() as u64;
        &self.others.bytes
    }

    /// How many messages the member that was asked for last got.
    pub(super) fn given_len(&self) -> u64 {
        self.given_len
    }

    /// After `written` bytes of what was given last to the member at `cursor`: the number of the last message that has begun to go out, and the
    /// rest of it.
    pub(super) fn cut(&self, cursor: u32, written: usize) -> (u32, &[u8]) {
        let (window, from) = match self.given {
            Given::Nothing => return (cursor, &[]),
            Given::Shared(index, from) => (&self.formats[index], from),
            Given::Others => (&self.others, 0),
        };
        let at = from + written;
        let whole = window.ends.partition_point(|(_, end)| *end <= at);
        let last = whole.checked_sub(1).map(|last| window.ends[last]);
        match window.ends.get(whole) {
            Some((number, end)) if written > 0 && last.is_none_or(|(_, end)| end < at) => {
                (*number, &window.bytes[at..*end])
            }
            _ => (last.map_or(cursor, |(number, _)| number.max(cursor)), &[]),
        }
    }
}

impl Core {
    /// Puts what a member has not had on the lane behind its own answers, where that is little; true where it must be written by itself.
    pub(super) fn hand_latest(&mut self, id: RoomId, index: u32, member: Member) -> bool {
        let (Some(room), Some(conn)) = (self.shard.room(id), self.conns.find(member.conn)) else {
            return false;
        };
        let newest = room.latest_newest();
        let Some(shared) = conn.format.shared_index() else {
            // It reads by itself.
            return false;
        };
        if member.latest >= newest || !self.latest.covers(room, member.latest) {
            return false;
        }
        let format = (shared, conn.format);
        let bytes = self
            .latest
            .behind(room, member, self.id, format, &mut self.encoder);
        if conn.waiting_bytes() + bytes.len() > GATHER_BYTES {
            return true;
        }
        if !bytes.is_empty() {
            conn.answers().extend_from_slice(bytes);
            let door = conn.door_at;
            self.counts.door(door).messages_out += self.latest.given_len();
        }
        if let Some(room) = self.shard.room_mut(id) {
            room.sent_latest(index, newest);
        }
        false
    }

    /// What another core is owed on the lane.
    pub(super) fn next_latest_for_relay(&mut self, id: RoomId, core: u16) -> Option<LinkMessage> {
        let mut outputs = Vec::new();
        let next = self.shard.next_latest_for_relay(id, core, &mut outputs);
        for output in outputs {
            self.settle(output);
        }
        next
    }

    /// Brings together what a member has not had on the lane, as far as one gather goes.
    pub(super) fn gather_latest(
        &mut self,
        id: ConnId,
        membership: Membership,
        format: Format,
        out: &mut Vec<u8>,
    ) {
        let Membership { room, index } = membership;
        while out.len() < GATHER_BYTES {
            let mut outputs = Vec::new();
            let next = self.shard.next_latest(room, index, &mut outputs);
            for output in outputs {
                self.settle(output);
            }
            let Some(message) = next else {
                return;
            };
            self.encode_unit(id, room, &message, format, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> LatestWindows {
        let window = Window {
            bytes: b"aaabbbbcc".to_vec(),
            ends: vec![(3, 3), (5, 7), (6, 9)],
        };
        LatestWindows {
            formats: vec![window],
            start: Some(2),
            given: Given::Shared(0, 0),
            ..LatestWindows::default()
        }
    }

    #[test]
    fn a_cut_keeps_the_rest_of_the_message_under_way() {
        let windows = windows();
        assert_eq!(windows.cut(2, 0), (2, &b""[..]));
        assert_eq!(windows.cut(2, 1), (3, &b"aa"[..]));
        assert_eq!(windows.cut(2, 3), (3, &b""[..]));
        assert_eq!(windows.cut(2, 4), (5, &b"bbb"[..]));
        assert_eq!(windows.cut(2, 7), (5, &b""[..]));
        assert_eq!(windows.cut(2, 9), (6, &b""[..]));
    }

    #[test]
    fn a_cut_counts_from_where_the_member_began() {
        let mut windows = windows();
        windows.given = Given::Shared(0, 3);
        assert_eq!(windows.cut(4, 0), (4, &b""[..]));
        assert_eq!(windows.cut(4, 2), (5, &b"bb"[..]));
        assert_eq!(windows.cut(4, 6), (6, &b""[..]));
    }
}
