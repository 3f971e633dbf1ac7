//! One game: its Shards, the links between them, its clock and its turns.

mod act;
mod serve;
mod settle;
mod verify;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use taut_hub::{ConnId, Input, LinkMessage, Now, RoomId, RoomName, Shard};

use crate::check::{Broken, Sabotage, Truth, View};
use crate::disk::Disk;
use crate::latest::Said;
use crate::random::Random;
use crate::reader::Reader;
use crate::weather::Weather;

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

    pub(crate) fn all(&self) -> impl Iterator<Item = (u16, &Reader)> {
        (0..self.weather.cores)
            .zip(&self.readers)
            .flat_map(|(core, readers)| readers.values().map(move |reader| (core, reader)))
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
