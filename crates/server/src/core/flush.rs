//! The end of a turn: every dirty room is walked and every dirty Conn written, everything pending for it in one call.
//!
//! A member that is caught up but for this turn's messages gets a slice of the room's window: the fast path. Everybody else (several rooms, its own
//! messages among them, catching up, a Format of its own) reads by cursor through [`Shard::next`](taut_hub::Shard::next), in bounded pieces.

use mio::Interest;
use taut_gate::{Close, Format};
use taut_hub::{
    ConnId, Farewell, LagPolicy, Lane, Member, Membership, Message, Next, Position, RoomId,
};

use super::{Core, Flag, Parcel, Wrote};
use crate::talk::Talk;

/// Bytes one gather brings together. Also the most that a Conn which stops reading can hold of room messages, beside one message.
pub(super) const GATHER_BYTES: usize = 16 << 10;
/// Gathers one Conn may have in one turn; then the others come first.
const GATHERS_PER_TURN: usize = 8;
/// Members one turn writes to in one room. Then sockets are read again, so that later members get what has come meanwhile in the same write.
const WRITES_PER_TURN: usize = 128;

/// A room that has something to deliver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    room: RoomId,
    /// Where its walk goes on if the last turn stopped it.
    stopped: Option<Stopped>,
    /// When what it has to deliver came in, in nanoseconds since the core began.
    since_ns: u64,
}

impl Due {
    /// A room whose walk has not begun.
    pub(super) fn now(room: RoomId, since_ns: u64) -> Self {
        Self {
            room,
            stopped: None,
            since_ns,
        }
    }
}

/// A walk that goes on in the next turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopped {
    /// The next member.
    index: usize,
    /// The room's head when the walk began: what came later may not have reached the first members.
    head: u64,
    /// The same on the lane `latest`.
    latest: u32,
    /// How often members had changed places by then.
    moves: u32,
}

/// What a walk writes to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// What the window holds for it, and what is pending on the lane `latest`.
    Both,
    /// Only the lane.
    Latest,
}

/// How far a walk has come.
#[derive(Debug, Clone, Copy)]
enum Walked {
    /// Every member has had its turn, and nothing came meanwhile.
    All,
    /// Every member has had its turn at what was said up to this offset, and the first ones have something new to read.
    Again(u64),
    /// It goes on in the next turn.
    Stopped(Stopped),
}

impl Core {
    /// Flushes everything that this turn made dirty.
    pub(super) fn flush(&mut self) {
        self.begin_to_say();
        let rooms = std::mem::take(&mut self.dirty_rooms);
        let walked: Vec<Walked> = rooms
            .iter()
            .map(|due| self.walk(due.room, due.stopped))
            .collect();
        // What is touched from here on belongs to the next turn: a long reader must not hold this one up.
        for slot in std::mem::take(&mut self.dirty) {
            self.flush_conn(slot);
            self.look_whether_it_hears(slot);
        }
        for room in std::mem::take(&mut self.owed) {
            self.serve_relays(room);
        }
        // The clock is read once a flush, however many rooms it brought out.
        self.flushed_ns = 0;
        for (due, walked) in rooms.into_iter().zip(walked) {
            let room = due.room;
            self.serve_relays(room);
            if let Walked::Stopped(at) = walked {
                self.is_walking(room);
                let stopped = Some(at);
                self.dirty_rooms.push(Due { stopped, ..due });
                continue;
            }
            let now_ns = match self.flushed_ns {
                0 => self.elapsed_ns(),
                now_ns => now_ns,
            };
            self.flushed_ns = now_ns;
            let took_ns = now_ns.saturating_sub(due.since_ns);
            self.counts.fanout.observe(took_ns);
            if let Walked::Again(head) = walked {
                self.shard.walked(room, head);
                self.dirty_rooms.push(Due::now(room, self.turn_ns));
            } else {
                self.shard.flushed(room);
            }
        }
    }

    /// Writes a room's pending messages to its members, a bounded number of them a turn.
    fn walk(&mut self, id: RoomId, begun: Option<Stopped>) -> Walked {
        let Some(room) = self.shard.room(id) else {
            return Walked::All;
        };
        self.windows.begin(room);
        self.latest.begin();
        let (head, latest) = (room.log().head(), room.latest_newest());
        let count = room.members().len();
        let mut gone = Vec::new();
        let mut marked = false;
        let begun = begun.unwrap_or(Stopped {
            index: 0,
            head,
            latest,
            moves: room.moves(),
        });
        let comes_more = head > begun.head || latest != begun.latest;
        let mut walked = if comes_more || room.moves() != begun.moves {
            Walked::Again(begun.head)
        } else {
            Walked::All
        };
        let mut writes = 0;
        for index in begun.index..count {
            let Some(room) = self.shard.room(id) else {
                return Walked::All;
            };
            let Some(member) = room.members().get(index).copied() else {
                break;
            };
            if is_caught(member, head) && member.latest >= latest {
                continue;
            }
            if writes == WRITES_PER_TURN {
                walked = Walked::Stopped(Stopped { index, ..begun });
                break;
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let Some(reads) = self.reads(id, index, member, &mut marked) else {
                continue;
            };
            writes += 1;
            if self.write_window(id, index, member, reads).is_err() {
                gone.push(member.conn);
            }
        }
        if marked {
            self.mark_senders(id, false);
        }
        for conn in gone {
            self.remove(conn.slot, Farewell::Vanished);
        }
        walked
    }

    /// What a member takes on the fast path; otherwise whatever else it needs has been noted.
    fn reads(
        &mut self,
        id: RoomId,
        index: u32,
        member: Member,
        marked: &mut bool,
    ) -> Option<Reads> {
        let room = self.shard.room(id)?;
        let conn = self.conns.find(member.conn)?;
        if conn.flags.has(Flag::Blocked)
            || conn.flags.has(Flag::Closing)
            || conn.flags.has(Flag::Held)
        {
            if room.overdue(index) && !conn.flags.has(Flag::Closing) {
                self.close(member.conn, Close::Slow, None);
            } else if !conn.flags.has(Flag::Unheard) {
                self.look_whether_heard(member.conn, id, index);
            }
            return None;
        }
        let caught = is_caught(member, room.log().head());
        if matches!(conn.format, Format::Poll | Format::None) {
            if !caught {
                self.touch(member.conn.slot);
            }
            // What is kept nowhere cannot be read later, so no poll ends for it.
            let room = self.shard.room_mut(id)?;
            room.sent_latest(index, room.latest_newest());
            return None;
        }
        let in_log = member.is_direct(room.log());
        let direct = conn.rooms == 1
            && conn.format.shared_index().is_some()
            && (caught || (in_log && self.windows.covers(room, member.cursor)))
            && self.latest.covers(room, member.latest);
        if direct && caught {
            return Some(Reads::Latest);
        }
        if direct && !*marked {
            *marked = true;
            self.mark_senders(id, true);
        }
        let speaks = self
            .conns
            .find(member.conn)
            .is_some_and(|conn| conn.flags.has(Flag::Sender));
        if direct && !speaks {
            return Some(Reads::Both);
        }
        self.touch(member.conn.slot);
        self.hand_latest(id, index, member).then_some(Reads::Latest)
    }

    /// Marks the local Conns that said something of what is in the window: they read around it.
    fn mark_senders(&mut self, id: RoomId, mark: bool) {
        let Some(room) = self.shard.room(id) else {
            return;
        };
        if room.policy().echo {
            return;
        }
        let Some(start) = self.windows.start() else {
            return;
        };
        for message in room.log().after(start) {
            if let Some(origin) = message.left_out()
                && origin.core == self.id
                && let Some(conn) = self.conns.find(origin.conn)
            {
                conn.flags.set(Flag::Sender, mark);
            }
        }
    }

    fn write_window(
        &mut self,
        id: RoomId,
        index: u32,
        member: Member,
        reads: Reads,
    ) -> std::io::Result<()> {
        let (Some(room), Some(conn)) = (self.shard.room(id), self.conns.find(member.conn)) else {
            return Ok(());
        };
        let Some(format) = conn.format.shared_index() else {
            return Ok(());
        };
        let (head, newest) = (room.log().head(), room.latest_newest());
        let shared = (format, conn.format);
        let latest = self
            .latest
            .behind(room, member, self.id, shared, &mut self.encoder);
        let bytes = match reads {
            Reads::Latest => &[],
            Reads::Both => {
                self.windows
                    .behind(member.cursor, format, conn.format, room, &mut self.encoder)
            }
        };
        let door = conn.door_at;
        let (wrote, sent) = conn.write([latest, bytes], &mut self.datagrams, &mut self.tunnels)?;
        let (offset, number) = match wrote {
            Wrote::All if reads == Reads::Both => (head, newest),
            Wrote::All => (member.cursor, newest),
            Wrote::Part(written) => {
                let (offset, number, rest) = match written.checked_sub(latest.len()) {
                    None => {
                        let (number, rest) = self.latest.cut(member.latest, written);
                        (member.cursor, number, rest)
                    }
                    Some(_) if reads == Reads::Latest => (member.cursor, newest, &[][..]),
                    Some(written) => {
                        let (offset, rest) = self.windows.cut(member.cursor, format, written);
                        (offset, newest, rest)
                    }
                };
                if !rest.is_empty() {
                    conn.answers().extend_from_slice(rest);
                }
                (offset, number)
            }
        };
        let counts = self.counts.door(door);
        counts.bytes_out += sent as u64;
        counts.messages_out += offset.saturating_sub(member.cursor);
        if number > member.latest {
            counts.messages_out += self.latest.given_len();
        }
        if let Some(room) = self.shard.room_mut(id) {
            room.sent(index, offset);
            room.sent_latest(index, number);
        }
        if wrote != Wrote::All {
            self.watch_writes(member.conn);
        }
        Ok(())
    }

    /// Hands other cores what they are owed, as far as the links have space.
    fn serve_relays(&mut self, id: RoomId) {
        let Some(room) = self.shard.room(id) else {
            return;
        };
        let cores: Vec<u16> = room.relays_behind().collect();
        for core in cores {
            loop {
                if !self.links.has_space(core) {
                    self.is_outrun(id, core);
                    if !self.owed.contains(&id) {
                        self.owed.push(id);
                    }
                    break;
                }
                let next = self.shard.next_for_relay(id, core);
                match next.or_else(|| self.next_latest_for_relay(id, core)) {
                    Some(message) => self.links.send(core, Parcel::Hub(message)),
                    None => break,
                }
            }
        }
    }

    /// Writes a Conn's answers and whatever its rooms have for it.
    pub(super) fn flush_conn(&mut self, slot: u32) {
        let Some(id) = self.conns.id(slot) else {
            return;
        };
        let Some(conn) = self.conns.at(slot) else {
            return;
        };
        conn.flags.set(Flag::Dirty, false);
        if conn.flags.has(Flag::Blocked) {
            return;
        }
        if self.polls(id) {
            return self.flush_poll(id);
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        for _ in 0..GATHERS_PER_TURN {
            gathered.clear();
            let more = self.gather(id, &mut gathered);
            if !self.write_gathered(id, &gathered) || !more {
                self.gathered = gathered;
                self.after_write(id);
                return;
            }
        }
        self.gathered = gathered;
        self.is_left_behind(id);
        self.touch(slot);
    }

    /// Brings together what the Conn's rooms have for it; true when there is more.
    pub(crate) fn gather(&mut self, id: ConnId, out: &mut Vec<u8>) -> bool {
        let Some(conn) = self.conns.find(id) else {
            return false;
        };
        let format = conn.format;
        if conn.flags.has(Flag::Held)
            || conn.flags.has(Flag::Closing)
            || conn.flags.has(Flag::Lingering)
            || format == Format::None
        {
            return false;
        }
        let memberships = self.shard.memberships(id).to_vec();
        if format == Format::Poll {
            let pending = memberships
                .iter()
                .any(|membership| self.is_behind(*membership));
            if pending {
                self.end_wait(id);
            }
            return false;
        }
        for membership in memberships {
            while out.len() < GATHER_BYTES {
                match self.next_unit(id, membership, format, out) {
                    Progress::Went => {}
                    Progress::Caught => break,
                    Progress::Ended => return false,
                }
            }
            self.gather_latest(id, membership, format, out);
            if out.len() >= GATHER_BYTES {
                self.settle_recoveries(id, out);
                return true;
            }
        }
        self.settle_recoveries(id, out);
        false
    }

    /// What the rooms hold for a Conn that is about to end goes out before its farewell, as far as one gather brings it.
    pub(super) fn say_the_rest(&mut self, id: ConnId) {
        if self
            .conns
            .find(id)
            .is_none_or(|conn| conn.flags.has(Flag::Blocked))
        {
            return;
        }
        let mut rest = Vec::new();
        self.gather(id, &mut rest);
        if self
            .conns
            .find(id)
            .is_some_and(|conn| !conn.flags.has(Flag::Closing))
        {
            self.append(id, &rest);
        }
    }

    fn is_behind(&self, membership: Membership) -> bool {
        self.shard.room(membership.room).is_some_and(|room| {
            room.members()
                .get(membership.index as usize)
                .is_some_and(|member| member.cursor < room.log().head())
        })
    }

    /// One message, or one gap, of one room.
    fn next_unit(
        &mut self,
        id: ConnId,
        membership: Membership,
        format: Format,
        out: &mut Vec<u8>,
    ) -> Progress {
        let Membership { room, index } = membership;
        let mut outputs = Vec::new();
        let next = self.shard.next(room, index, self.hub_now(), &mut outputs);
        for output in outputs {
            self.settle(output);
        }
        match next {
            Next::Caught | Next::Pending => Progress::Caught,
            Next::Disconnect => {
                self.close(id, Close::Slow, None);
                Progress::Ended
            }
            Next::Gap { after, at } => self.say_gap(id, room, after, at, out),
            Next::Message(message) => {
                let Some(found) = self.shard.room_mut(room) else {
                    return Progress::Caught;
                };
                found.sent(index, message.offset);
                let own = message
                    .left_out()
                    .is_some_and(|origin| origin.core == self.id && origin.conn == id);
                if own && !found.policy().echo {
                    return Progress::Went;
                }
                self.encode_unit(id, room, &message, format, out);
                Progress::Went
            }
        }
    }

    /// Appends a message of one room for one Conn.
    pub(super) fn encode_unit(
        &mut self,
        id: ConnId,
        room: RoomId,
        message: &Message,
        format: Format,
        out: &mut Vec<u8>,
    ) {
        self.count_heard(id);
        if format == Format::SocketIo {
            return self.deliver_socketio(id, room, message, out);
        }
        let Some(found) = self.shard.room(room) else {
            return;
        };
        if format != Format::Events {
            return self.encoder.encode(format, found, message, out);
        }
        let mut unit = Vec::new();
        self.encoder.encode(format, found, message, &mut unit);
        let at = (message.lane == Lane::Reliable).then(|| found.position(message.offset));
        let unit = String::from_utf8_lossy(&unit);
        if let Some(conn) = self.conns.find(id)
            && let Talk::Stream(stream) = &mut conn.talk
        {
            stream.event(out, room, at, message.event.as_deref(), &unit);
        }
    }

    /// Says a gap in the Conn's own way.
    fn say_gap(
        &mut self,
        id: ConnId,
        room: RoomId,
        after: Position,
        at: Position,
        out: &mut Vec<u8>,
    ) -> Progress {
        self.counts.gaps += 1;
        let resumes = self
            .shard
            .room(room)
            .is_some_and(|room| room.policy().lag.policy == LagPolicy::Resume);
        let name = self.shard.room(room).map(|room| room.name().clone());
        if let Some(room) = &name {
            tell!(self, id, DEBUG, %room, %after, %at, "a reader fell behind and is told of a gap");
        }
        let Some(conn) = self.conns.find(id) else {
            return Progress::Ended;
        };
        if let Talk::Engine(_) = conn.talk {
            self.encode_socketio_gap(id, room, after, at, out);
            return Progress::Went;
        }
        match &mut conn.talk {
            // A payload has no place to say it in. Where the room's policy is to drop, nobody was promised more.
            Talk::Payload(..) if resumes => {
                self.close(id, Close::Gap, None);
                return Progress::Ended;
            }
            Talk::Stream(stream) => stream.gap(out, room, after, at),
            Talk::Text(_) => taut_gate::text::encode_gap(out),
            Talk::Lines(_) | Talk::Datagrams(_) => {
                taut_gate::native::encode_gap(out, name.as_ref(), after, at);
                out.push(b'\n');
            }
            Talk::Native(socket, _) => {
                let mut unit = Vec::new();
                taut_gate::native::encode_gap(&mut unit, name.as_ref(), after, at);
                socket.text_frame(out, &unit);
            }
            _ => {}
        }
        Progress::Went
    }

    /// A gap that another core told of, ahead of what it sent.
    pub(super) fn say_gap_now(&mut self, id: ConnId, room: RoomId, after: Position, at: Position) {
        let mut unit = Vec::new();
        self.say_gap(id, room, after, at, &mut unit);
        self.append(id, &unit);
    }

    /// Writes; false when the Conn takes no more now, or is gone.
    fn write_gathered(&mut self, id: ConnId, gathered: &[u8]) -> bool {
        let Some(conn) = self.conns.find(id) else {
            return false;
        };
        let door = conn.door_at;
        let wrote = conn.write([&[], gathered], &mut self.datagrams, &mut self.tunnels);
        let wrote = wrote.map(|(wrote, sent)| {
            self.counts.door(door).bytes_out += sent as u64;
            wrote
        });
        match wrote {
            Ok(Wrote::All) => true,
            Ok(Wrote::Part(written)) => {
                // The cursors stand behind these bytes already, so they are kept: at most one gather.
                conn.answers().extend_from_slice(&gathered[written..]);
                self.watch_writes(id);
                false
            }
            Err(_) => {
                self.remove(id.slot, Farewell::Vanished);
                false
            }
        }
    }

    /// After everything is out: ends a Conn that was to end, and hears one again that did not listen.
    fn after_write(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.output.is_some() || conn.flags.has(Flag::Blocked) {
            return;
        }
        if conn.flags.has(Flag::Closing) {
            self.finish(id);
            return;
        }
        if conn.flags.replace(Flag::Choked, false) {
            self.ready_again(id.slot);
        }
        self.file_goes_on(id);
    }

    /// Asks to be told when the socket takes more, and how long it may not.
    fn watch_writes(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.flags.set(Flag::Stalling, true);
        if !conn.has_stream() {
            self.datagrams.wait(id.slot);
        }
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if !conn.flags.replace(Flag::WatchesWrites, true) {
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.register(id.slot, both, true).is_err() {
                self.remove(id.slot, Farewell::Vanished);
                return;
            }
        }
        let stall_ms = self
            .shard
            .memberships(id)
            .iter()
            .filter_map(|membership| self.shard.room(membership.room))
            .map(|room| room.policy().lag.stall_ms_max)
            .min();
        self.set_alarm(id.slot, stall_ms.unwrap_or(STALL_MS_DEFAULT));
    }
}

/// How long a Conn in no room may leave its answers untaken before it is looked at, in milliseconds.
const STALL_MS_DEFAULT: u64 = 10_000;

/// What one step of a gather came to.
enum Progress {
    Went,
    Caught,
    Ended,
}

/// Whether a member has had all that is in the log.
fn is_caught(member: Member, head: u64) -> bool {
    member.cursor >= head && !member.catching_up
}
