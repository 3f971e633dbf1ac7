use std::collections::{BTreeMap, BTreeSet};

use taut_hub::{
    LagPolicy, Message, Position, PresenceChange, Present, Recovery, RoomName, Roster, Start,
};

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
}

/// Everything that was ever numbered: the same number must mean the same message to everybody.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    messages: BTreeMap<(String, Position), Vec<u8>>,
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

/// What one Conn has been told of one room.
#[derive(Debug)]
pub(crate) struct View {
    /// Everything up to here has come or been declared lost.
    cursor: u64,
    /// After a gap of the policy `conflate`: messages up to here may come with numbers left out.
    conflated_until: u64,
    presence: Option<Names>,
}

#[derive(Debug, Default)]
struct Names {
    ids: BTreeSet<String>,
    count: u32,
    /// A batch said only the count, so the list is not whole.
    partial: bool,
}

impl View {
    /// The hub has let the Conn in: what it promises from here on.
    pub(crate) fn joined(
        start: Start,
        at: Position,
        after: Position,
        recovery: Recovery,
        roster: Option<&Roster>,
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
        let presence = roster.map(|roster| Names {
            ids: roster.members.iter().map(id).collect(),
            count: roster.count,
            partial: roster.members.len() < roster.count as usize,
        });
        Ok(Self {
            cursor: after.offset,
            conflated_until: after.offset,
            presence,
        })
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
        if policy == LagPolicy::Conflate {
            self.conflated_until = at.offset;
        } else {
            self.cursor = at.offset;
        }
        Ok(())
    }

    pub(crate) fn presence(&mut self, change: &PresenceChange) {
        if let Some(names) = &mut self.presence {
            if change.joined.is_empty() && change.left.is_empty() {
                names.partial = true;
            }
            for present in &change.left {
                names.ids.remove(&id(present));
            }
            for present in &change.joined {
                names.ids.insert(id(present));
            }
            names.count = change.count;
        }
    }

    /// When all is quiet: every message has come, and the picture of who is here is true.
    pub(crate) fn converged(&self, head: u64, present: &BTreeSet<String>) -> Result<(), Broken> {
        if self.cursor.max(self.conflated_until) != head {
            return Err(Broken(format!(
                "a reader rests at {} although the head is {head}",
                self.cursor
            )));
        }
        match &self.presence {
            Some(names) if names.count as usize != present.len() => Err(Broken(format!(
                "a watcher counts {} of {}",
                names.count,
                present.len()
            ))),
            Some(names) if !names.partial && names.ids != *present => Err(Broken(format!(
                "a watcher sees {:?} where {present:?} are",
                names.ids
            ))),
            _ => Ok(()),
        }
    }
}

/// How presence names a Conn here: who it is and under which name.
pub(crate) fn id(present: &Present) -> String {
    name_id(present.origin, &present.name)
}

pub(crate) fn name_id(origin: taut_hub::Origin, name: &str) -> String {
    format!(
        "{}/{}/{} {name}",
        origin.core, origin.conn.slot, origin.conn.generation
    )
}
