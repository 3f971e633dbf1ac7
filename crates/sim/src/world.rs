use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    Batch, Body, ConnId, Door, Draft, Expect, Farewell, Grant, GrantRule, Input, Join, LinkMessage,
    Membership, Message, Next, Now, Output, Pattern, Position, Range, Rights, RoomId, RoomName,
    Shard, Start, Watch, Wish,
};

use crate::check::{Broken, Sabotage, Truth, View};
use crate::disk::Disk;
use crate::latest::Said;
use crate::random::Random;
use crate::reader::{Asked, Reader};
use crate::weather::{ROOMS, Weather};

/// Messages that one reader takes in one turn at most.
const READS_PER_TURN: usize = 16;
/// Longer than every age, grace, window and delay of any weather, in milliseconds.
const QUIET_MS: u64 = 60_000;

/// What a game came to: proof that something was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that readers took.
    pub deliveries: u64,
    /// Messages of the lane `latest` that readers took.
    pub latest: u64,
    /// Messages acknowledged.
    pub publishes: u64,
    /// Gaps said.
    pub gaps: u64,
    /// Requests refused.
    pub refusals: u64,
    /// Conns that a lag policy ended.
    pub disconnects: u64,
    /// Members that lost the right to be in a room.
    pub expulsions: u64,
    /// How often the server was killed.
    pub crashes: u64,
}

/// One game: some shards, the links between them, and Conns that come, speak, read, stall and go.
#[derive(Debug)]
pub struct World {
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    pub(crate) weather: Weather,
    /// Whether rights come and go.
    regrants: bool,
    pub(crate) shards: Vec<Shard>,
    /// By sender and receiver: when each message arrives, in order.
    pub(crate) links: BTreeMap<(u16, u16), VecDeque<(u64, LinkMessage)>>,
    pub(crate) readers: Vec<BTreeMap<u32, Reader>>,
    pub(crate) dirty: Vec<BTreeSet<RoomId>>,
    pub(crate) disk: Disk,
    pub(crate) truth: Truth,
    pub(crate) said: Said,
    pub(crate) sabotage: Option<Sabotage>,
    generation: u32,
    pub(crate) spoken: u64,
    pub(crate) report: Report,
}

impl World {
    /// The game of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let weather = Weather::of(&mut random);
        let cores = usize::from(weather.cores);
        Self {
            random,
            now_ms: 1,
            shards: weather.settings.iter().cloned().map(Shard::new).collect(),
            weather,
            // Beside the weather, so that seeds that once failed stay the games that they were.
            regrants: seed % 7 == 1,
            links: BTreeMap::new(),
            readers: (0..cores).map(|_| BTreeMap::new()).collect(),
            dirty: vec![BTreeSet::new(); cores],
            disk: Disk::default(),
            truth: Truth::default(),
            said: Said::default(),
            sabotage: None,
            generation: 0,
            spoken: 0,
            report: Report::default(),
        }
    }

    /// The same game with a fault between hub and checker.
    #[must_use]
    pub fn sabotaged(seed: u64, sabotage: Sabotage) -> Self {
        Self {
            sabotage: Some(sabotage),
            ..Self::new(seed)
        }
    }

    /// Plays `turns` turns, then lets everything come to rest, then lets everybody go.
    ///
    /// # Errors
    /// The first promise that did not hold.
    pub fn run(mut self, turns: u64) -> Result<Report, Broken> {
        for _ in 0..turns {
            self.now_ms += self.random.below(50);
            self.disaster()?;
            self.turn_disk()?;
            for core in 0..self.weather.cores {
                if !self.random.once_in(3) {
                    self.act(core)?;
                }
                self.turn(core)?;
            }
        }
        self.rest()?;
        self.check_quiet()?;
        self.check_latest()?;
        self.check_states()?;
        self.check_kept()?;
        self.everybody_goes()?;
        self.rest()?;
        self.check_empty()?;
        Ok(self.report)
    }

    /// Time passes, everybody reads, nothing new happens.
    pub(crate) fn rest(&mut self) -> Result<(), Broken> {
        for reader in self.readers.iter_mut().flat_map(BTreeMap::values_mut) {
            reader.blocked_until_ms = 0;
            reader.temper = u64::MAX;
        }
        self.disk.heal();
        let until = self.now_ms + QUIET_MS;
        while self.now_ms < until {
            self.now_ms += 100;
            self.turn_disk()?;
            for core in 0..self.weather.cores {
                self.turn(core)?;
            }
        }
        Ok(())
    }

    /// One turn of one core: what came over the links, what time brings, and the flush.
    fn turn(&mut self, core: u16) -> Result<(), Broken> {
        for from in 0..self.weather.cores {
            while let Some(message) = self.arrived(from, core) {
                self.hub(core, Input::Link { from, message })?;
            }
        }
        let due = self.shards[usize::from(core)].deadline_ms();
        if due.is_some_and(|due| due <= self.now().mono_ms) {
            self.hub(core, Input::Tick)?;
        }
        self.stall(core)?;
        self.flush(core)
    }

    fn arrived(&mut self, from: u16, to: u16) -> Option<LinkMessage> {
        let link = self.links.get_mut(&(from, to))?;
        let (at, _) = link.front()?;
        if *at > self.now_ms {
            return None;
        }
        link.pop_front().map(|(_, message)| message)
    }

    pub(crate) fn now(&self) -> Now {
        // The monotonic clock begins near Unix time, as `Message::born_ms` wants it.
        let ms = 1_700_000_000_000 + self.now_ms;
        Now {
            mono_ms: ms,
            unix_ms: ms,
        }
    }

    pub(crate) fn hub(&mut self, core: u16, input: Input) -> Result<(), Broken> {
        self.note_said(core, &input);
        let mut outputs = Vec::new();
        let now = self.now();
        self.shards[usize::from(core)].handle(input, now, &mut outputs);
        for output in outputs {
            self.settle(core, output)?;
        }
        Ok(())
    }

    pub(crate) fn settle(&mut self, core: u16, output: Output) -> Result<(), Broken> {
        match output {
            Output::Deliver { room } => {
                self.dirty[usize::from(core)].insert(room);
            }
            Output::Link { to, message } => self.send(core, to, message),
            Output::Presence { room, change } => {
                for (conn, name) in self.watchers(core, room) {
                    if let Some(view) = self.view(core, conn, &name) {
                        view.presence(&change);
                    }
                }
            }
            Output::Close { conn, .. } => self.disconnect(core, conn)?,
            Output::Gap {
                conn,
                room,
                after,
                at,
            } => self.gap(core, conn, room, after, at)?,
            Output::Joined {
                conn,
                ticket,
                room: _,
                name,
                at,
                after,
                recovery,
                roster,
                state,
            } => {
                let reader = self.alive(core, conn)?;
                let Some(Asked::Join(asked, start, watch)) = reader.asked.remove(&ticket) else {
                    return Err(Broken("an answer to a join that nobody asked for".into()));
                };
                if asked != name.as_str() {
                    return Err(Broken(format!("asked for {asked}, got into {name}")));
                }
                // Joining again changes nothing in what one hears.
                if let Entry::Vacant(place) = reader.views.entry(asked) {
                    let mut view =
                        View::joined(start, at, after, recovery, roster.as_ref(), watch)?;
                    view.holds(state.as_deref());
                    place.insert(view);
                }
            }
            Output::Left { conn, ticket, room } => {
                let reader = self.alive(core, conn)?;
                reader.asked.remove(&ticket);
                reader.views.remove(room.as_str());
            }
            Output::Expelled { conn, room } => {
                self.report.expulsions += 1;
                let views = &mut self.alive(core, conn)?.views;
                if views.remove(room.as_str()).is_none() {
                    return Err(Broken(format!("expelled from {room} without being there")));
                }
            }
            Output::Published {
                conn,
                ticket,
                at,
                duplicate,
            } => {
                let reader = self.alive(core, conn)?;
                let Some(Asked::Publish(room, bodies)) = reader.asked.remove(&ticket) else {
                    return Err(Broken("an acknowledgement that nobody waits for".into()));
                };
                self.report.publishes += u64::from(!duplicate);
                let room = RoomName::parse(&room).map_err(|error| Broken(error.to_string()))?;
                let first = at.offset + 1 - bodies.len() as u64;
                for (offset, body) in (first..).zip(&bodies) {
                    self.truth.record(&room, Position { offset, ..at }, body)?;
                }
                self.truth.acknowledged(&room, at);
            }
            Output::Said { conn, ticket } => {
                let reader = self.alive(core, conn)?;
                if !matches!(reader.asked.remove(&ticket), Some(Asked::Say)) {
                    return Err(Broken("said is what nobody asked to say".into()));
                }
            }
            Output::History { conn, ticket, page } => {
                let reader = self.alive(core, conn)?;
                reader.asked.remove(&ticket);
                for message in &page.messages {
                    let at = Position {
                        epoch: page.at.epoch,
                        offset: message.offset,
                    };
                    self.truth.record(&page.room, at, message.body.bytes())?;
                }
            }
            Output::State {
                conn,
                ticket,
                state,
            } => {
                let reader = self.alive(core, conn)?;
                reader.asked.remove(&ticket);
                if let Some(view) = reader.views.get(state.room.as_str()) {
                    view.agrees(&state)
                        .map_err(|broken| Broken(format!("in {}: {broken}", state.room)))?;
                }
            }
            Output::Store { request } => {
                let store_ms_max = self.weather.store_ms_max.unwrap_or(1);
                let at_ms = self.now_ms + self.random.below(store_ms_max);
                self.disk.ask(core, request, at_ms);
            }
            Output::Who {
                conn,
                ticket,
                room,
                roster,
            } => {
                let reader = self.alive(core, conn)?;
                let at_rest = matches!(reader.asked.remove(&ticket), Some(Asked::Check));
                if let Some(view) = reader.views.get(room.as_str()).filter(|_| at_rest) {
                    view.agrees_who(&roster)
                        .map_err(|broken| Broken(format!("in {room}: {broken}")))?;
                }
            }
            Output::Refused { conn, ticket, .. } => {
                self.report.refusals += 1;
                self.alive(core, conn)?.asked.remove(&ticket);
            }
        }
        Ok(())
    }

    fn send(&mut self, from: u16, to: u16, message: LinkMessage) {
        let arrives = self.now_ms + self.random.below(self.weather.delay_ms_max);
        let link = self.links.entry((from, to)).or_default();
        // In order: nothing overtakes what was sent before.
        let arrives = link.back().map_or(arrives, |(last, _)| arrives.max(*last));
        link.push_back((arrives, message));
    }

    /// What the server does at the end of a turn.
    fn flush(&mut self, core: u16) -> Result<(), Broken> {
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

    fn gap(
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
    fn stall(&mut self, core: u16) -> Result<(), Broken> {
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

    fn disconnect(&mut self, core: u16, conn: ConnId) -> Result<(), Broken> {
        if self.readers[usize::from(core)].remove(&conn.slot).is_some() {
            self.report.disconnects += 1;
            let farewell = Farewell::Said;
            self.hub(core, Input::Close { conn, farewell })?;
        }
        Ok(())
    }

    /// Somebody comes, goes, joins, leaves, speaks or asks.
    fn act(&mut self, core: u16) -> Result<(), Broken> {
        let slot = u32::try_from(self.random.below(self.weather.conns_per_core)).unwrap_or(0);
        let Some(conn) = self.readers[usize::from(core)]
            .get(&slot)
            .map(|reader| reader.conn)
        else {
            return self.come(core, slot);
        };
        let room = (*self.random.pick(&ROOMS).unwrap_or(&"resume")).to_owned();
        let name = RoomName::parse(&room).map_err(|error| Broken(error.to_string()))?;
        if self.regrants && self.random.once_in(10) {
            return self.regrant(core, conn, &room);
        }
        match self.random.below(20) {
            0 => self.vanish(core, conn),
            1..=5 => self.join(core, conn, room, name),
            6 | 7 => {
                let farewell = self.farewell();
                let ticket = self.alive(core, conn)?.ask(Asked::Leave(room));
                self.hub(
                    core,
                    Input::Leave {
                        conn,
                        ticket,
                        room: name,
                        farewell,
                    },
                )
            }
            8 => {
                let ticket = self.alive(core, conn)?.ask(Asked::Other);
                let start = Start::Rewind(5);
                self.hub(
                    core,
                    Input::Read {
                        conn,
                        ticket,
                        room: name,
                        range: Range::from(start, 10),
                    },
                )
            }
            9 => {
                let ticket = self.alive(core, conn)?.ask(Asked::Other);
                self.hub(
                    core,
                    Input::Who {
                        conn,
                        ticket,
                        room: name,
                        counts: false,
                    },
                )
            }
            10 => {
                let display: Arc<str> = format!("n{}", self.random.below(30)).into();
                self.alive(core, conn)?.name = display.to_string();
                self.hub(
                    core,
                    Input::Rename {
                        conn,
                        name: display,
                    },
                )
            }
            11 | 12 => {
                for _ in 0..1 + self.random.below(8) {
                    self.say_latest(core, conn, &name, 8)?;
                }
                Ok(())
            }
            _ => self.publish(core, conn, &room, &name),
        }
    }

    fn come(&mut self, core: u16, slot: u32) -> Result<(), Broken> {
        self.generation += 1;
        let conn = ConnId {
            slot,
            generation: self.generation,
        };
        let name = format!("n{}", self.random.below(30));
        let temper = *self.random.pick(&[u64::MAX, 100, 10, 2]).unwrap_or(&10);
        self.readers[usize::from(core)].insert(slot, Reader::new(conn, name, temper));
        self.hub(core, Input::Open { conn })
    }

    /// A right to be in a room is taken away, or all are given back.
    fn regrant(&mut self, core: u16, conn: ConnId, room: &str) -> Result<(), Broken> {
        let mut rules = Grant::open().rules().to_vec();
        if self.random.once_in(2) {
            rules.push(GrantRule {
                pattern: Pattern::parse(room).map_err(|error| Broken(error.to_string()))?,
                allowed: Rights::NONE,
                denied: Rights::ALL,
                source: "taken away".into(),
            });
        }
        let grant = Grant::new(rules).map_err(|error| Broken(error.to_string()))?;
        let input = Input::Granted {
            conn,
            user: None,
            grant: Arc::new(grant),
        };
        self.hub(core, input)
    }

    fn vanish(&mut self, core: u16, conn: ConnId) -> Result<(), Broken> {
        self.readers[usize::from(core)].remove(&conn.slot);
        let farewell = self.farewell();
        self.hub(core, Input::Close { conn, farewell })
    }

    fn farewell(&mut self) -> Farewell {
        if self.random.once_in(2) {
            Farewell::Said
        } else {
            Farewell::Vanished
        }
    }

    fn join(
        &mut self,
        core: u16,
        conn: ConnId,
        room: String,
        name: RoomName,
    ) -> Result<(), Broken> {
        let start = match self.random.below(6) {
            0 => Start::Now,
            1 => Start::Rewind(u32::try_from(self.random.below(30)).unwrap_or(0)),
            2 => Start::After(Position::UNKNOWN),
            3 => Start::RewindMs(self.random.below(3_000)),
            _ => Start::After(Position {
                epoch: self.truth.epoch(&room),
                offset: self.random.below(60 + self.truth.last(&room)),
            }),
        };
        let watch = *self
            .random
            .pick(&[Watch::Nothing, Watch::Counts, Watch::Users])
            .unwrap_or(&Watch::Nothing);
        let data = self.random.once_in(2).then(|| {
            let seat = self.random.below(3);
            Bytes::from(seat.to_string())
        });
        let state = self.random.once_in(2);
        let reader = self.alive(core, conn)?;
        let view = reader.views.get(&room);
        // A second join says something else of its user; it leaves what is watched as it is, since the picture is checked from the first one on.
        let (start, watch, state) = match view {
            Some(view) => (Start::Now, view.watch(), false),
            None => (start, watch, state),
        };
        if reader.asked.values().any(
            |asked| matches!(asked, Asked::Join(other, ..) | Asked::Leave(other) if *other == room),
        ) {
            return Ok(());
        }
        let display: Arc<str> = reader.name.as_str().into();
        let ticket = reader.ask(Asked::Join(room, start, watch));
        let join = Join {
            name: display,
            door: Door("sim"),
            start,
            presence: watch,
            data,
            state,
        };
        self.hub(
            core,
            Input::Join {
                conn,
                ticket,
                room: name,
                join,
            },
        )
    }

    fn publish(
        &mut self,
        core: u16,
        conn: ConnId,
        room: &str,
        name: &RoomName,
    ) -> Result<(), Broken> {
        for _ in 0..1 + self.random.below(8) {
            let from: Arc<str> = self.alive(core, conn)?.name.as_str().into();
            let count = if self.random.once_in(4) { 3 } else { 1 };
            // An idempotent publish says the same under the same id.
            let id = self.random.once_in(3).then(|| self.random.below(40));
            let drafts: Vec<Draft> = (0..count)
                .map(|index| self.draft(room, id, index, &from))
                .collect();
            let bodies = drafts
                .iter()
                .map(|draft| draft.body.bytes().to_vec())
                .collect();
            let reader = self.alive(core, conn)?;
            let ticket = reader.ask(Asked::Publish(room.to_owned(), bodies));
            let id: Option<Arc<str>> = id.map(|id| format!("{id} of {count}").into());
            let room = name.clone();
            let input = match <[Draft; 1]>::try_from(drafts) {
                Ok([draft]) => Input::Publish {
                    conn,
                    ticket,
                    room,
                    draft: Draft { id, ..draft },
                },
                Err(drafts) => Input::PublishBatch {
                    conn,
                    ticket,
                    room,
                    batch: Batch { id, drafts },
                },
            };
            self.hub(core, input)?;
        }
        Ok(())
    }

    fn draft(&mut self, room: &str, id: Option<u64>, index: u64, from: &Arc<str>) -> Draft {
        self.spoken += 1;
        let text = match id {
            Some(id) => format!("{room} id {id} {index}"),
            None => format!("{room} message {}", self.spoken),
        };
        // An id means the same message each time, so its kind too.
        let body = match id.unwrap_or(self.spoken) % 4 {
            0 => Body::Args(Bytes::from(format!("[\"{text}\"]\0\x01\0\0\0\0\0\0\0A"))),
            _ => Body::Text(Bytes::from(text)),
        };
        let mut draft = Draft::new(Arc::clone(from), Door("sim"), body);
        if id.is_none() && self.random.once_in(2) {
            draft.key = Some(format!("k{}", self.random.below(4)).into());
            draft.wish = match self.random.below(5) {
                0 => Wish::Delete,
                _ => Wish::Set {
                    ttl_ms: Some(self.random.below(5_000)),
                },
            };
            draft.expect = match self.random.below(6) {
                0 => Some(Expect::Absent),
                1 => Some(Expect::At(Position {
                    epoch: self.truth.epoch(room),
                    offset: self.truth.last(room),
                })),
                _ => None,
            };
        }
        draft
    }

    fn everybody_goes(&mut self) -> Result<(), Broken> {
        for core in 0..self.weather.cores {
            let conns: Vec<ConnId> = self.readers[usize::from(core)]
                .values()
                .map(|r| r.conn)
                .collect();
            for conn in conns {
                self.vanish(core, conn)?;
            }
        }
        Ok(())
    }

    /// At rest every request has been answered, every reader is at the head, every watcher sees who is there.
    fn check_quiet(&self) -> Result<(), Broken> {
        let mut present: BTreeMap<&str, BTreeMap<String, u32>> = BTreeMap::new();
        for (_, reader) in self.all() {
            if !reader.asked.is_empty() {
                return Err(Broken(format!("never answered: {:?}", reader.asked)));
            }
            for room in reader.views.keys() {
                let users = present.entry(room).or_default();
                *users.entry(reader.name.clone()).or_default() += 1;
            }
        }
        for (_, reader) in self.all() {
            for (room, view) in &reader.views {
                let head = self.head(room)?;
                view.converged(head, &present[room.as_str()])
                    .map_err(|broken| Broken(format!("in {room}: {broken}")))?;
            }
        }
        Ok(())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (u16, &Reader)> {
        (0..self.weather.cores)
            .zip(&self.readers)
            .flat_map(|(core, readers)| readers.values().map(move |reader| (core, reader)))
    }

    fn head(&self, room: &str) -> Result<u64, Broken> {
        let name = RoomName::parse(room).map_err(|error| Broken(error.to_string()))?;
        let home = self.shards.first().map_or(0, |shard| shard.home_of(&name));
        let shard = &self.shards[usize::from(home)];
        shard
            .find(&name)
            .and_then(|id| shard.room(id))
            .map(|room| room.log().head())
            .ok_or_else(|| Broken(format!("{room} has members and no home")))
    }

    /// At rest what a member made of snapshot and changes is what is set, and who is there.
    fn check_states(&mut self) -> Result<(), Broken> {
        for core in 0..self.weather.cores {
            let asking: Vec<(ConnId, String)> = self.readers[usize::from(core)]
                .values()
                .flat_map(|reader| reader.views.keys().map(|room| (reader.conn, room.clone())))
                .collect();
            for (conn, room) in asking {
                let room = RoomName::parse(&room).map_err(|error| Broken(error.to_string()))?;
                let reader = self.alive(core, conn)?;
                let (ticket, check) = (reader.ask(Asked::Other), reader.ask(Asked::Check));
                let input = Input::ReadState {
                    conn,
                    ticket,
                    room: room.clone(),
                    key: None,
                };
                self.hub(core, input)?;
                let input = Input::Who {
                    conn,
                    ticket: check,
                    room,
                    counts: false,
                };
                self.hub(core, input)?;
            }
        }
        self.rest()
    }

    /// When all have gone and time has passed, nothing is left of them.
    fn check_empty(&self) -> Result<(), Broken> {
        for (core, shard) in self.shards.iter().enumerate() {
            if shard.latest_bytes() > 0
                || shard.rooms_len() > 0
                || shard.log_bytes() > 0
                || shard.pending_bytes() > 0
            {
                return Err(Broken(format!(
                    "core {core} still holds {} rooms and {} bytes",
                    shard.rooms_len(),
                    shard.log_bytes()
                )));
            }
        }
        Ok(())
    }

    /// A log holds at most its history, what lies within the lag limit, and what other cores have not taken.
    fn check_bound(&self, core: u16, id: RoomId) -> Result<(), Broken> {
        let Some(room) = self.shards[usize::from(core)].room(id) else {
            return Ok(());
        };
        let policy = room.policy();
        let limits = self.weather.settings[usize::from(core)].limits;
        let most = policy
            .history
            .bytes_max
            .max(policy.lag.bytes_max)
            .max(limits.relay_bytes_max)
            + 2 * (u64::from(policy.message_bytes_max) + taut_hub::MESSAGE_OVERHEAD_BYTES + 64);
        if room.log().cost_bytes() > most {
            return Err(Broken(format!(
                "{} holds {} bytes, more than {most}",
                room.name(),
                room.log().cost_bytes()
            )));
        }
        Ok(())
    }

    fn watchers(&self, core: u16, id: RoomId) -> Vec<(ConnId, String)> {
        self.shards[usize::from(core)]
            .room(id)
            .map_or_else(Vec::new, |room| {
                room.members()
                    .iter()
                    .filter(|member| member.presence.is_on())
                    .map(|member| (member.conn, room.name().as_str().to_owned()))
                    .collect()
            })
    }

    pub(crate) fn room_name(&self, core: u16, id: RoomId) -> Result<RoomName, Broken> {
        self.shards[usize::from(core)]
            .room(id)
            .map(|room| room.name().clone())
            .ok_or_else(|| {
                Broken(format!(
                    "core {core} speaks of a room that it does not have"
                ))
            })
    }

    /// The Conn that is answered; nothing may be said to one that has gone.
    pub(crate) fn alive(&mut self, core: u16, conn: ConnId) -> Result<&mut Reader, Broken> {
        self.readers[usize::from(core)]
            .get_mut(&conn.slot)
            .filter(|reader| reader.conn == conn)
            .ok_or_else(|| Broken(format!("core {core} speaks to {conn:?}, which is gone")))
    }

    pub(crate) fn view(&mut self, core: u16, conn: ConnId, room: &str) -> Option<&mut View> {
        self.readers[usize::from(core)]
            .get_mut(&conn.slot)
            .filter(|reader| reader.conn == conn)?
            .views
            .get_mut(room)
    }
}
