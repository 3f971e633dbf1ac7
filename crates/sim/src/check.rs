use std::collections::BTreeMap;
use std::sync::Arc;

use taut_hub::{
    Effect, Epoch, Kept, LagPolicy, Message, Position, PresenceChange, Recovery, RoomName, Roster,
    Start, State, User, Watch,
};

use crate::latest::Heard;

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// A fault put between hub and checker on purpose, to show that the checker notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Lose a message on its way to a reader.
    Lose,
    /// Bring one twice.
    Repeat,
    /// Bring one with another's content.
    Forge,
    /// Bring an older one of the lane `latest` after a newer.
    Stale,
}

/// Everything that was ever numbered: the same number must mean the same message to everybody.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    messages: BTreeMap<(String, Position), Vec<u8>>,
    rooms: BTreeMap<String, Known>,
}

/// What was promised of a room.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    /// The newest position that was acknowledged.
    acknowledged: Option<Position>,
    /// The offset of the oldest message that retention has left.
    first: u64,
}

impl Truth {
    /// A message was acknowledged, or seen, at a position.
    pub(crate) fn record(
        &mut self,
        room: &RoomName,
        at: Position,
        body: &[u8],
    ) -> Result<(), Broken> {
        let key = (room.as_str().to_owned(), at);
        let known = self.messages.entry(key).or_insert_with(|| body.to_vec());
        if known == body {
            return Ok(());
        }
        Err(Broken(format!(
            "{room} {at} is both {:?} and {:?}",
            String::from_utf8_lossy(known),
            String::from_utf8_lossy(body)
        )))
    }
}

impl Truth {
    /// A publish was acknowledged at a position.
    pub(crate) fn acknowledged(&mut self, room: &RoomName, at: Position) {
        let known = self.rooms.entry(room.as_str().to_owned()).or_default();
        match known.acknowledged {
            Some(last) if last.epoch == at.epoch && last.offset >= at.offset => {}
            _ => known.acknowledged = Some(at),
        }
    }

    /// Retention has forgotten what lies before `first`.
    pub(crate) fn forgotten(&mut self, room: &RoomName, first: u64) {
        self.rooms
            .entry(room.as_str().to_owned())
            .or_default()
            .first = first;
    }

    /// The epoch in which something was acknowledged last; one that nobody has before that.
    pub(crate) fn epoch(&self, room: &str) -> Epoch {
        let last = self.rooms.get(room).and_then(|known| known.acknowledged);
        last.map_or(Epoch(7), |last| last.epoch)
    }

    /// The newest offset that was acknowledged.
    pub(crate) fn last(&self, room: &str) -> u64 {
        let last = self.rooms.get(room).and_then(|known| known.acknowledged);
        last.map_or(0, |last| last.offset)
    }

    /// Whether a store has what was promised.
    pub(crate) fn is_kept(&self, room: &RoomName, kept: Option<&Kept>) -> Result<(), Broken> {
        let known = self.rooms.get(room.as_str()).copied().unwrap_or_default();
        let Some(last) = known.acknowledged else {
            return Ok(());
        };
        let Some(kept) = kept.filter(|kept| kept.epoch == last.epoch) else {
            // A room that holds nothing any more may be numbered anew.
            return match known.first > last.offset {
                true => Ok(()),
                false => Err(Broken(format!(
                    "{room} {last} was acknowledged and is gone"
                ))),
            };
        };
        if kept.head < last.offset {
            return Err(Broken(format!(
                "{room} {last} was acknowledged, and the store stands at {}",
                kept.head
            )));
        }
        for (due, message) in (kept.first..).zip(&kept.tail) {
            let at = Position {
                epoch: kept.epoch,
                offset: message.offset,
            };
            let said = self.messages.get(&(room.as_str().to_owned(), at));
            let other = said.is_some_and(|said| said != message.body.bytes());
            if message.offset != due || other {
                return Err(Broken(format!("{room} {at} is not kept as it was said")));
            }
        }
        Ok(())
    }
}

/// What one Conn has been told of one room.
#[derive(Debug)]
pub(crate) struct View {
    /// Everything up to here has come or been declared lost.
    cursor: u64,
    /// After a gap of the policy `conflate`: messages up to here may come with numbers left out.
    conflated_until: u64,
    presence: Option<Picture>,
    /// What came on the lane `latest`.
    pub(crate) latest: Heard,
    /// What is set, by key: where it was set last. `None` where the view is not whole.
    state: Option<BTreeMap<String, u64>>,
}

/// What a watcher made of roster and presence.
#[derive(Debug, Default)]
struct Picture {
    users: BTreeMap<String, Profile>,
    count: u32,
    conns: u32,
    /// It watches only the counts, or a batch said no more: the list is not whole.
    partial: bool,
    watch: Watch,
}

/// What it knows of one user: over how many connections, and what that says of itself.
type Profile = (u32, Option<Vec<u8>>);

impl View {
    /// The hub has let the Conn in: what it promises from here on.
    pub(crate) fn joined(
        start: Start,
        at: Position,
        after: Position,
        recovery: Recovery,
        roster: Option<&Roster>,
        watch: Watch,
    ) -> Result<Self, Broken> {
        let fits = match (start, recovery) {
            (Start::Now, Recovery::Complete) => after == at,
            (Start::RewindMs(_), Recovery::Complete) => after.offset <= at.offset,
            (Start::Rewind(count), Recovery::Complete) => {
                after.offset <= at.offset && at.offset - after.offset <= u64::from(count)
            }
            (Start::After(position), Recovery::Complete) => after == position,
            (Start::After(position), Recovery::From(from)) => after == from && after != position,
            (_, Recovery::From(_)) => false,
        };
        if !fits || after.offset > at.offset {
            return Err(Broken(format!(
                "asked for {start:?}, got after {after}, at {at}, {recovery:?}"
            )));
        }
        if watch == Watch::Counts && roster.is_some_and(|roster| !roster.members.is_empty()) {
            return Err(Broken("counts were asked for, and names came".to_owned()));
        }
        let presence = roster.map(|roster| Picture {
            users: roster.members.iter().map(profile).collect(),
            count: roster.count,
            conns: roster.conns,
            partial: roster.members.len() < roster.count as usize,
            watch,
        });
        Ok(Self {
            cursor: after.offset,
            conflated_until: after.offset,
            presence,
            latest: Heard::default(),
            state: None,
        })
    }

    /// What the Conn watches.
    pub(crate) fn watch(&self) -> Watch {
        let picture = self.presence.as_ref();
        picture.map_or(Watch::Nothing, |picture| picture.watch)
    }

    /// The snapshot that the Conn got with its join.
    pub(crate) fn holds(&mut self, state: Option<&[Arc<Message>]>) {
        self.state = state.map(|entries| {
            entries
                .iter()
                .filter_map(|message| Some((message.key.as_deref()?.to_owned(), message.offset)))
                .collect()
        });
    }

    /// What the home says is set must be what snapshot and changes came to.
    pub(crate) fn agrees(&self, state: &State) -> Result<(), Broken> {
        let Some(held) = &self.state else {
            return Ok(());
        };
        let said: BTreeMap<String, u64> = state
            .entries
            .iter()
            .filter_map(|message| Some((message.key.as_deref()?.to_owned(), message.offset)))
            .collect();
        if *held == said {
            return Ok(());
        }
        Err(Broken(format!(
            "a member made {held:?} of the state, which is {said:?}"
        )))
    }

    fn apply(&mut self, message: &Message) {
        let (Some(state), Some(key)) = (&mut self.state, message.key.as_deref()) else {
            return;
        };
        match message.effect {
            Effect::None => {}
            Effect::Set { .. } => {
                state.insert(key.to_owned(), message.offset);
            }
            Effect::Deleted | Effect::Expired => {
                state.remove(key);
            }
        }
    }

    pub(crate) fn message(&mut self, message: &Message) -> Result<(), Broken> {
        // What lay before a gap is said to be lost; under `conflate` the newest of it may still come.
        let next = message.offset == self.cursor + 1 || message.offset == self.conflated_until + 1;
        let conflated = message.offset > self.cursor && message.offset <= self.conflated_until;
        if !next && !conflated {
            return Err(Broken(format!(
                "message {} came after {} without a gap being said",
                message.offset, self.cursor
            )));
        }
        self.cursor = message.offset;
        self.apply(message);
        Ok(())
    }

    pub(crate) fn gap(
        &mut self,
        after: Position,
        at: Position,
        policy: LagPolicy,
    ) -> Result<(), Broken> {
        let stands = after.offset == self.cursor || after.offset == self.conflated_until;
        if !stands || at.offset <= after.offset {
            return Err(Broken(format!(
                "a gap from {after} to {at} was said to a reader at {} or {}",
                self.cursor, self.conflated_until
            )));
        }
        self.state = None;
        if policy == LagPolicy::Conflate {
            self.conflated_until = at.offset;
        } else {
            self.cursor = at.offset;
        }
        Ok(())
    }

    pub(crate) fn presence(&mut self, change: &PresenceChange) {
        let Some(picture) = &mut self.presence else {
            return;
        };
        if picture.watch == Watch::Counts && !change.counts {
            return;
        }
        if change.joined.is_empty() && change.left.is_empty() && change.changed.is_empty() {
            picture.partial = true;
        }
        for user in &change.left {
            picture.users.remove(user.name.name());
        }
        let there = change.joined.iter().chain(&change.changed);
        picture.users.extend(there.map(profile));
        picture.count = change.count;
        picture.conns = change.conns;
    }

    /// When all is quiet: every message has come, and the picture of who is here is true.
    pub(crate) fn converged(
        &self,
        head: u64,
        present: &BTreeMap<String, u32>,
    ) -> Result<(), Broken> {
        if self.cursor.max(self.conflated_until) != head {
            return Err(Broken(format!(
                "a reader rests at {} although the head is {head}",
                self.cursor
            )));
        }
        let Some(picture) = &self.presence else {
            return Ok(());
        };
        let (users, conns) = (present.len(), present.values().sum::<u32>());
        if picture.count as usize != users || picture.conns != conns {
            return Err(Broken(format!(
                "a watcher counts {} over {} where {users} are over {conns}",
                picture.count, picture.conns
            )));
        }
        let seen = || picture.users.iter().map(|(name, (conns, _))| (name, conns));
        if !picture.is_partial() && !seen().eq(present) {
            return Err(Broken(format!(
                "a watcher sees {:?} where {present:?} are",
                picture.users
            )));
        }
        Ok(())
    }

    /// What the home says of who is there must be what roster and changes came to, down to what they say of themselves.
    pub(crate) fn agrees_who(&self, roster: &Roster) -> Result<(), Broken> {
        let Some(picture) = &self.presence else {
            return Ok(());
        };
        let said: BTreeMap<String, Profile> = roster.members.iter().map(profile).collect();
        if picture.is_partial() || picture.users == said {
            return Ok(());
        }
        Err(Broken(format!(
            "a watcher made {:?} of those present, who are {said:?}",
            picture.users
        )))
    }
}

impl Picture {
    fn is_partial(&self) -> bool {
        self.partial || self.watch == Watch::Counts
    }
}

fn profile(user: &User) -> (String, Profile) {
    let data = user.data.as_deref().map(<[u8]>::to_vec);
    (user.name.name().to_owned(), (user.conns_count, data))
}
