//! A room as one shard sees it: its log, its local members, and either the home's duties or a relay's.

mod durable;
mod home;
mod ids;
mod latest;
mod log;
mod news;
mod people;
mod relay;
mod roster;
mod short;
mod state;
mod users;

use std::sync::Arc;

use crate::conn::ConnId;
use crate::name::RoomName;
use crate::policy::{History, LagPolicy, RoomPolicy};
use crate::position::{Epoch, Position};

pub(crate) use durable::{Asker, Durable, Parked, Pending, Stage};
pub(crate) use home::{Home, RelayCursor};
pub(crate) use ids::{Seen, fingerprint};
pub use latest::Latest;
pub use log::Log;
pub(crate) use relay::Relay;
pub(crate) use state::Version;
pub use users::{PresenceChange, Present, Roster, USER_CONNS_LISTED, User, Watch};

/// A room's number in its shard, given to another room when this one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u32);

/// A Conn in a room: 24 bytes in a dense array that the fan-out walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The Conn.
    pub conn: ConnId,
    /// The offset of the last message that went to its socket, or was its own.
    pub cursor: u64,
    /// The same on the lane `latest`, by the numbers of [`Latest`].
    pub latest: u32,
    /// What it asked to hear of who comes and goes.
    pub presence: Watch,
    /// It made no progress for too long: the lag policy applies at its next read.
    pub lagging: bool,
    /// It has not reached the head since it joined: what it asked to be told is no lag.
    pub fresh: bool,
    /// It reads from a chunk, not from the log; or waits for one.
    pub catching_up: bool,
}

// The fan-out walks so many that a word more would show.
const _: () = assert!(size_of::<Member>() == 24);

impl Member {
    /// Whether it reads straight from `log`: the fan-out's fast path.
    #[must_use]
    pub fn is_direct(&self, log: &Log) -> bool {
        !self.catching_up && !self.lagging && self.cursor + 1 >= log.first()
    }
}

/// A room: its log, its local members, and what this shard is to it.
#[derive(Debug)]
pub struct Room {
    pub(crate) name: RoomName,
    pub(crate) policy: Arc<RoomPolicy>,
    pub(crate) epoch: Epoch,
    pub(crate) log: Log,
    /// What is pending on the lane `latest`, once it was used. Boxed: most rooms never have one.
    pub(crate) latest: Option<Box<Latest>>,
    pub(crate) members: Vec<Member>,
    pub(crate) role: Role,
    /// A [`Deliver`](crate::Output::Deliver) has been said and [`Shard::flushed`](crate::Shard::flushed) has not.
    pub(crate) dirty: bool,
    /// Touched since the eviction's hand last passed: a second chance.
    pub(crate) used: bool,
    /// When the shard looks after this room next.
    pub(crate) alarm_ms: Option<u64>,
    /// No reader within the lag limit stands before this offset.
    pub(crate) lowest: u64,
    /// The head when the last walk over the members began: what came since nobody could take, so it is no lag.
    pub(crate) walked: u64,
    /// How often a member took the place of one that left.
    pub(crate) moves: u32,
    /// When readers that could not be served are to try again.
    pub(crate) retry_ms: Option<u64>,
}

/// What a shard is to a room. Boxed, since most rooms of a large server are small.
#[derive(Debug)]
pub(crate) enum Role {
    Home(Box<Home>),
    Relay(Relay),
}

impl Room {
    pub(crate) fn new(name: RoomName, policy: Arc<RoomPolicy>, at: Position, role: Role) -> Self {
        Self {
            name,
            policy,
            epoch: at.epoch,
            log: Log::new(at.offset),
            latest: None,
            members: Vec::new(),
            role,
            dirty: false,
            used: true,
            alarm_ms: None,
            lowest: at.offset,
            walked: at.offset,
            moves: 0,
            retry_ms: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// Its policy.
    #[must_use]
    pub fn policy(&self) -> &Arc<RoomPolicy> {
        &self.policy
    }

    /// Which numbering its offsets belong to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its messages, as far as this shard keeps them.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The offset of the oldest message that a reader may have, in memory or in the store; one more than the head when there is none.
    pub(crate) fn oldest(&self) -> u64 {
        match &self.role {
            Role::Home(home) => match &home.durable {
                Some(durable) => durable.first.min(self.log.first()),
                None => self.log.first(),
            },
            Role::Relay(_) => self.log.first(),
        }
    }

    /// Changes whenever a member moves within [`Room::members`], wrapping: a walk that was stopped may have missed it.
    #[must_use]
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// The local members.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What the fan-out walks: the log, and the members whose cursors it moves.
    pub fn walk(&mut self) -> (&Log, &mut [Member]) {
        (&self.log, &mut self.members)
    }

    /// Position of `offset` here.
    #[must_use]
    pub fn position(&self, offset: u64) -> Position {
        Position {
            epoch: self.epoch,
            offset,
        }
    }

    /// The message at `offset` has gone to the member's socket, or was its own.
    pub fn sent(&mut self, index: u32, offset: u64) {
        let head = self.log.head();
        if let Some(member) = self.members.get_mut(index as usize) {
            member.cursor = member.cursor.max(offset);
            member.fresh &= member.cursor < head;
        }
    }

    /// Other cores that are still owed messages.
    pub fn relays_behind(&self) -> impl Iterator<Item = u16> + '_ {
        let (head, newest) = (self.log.head(), self.latest_newest());
        self.relays()
            .iter()
            .filter(move |relay| relay.sent < head || relay.latest < newest)
            .map(|relay| relay.core)
    }

    /// What every other core with members has got. Only the home knows.
    pub(crate) fn relays(&self) -> &[RelayCursor] {
        match &self.role {
            Role::Home(home) => &home.relays,
            Role::Relay(_) => &[],
        }
    }

    /// Whether the policy is to disconnect and the member is too far behind.
    #[must_use]
    pub fn overdue(&self, index: u32) -> bool {
        self.policy.lag.policy == LagPolicy::Disconnect
            && self
                .members
                .get(index as usize)
                .is_some_and(|member| !member.fresh && self.is_too_far(member.cursor))
    }

    /// Whether a reader at `cursor` is farther behind than the lag limit, as counted when the members were last walked. The newest message alone is
    /// never too far.
    pub(crate) fn is_too_far(&self, cursor: u64) -> bool {
        cursor + 1 < self.walked && self.lag_bytes(cursor) > self.policy.lag.bytes_max
    }

    /// How many bytes of messages that its members could have taken lie behind `cursor`.
    fn lag_bytes(&self, cursor: u64) -> u64 {
        let since = self.log.distance_bytes(self.walked);
        self.log.distance_bytes(cursor).saturating_sub(since)
    }

    /// Whether the member at `index` reads along with the room and is half the lag limit behind. If its socket takes more, that is the server's haste.
    #[must_use]
    pub fn is_left_behind(&self, index: u32) -> bool {
        self.members.get(index as usize).is_some_and(|member| {
            !member.fresh
                && member.is_direct(&self.log)
                && self.log.distance_bytes(member.cursor) > self.policy.lag.bytes_max / 2
        })
    }

    /// Whether the member at `index` is about to lose messages if it takes none: it is farther behind than half the lag limit, and farther than half of
    /// history where it may go on from there.
    #[must_use]
    pub fn is_about_to_lose(&self, index: u32) -> bool {
        let Some(member) = self.members.get(index as usize) else {
            return false;
        };
        let head = self.log.head();
        let Some(newest) = self.log.after(head.saturating_sub(1)).next() else {
            return false;
        };
        // What has left the log is taken to be as large as the newest.
        let behind = head.saturating_sub(member.cursor);
        let guessed_bytes = behind.saturating_mul(newest.cost_bytes());
        let bytes = self.log.distance_bytes(member.cursor).max(guessed_bytes);
        let (lag, history) = (self.policy.lag, self.policy.history);
        let goes_on = lag.policy == LagPolicy::Resume
            && behind <= u64::from(history.messages_max) / 2
            && bytes <= history.bytes_max / 2;
        !member.fresh && !member.lagging && bytes > lag.bytes_max / 2 && !goes_on
    }

    /// Whether half the lag limit has come since the last walk over the members that came to its end.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.log.distance_bytes(self.walked) > self.policy.lag.bytes_max / 2
    }

    /// Whether the other core is half the lag limit behind what its link took.
    #[must_use]
    pub fn outruns(&self, core: u16) -> bool {
        let relay = self.relays().iter().find(|relay| relay.core == core);
        relay.is_some_and(|relay| {
            self.log.distance_bytes(relay.sent) > self.policy.lag.bytes_max / 2
        })
    }

    /// Whether a member of a relay may read on from `offset` as one of the home may: what is on its way here has often left the home's history.
    fn is_on_its_way(&self, offset: u64) -> bool {
        let history = self.policy.history;
        matches!(self.role, Role::Relay(_))
            && self.policy.lag.policy == LagPolicy::Resume
            && self.log.head() - offset < u64::from(history.messages_max)
            && self.log.distance_bytes(offset) <= history.bytes_max
    }

    /// Whether another core needs `offset`. It reads whenever it can, so it may be farther behind than a member.
    fn is_owed(&self, offset: u64, relay_bytes_max: u64) -> bool {
        self.relays().iter().any(|relay| relay.sent < offset)
            && self.log.distance_bytes(offset) <= relay_bytes_max
    }

    /// Forgets what neither history, nor a reader within the lag limit, nor another core within `relay_bytes_max` needs; gives the bytes freed. Of a
    /// room that is kept, memory holds no more than `tail`: the store has the rest.
    pub(crate) fn trim(&mut self, now_ms: u64, tail: History, relay_bytes_max: u64) -> u64 {
        let mut freed = 0;
        while let Some(born_ms) = self.log.front_born_ms() {
            let (offset, age_ms) = (self.log.first(), now_ms.saturating_sub(born_ms));
            let kept = self.keeps_front(self.policy.history, age_ms);
            let held = !self.is_durable() || self.keeps_front(tail, age_ms);
            // The message that crosses the limit stays, so that a reader before it is seen to be too far.
            let is_needed = || {
                offset > self.lowest
                    && (!self.is_too_far(offset)
                        || self.is_on_its_way(offset)
                        || self.is_owed(offset, relay_bytes_max))
            };
            if (kept && held) || is_needed() {
                break;
            }
            freed += self.log.forget_front();
            if !kept {
                self.forget_before(offset + 1);
            }
        }
        let counted = u64::from(self.policy.history.messages_max);
        self.forget_before((self.log.head() + 1).saturating_sub(counted));
        freed
    }

    /// Whether those bounds keep the oldest message of the log, which is so old.
    fn keeps_front(&self, history: History, age_ms: u64) -> bool {
        // History is the home's; a relay keeps what is on its way.
        matches!(self.role, Role::Home(_))
            && self.log.len() as u64 <= u64::from(history.messages_max)
            && self.log.cost_bytes() <= history.bytes_max
            && age_ms <= history.age_ms_max
    }

    fn is_durable(&self) -> bool {
        matches!(&self.role, Role::Home(home) if home.durable.is_some())
    }

    /// What the store has before `first` is history no more, although retention may take a moment to come by.
    fn forget_before(&mut self, first: u64) {
        if let Role::Home(home) = &mut self.role
            && let Some(durable) = &mut home.durable
        {
            durable.first = durable.first.max(first);
        }
    }

    /// Recomputes which offset no reader stands before.
    pub(crate) fn look_for_lowest(&mut self) {
        let head = self.log.head();
        let members = self
            .members
            .iter()
            .filter(|member| !member.catching_up)
            .map(|member| member.cursor);
        let relays = self.relays().iter().map(|relay| relay.sent);
        self.lowest = members.chain(relays).min().unwrap_or(head).min(head);
    }
}
