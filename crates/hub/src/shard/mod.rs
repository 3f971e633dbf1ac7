//! The shard: all rooms of one core, behind one door.
//!
//! A request goes the same way wherever the room's home is: [`Shard::ask`] brings it to the home, the home's [`Answer`] comes back to
//! `answered`, and only there does anything change for the Conn. Where the home is this shard both happen at once.

mod adopt;
mod answers;
mod blocks;
mod conns;
mod durable;
mod granted;
mod history;
mod home;
mod input;
mod latest;
mod output;
mod park;
mod publish;
mod reader;
mod rooms;
mod seek;
mod standings;
mod survey;
mod upkeep;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use conns::Membership;
pub use input::{Batch, Farewell, Input, Join, Now, Range, Start};
pub use output::{Answer, Ask, CloseReason, LinkMessage, Output, Page, Recovery, State};
pub use reader::Next;
pub use survey::{RoomFacts, RoomSlice};

use crate::conn::{ConnId, Origin, Ticket};
use crate::grant::{Grant, Right};
use crate::keyed::Keyed;
use crate::limits::Limits;
use crate::name::RoomName;
use crate::policy::{Policies, RoomPolicy};
use crate::position::Epoch;
use crate::refusal::Refusal;
use crate::room::{Asker, Parked, Role, Room, RoomId};
use crate::sender::Sender;
use blocks::Blocks;
use conns::Conns;
use reader::Chunk;
use rooms::Rooms;
use standings::Standings;

/// What a shard is told before it starts.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// Which core it serves, from 0.
    pub core: u16,
    /// How many there are.
    pub cores: u16,
    /// Keys the hash of names. The same on every shard, or they would disagree on homes.
    pub seed: u64,
    /// The numbering that rooms in memory begin with. Not 0.
    pub epoch: Epoch,
    /// How rooms behave.
    pub policies: Arc<Policies>,
    /// What a Conn may do that has shown no credentials: everything, on an open server.
    pub anonymous: Arc<Grant>,
    /// The shard's bounds.
    pub limits: Limits,
    /// Whether there is a store to carry out [`Output::Store`]. Without one every room is in memory.
    pub has_store: bool,
}

/// All rooms of one core. A plain value: what happens goes into [`Shard::handle`], what to do about it comes out.
#[derive(Debug)]
pub struct Shard {
    core: u16,
    cores: u16,
    keyed: Keyed,
    epoch: Epoch,
    policies: Arc<Policies>,
    limits: Limits,
    conns: Conns,
    standings: Standings,
    rooms: Rooms,
    /// What readers of relays, and conflated ones, are working through.
    chunks: HashMap<(ConnId, RoomId), Chunk, Keyed>,
    /// What was read back from the store.
    blocks: Blocks,
    /// Who waits to be told where in a room a time lies.
    seeking: HashMap<(RoomId, u64), Vec<Parked>, Keyed>,
    has_store: bool,
    /// Bytes of messages pending on the lane `latest`, of all rooms.
    latest_bytes: u64,
    /// Bytes of messages on their way to the store, of all rooms.
    pending_bytes: u64,
    /// When each room wants to be looked after.
    alarms: BTreeSet<(u64, RoomId)>,
    /// What all logs cost, in bytes.
    log_bytes: u64,
    /// What all messages that ever came into a log cost, in bytes, wrapping.
    heard_bytes: u64,
    /// Users in their grace, of all rooms.
    ghosts: usize,
    /// The highest head of any room that is gone: a room made again begins here, so that a stale position is never taken for whole.
    floor: u64,
    /// The first room that has not adopted the policies of now, while there is one.
    adopting: Option<u32>,
    now: Now,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(settings: ShardSettings) -> Self {
        let keyed = Keyed(settings.seed);
        Self {
            core: settings.core,
            cores: settings.cores.max(1),
            keyed,
            epoch: settings.epoch,
            policies: settings.policies,
            limits: settings.limits,
            conns: Conns::default(),
            standings: Standings::new(settings.anonymous, keyed),
            rooms: Rooms::new(keyed),
            chunks: HashMap::with_hasher(keyed),
            blocks: Blocks::new(keyed),
            seeking: HashMap::with_hasher(keyed),
            has_store: settings.has_store,
            latest_bytes: 0,
            pending_bytes: 0,
            alarms: BTreeSet::new(),
            log_bytes: 0,
            heard_bytes: 0,
            ghosts: 0,
            floor: 0,
            adopting: None,
            now: Now {
                mono_ms: 0,
                unix_ms: 0,
            },
        }
    }

    /// The one door: something happened, and this is what to do about it.
    pub fn handle(&mut self, mut input: Input, now: Now, out: &mut Vec<Output>) {
        self.now = now;
        if !self.passes(&mut input, out) {
            return;
        }
        match input {
            Input::Open { conn } => self.conns.open(conn),
            Input::Join {
                conn,
                ticket,
                room,
                join,
            } => self.join(conn, ticket, room, join, out),
            Input::Leave {
                conn,
                ticket,
                room,
                farewell,
            } => {
                self.leave(conn, ticket, room, farewell, out);
            }
            Input::Granted { conn, user, grant } => self.granted(conn, user.as_ref(), grant, out),
            Input::Publish {
                conn,
                ticket,
                room,
                draft,
            } => self.ask(conn, ticket, room, Ask::Publish { draft }, out),
            Input::PublishBatch {
                conn,
                ticket,
                room,
                batch,
            } => self.ask(conn, ticket, room, Ask::PublishBatch { batch }, out),
            Input::Read {
                conn,
                ticket,
                room,
                range,
            } => self.ask(conn, ticket, room, Ask::Read { range }, out),
            Input::ReadState {
                conn,
                ticket,
                room,
                key,
            } => self.ask(conn, ticket, room, Ask::ReadState { key }, out),
            Input::Who {
                conn,
                ticket,
                room,
                counts,
            } => self.ask(conn, ticket, room, Ask::Who { counts }, out),
            Input::Expel { conn, room } => self.expel(conn, room, out),
            Input::Rename { conn, name } => self.rename(conn, &name, out),
            Input::Close { conn, farewell } => self.close(conn, farewell, out),
            Input::Link { from, message } => self.hear(from, message, out),
            Input::Stored { answer } => self.stored(answer, out),
            Input::Policies { policies, limits } => self.follow(policies, limits, out),
            Input::Anonymous { grant } => self.standings.set_anonymous(grant),
            Input::Tick => self.tick(out),
        }
    }

    /// When, on the monotonic clock, [`Input::Tick`] is wanted next.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        match self.adopting {
            Some(_) => Some(0),
            None => self.alarms.first().map(|(at, _)| *at),
        }
    }

    /// A room of this shard.
    #[must_use]
    pub fn room(&self, room: RoomId) -> Option<&Room> {
        self.rooms.at(room)
    }

    /// A room of this shard, for the fan-out.
    pub fn room_mut(&mut self, room: RoomId) -> Option<&mut Room> {
        self.rooms.at_mut(room)
    }

    /// A room by name, if this shard has it.
    #[must_use]
    pub fn find(&self, name: &RoomName) -> Option<RoomId> {
        self.rooms.find(name)
    }

    /// The same name as its room has it, where the room is here: who keeps it keeps no copy then.
    #[must_use]
    pub fn shared_name(&self, name: RoomName) -> RoomName {
        let room = self.find(&name).and_then(|id| self.room(id));
        room.map_or(name, |room| room.name().clone())
    }

    /// Which rooms a Conn is in.
    #[must_use]
    pub fn memberships(&self, conn: ConnId) -> &[Membership] {
        self.conns.memberships(conn)
    }

    /// Whether a Conn is in a room, or has asked to be and waits for the answer.
    pub fn is_bound_for(&mut self, conn: ConnId, name: &RoomName) -> bool {
        self.rooms_of(conn).contains(name)
    }

    /// How many rooms a Conn is in, or will be as soon as what it has asked for is answered.
    pub fn bound_for(&mut self, conn: ConnId) -> usize {
        self.conns.find(conn).map_or(0, |entry| entry.bound_for())
    }

    /// Whether a Conn is in as many rooms as it may be, with those that it waits for.
    pub fn is_in_enough(&mut self, conn: ConnId) -> bool {
        let rooms_max = self.limits.rooms_per_conn_max as usize;
        self.bound_for(conn) >= rooms_max
    }

    /// Whether a Conn may ask who is present in a room, if it is in it.
    #[must_use]
    pub fn allows_presence(&self, conn: ConnId, name: &RoomName) -> bool {
        self.policies.for_room(name).presence && self.allows(conn, name, Right::Who)
    }

    /// How a room behaves, whether it is here or not.
    #[must_use]
    pub fn policy_of(&self, name: &RoomName) -> Arc<RoomPolicy> {
        self.policies.for_room(name)
    }

    /// Whether members of a room hear what they say themselves.
    #[must_use]
    pub fn echoes(&self, name: &RoomName) -> bool {
        self.policies.for_room(name).echo
    }

    /// How many rooms there are, homes and relays together.
    #[must_use]
    pub fn rooms_len(&self) -> usize {
        self.rooms.len()
    }

    /// How many rooms have their home here.
    #[must_use]
    pub fn homes_len(&self) -> u32 {
        self.rooms.homes()
    }

    /// What all logs cost, in bytes.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// What all messages cost that ever came into a log, in bytes, wrapping: what the difference of two looks says came between them.
    #[must_use]
    pub fn heard_bytes(&self) -> u64 {
        self.heard_bytes
    }

    /// The core that numbers a room's messages.
    #[must_use]
    pub fn home_of(&self, name: &RoomName) -> u16 {
        let known = self.rooms.find(name).and_then(|id| self.rooms.at(id));
        match known {
            Some(room) if matches!(room.role, Role::Home(_)) => self.core,
            _ => self.keyed.place(name.as_str(), self.cores),
        }
    }

    fn join(
        &mut self,
        conn: ConnId,
        ticket: Ticket,
        room: RoomName,
        join: Join,
        out: &mut Vec<Output>,
    ) {
        let rooms_max = self.limits.rooms_per_conn_max;
        let Some(entry) = self.conns.find(conn) else {
            return;
        };
        let known = self.rooms.find(&room);
        let again = known.is_some_and(|known| entry.place_in(known).is_some());
        if !again && self.is_in_enough(conn) {
            let refusal = Refusal::TooManyRoomsPerConn { max: rooms_max };
            out.push(Output::Refused {
                conn,
                ticket,
                refusal,
            });
            return;
        }
        if self.home_of(&room) != self.core {
            self.begin_relay(&room);
        }
        if let Some(entry) = self.conns.find(conn) {
            entry.begin_join(room.clone());
        }
        let user = self.standing(conn).0.map(|user| &**user);
        let ask = Ask::Join {
            past: self.allows(conn, &room, Right::History),
            name: Sender::named(join.name).verified(user),
            door: join.door,
            start: join.start,
            presence: join.presence,
            data: join.data,
            state: join.state,
        };
        self.ask(conn, ticket, room, ask, out);
    }

    /// Brings a question to the room's home, and the answer back when that is here.
    fn ask(
        &mut self,
        conn: ConnId,
        ticket: Ticket,
        room: RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) {
        let home = self.home_of(&room);
        if home != self.core {
            out.push(Output::Link {
                to: home,
                message: LinkMessage::Ask {
                    conn,
                    ticket,
                    room,
                    ask,
                },
            });
            return;
        }
        let origin = Origin {
            core: self.core,
            conn,
        };
        let asker = Asker { origin, ticket };
        if let Some(answer) = self.at_home(asker, &room, ask, out) {
            self.answered(conn, ticket, &room, answer, out);
        }
        self.after_home(&room, out);
    }

    fn leave(
        &mut self,
        conn: ConnId,
        ticket: Ticket,
        room: RoomName,
        farewell: Farewell,
        out: &mut Vec<Output>,
    ) {
        // Whoever leaves one room to join another says both at once, and the answer may have to come from another core.
        if let Some(id) = self.rooms.find(&room)
            && let Some(entry) = self.conns.find(conn)
        {
            entry.begin_leave(id);
        }
        let ask = Ask::Leave {
            farewell,
            ended: false,
        };
        self.ask(conn, ticket, room, ask, out);
    }

    fn rename(&mut self, conn: ConnId, name: &Arc<str>, out: &mut Vec<Output>) {
        let user = self.standing(conn).0.map(|user| &**user);
        let name = Sender::named(Arc::clone(name)).verified(user);
        for room in self.rooms_of(conn) {
            let ask = Ask::Rename { name: name.clone() };
            self.ask(conn, Ticket(0), room, ask, out);
        }
    }

    fn close(&mut self, conn: ConnId, farewell: Farewell, out: &mut Vec<Output>) {
        let rooms = self.rooms_of(conn);
        let memberships = self.conns.memberships(conn).to_vec();
        for membership in memberships {
            self.drop_member(conn, membership.room);
        }
        let standing = self.conns.standing(conn);
        if self.conns.close(conn).is_none() {
            return;
        }
        self.standings.give_back(standing);
        for room in rooms {
            let ask = Ask::Leave {
                farewell,
                ended: true,
            };
            self.ask(conn, Ticket(0), room, ask, out);
        }
    }

    /// The rooms that a Conn is in or has asked to be in.
    fn rooms_of(&mut self, conn: ConnId) -> Vec<RoomName> {
        let rooms = &self.rooms;
        let Some(entry) = self.conns.find(conn) else {
            return Vec::new();
        };
        let mut names: Vec<RoomName> = entry
            .memberships()
            .iter()
            .filter_map(|membership| rooms.at(membership.room))
            .map(|room| room.name().clone())
            .collect();
        for joining in entry.joining() {
            if !names.contains(&joining.room) {
                names.push(joining.room.clone());
            }
        }
        names
    }

    /// Something from another shard.
    fn hear(&mut self, from: u16, message: LinkMessage, out: &mut Vec<Output>) {
        match message {
            LinkMessage::Ask {
                conn,
                ticket,
                room,
                ask,
            } => {
                let origin = Origin { core: from, conn };
                let asker = Asker { origin, ticket };
                if let Some(answer) = self.at_home(asker, &room, ask, out) {
                    self.reply(asker, &room, answer, out);
                }
                self.after_home(&room, out);
            }
            LinkMessage::Answer {
                conn,
                ticket,
                room,
                answer,
            } => self.answered(conn, ticket, &room, answer, out),
            LinkMessage::Deliver { room, message } => self.relay_delivery(&room, message, out),
            LinkMessage::Latest { room, message } => self.relay_latest(&room, message, out),
            LinkMessage::Skip { room, to } => self.relay_skip(&room, to, out),
            LinkMessage::Presence { room, change } => {
                if let Some(room) = self.rooms.find(&room) {
                    out.push(Output::Presence { room, change });
                }
            }
        }
    }

    /// Says once that a room has something to read.
    fn mark_dirty(&mut self, room: RoomId, out: &mut Vec<Output>) {
        if let Some(found) = self.rooms.at_mut(room)
            && !std::mem::replace(&mut found.dirty, true)
        {
            out.push(Output::Deliver { room });
        }
    }
}
