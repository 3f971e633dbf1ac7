//! The lane `latest` in a game: what is said on it, who hears what, and that nothing of it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    Ask, Body, ConnId, Door, Draft, Input, Lane, LinkMessage, Membership, Message, Origin, Right,
    RoomName,
};

use crate::check::{Broken, Sabotage};
use crate::reader::Asked;
use crate::weather::ROOMS;
use crate::world::World;

/// What a message is the newest of: its key, else its event.
type Label = (Option<String>, Option<String>);

/// What was said on the lane, in the order in which the homes took it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    count: u64,
    /// By room and body, each of which is said once.
    places: BTreeMap<(String, Vec<u8>), u64>,
    /// The newest of each room and label that was said when all was quiet, and who said it.
    newest: BTreeMap<(String, Label), (u64, Origin)>,
}

/// What one Conn has heard of one room on the lane: the newest of each label.
#[derive(Debug, Default)]
pub(crate) struct Heard(BTreeMap<Label, u64>);

impl Heard {
    fn hear(&mut self, label: Label, place: u64) -> Result<(), Broken> {
        match self.0.insert(label, place) {
            Some(last) if last >= place => Err(Broken(format!(
                "on the lane latest number {place} came after {last} of the same label"
            ))),
            _ => Ok(()),
        }
    }
}

fn label_of(message: &Message) -> Label {
    match &message.key {
        Some(key) => (Some(key.to_string()), None),
        None => (None, Some(message.event().to_owned())),
    }
}

impl World {
    /// A Conn says something on the lane.
    pub(crate) fn say_latest(
        &mut self,
        core: u16,
        conn: ConnId,
        room: &RoomName,
        labels: u64,
    ) -> Result<(), Broken> {
        self.spoken += 1;
        let text = format!("{room} latest {}", self.spoken);
        let from: Arc<str> = self.alive(core, conn)?.name.as_str().into();
        let mut draft = Draft::new(from, Door("sim"), Body::Text(Bytes::from(text)));
        draft.lane = Lane::Latest;
        let label = self.random.below(labels);
        if label.is_multiple_of(2) {
            draft.key = Some(format!("k{label}").into());
        } else {
            draft.event = Some(format!("e{label}").into());
        }
        let ticket = self.alive(core, conn)?.ask(Asked::Say);
        let room = room.clone();
        self.hub(
            core,
            Input::Publish {
                conn,
                ticket,
                room,
                draft,
            },
        )
    }

    /// Notes what a home is about to take.
    pub(crate) fn note_said(&mut self, core: u16, input: &Input) {
        let (room, draft, origin) = match input {
            Input::Publish {
                conn, room, draft, ..
            } => (room, draft, Origin { core, conn: *conn }),
            Input::Link {
                from,
                message:
                    LinkMessage::Ask {
                        conn,
                        room,
                        ask: Ask::Publish { draft },
                        ..
                    },
            } => {
                let origin = Origin {
                    core: *from,
                    conn: *conn,
                };
                (room, draft, origin)
            }
            _ => return,
        };
        let shard = &self.shards[usize::from(core)];
        // Who may not say it says nothing; what comes over a link was allowed where its Conn is.
        if origin.core == core && !shard.allows(origin.conn, room, Right::Publish) {
            return;
        }
        if draft.lane != Lane::Latest || self.shards[usize::from(core)].home_of(room) != core {
            return;
        }
        let said = &mut self.said;
        said.count += 1;
        let body = draft.body.bytes().to_vec();
        said.places
            .insert((room.as_str().to_owned(), body), said.count);
        let event = draft.event.as_deref().unwrap_or("message").to_owned();
        let label = match &draft.key {
            Some(key) => (Some(key.to_string()), None),
            None => (None, Some(event)),
        };
        let newest = (said.count, origin);
        said.newest
            .insert((room.as_str().to_owned(), label), newest);
    }

    /// A reader takes what the lane of one room has for it.
    pub(crate) fn read_latest(
        &mut self,
        core: u16,
        conn: ConnId,
        at: Membership,
    ) -> Result<(), Broken> {
        loop {
            let mut outputs = Vec::new();
            let shard = &mut self.shards[usize::from(core)];
            let next = shard.next_latest(at.room, at.index, &mut outputs);
            for output in outputs {
                self.settle(core, output)?;
            }
            match next {
                Some(message) => self.hear_latest(core, conn, at, &message)?,
                None => return Ok(()),
            }
        }
    }

    fn hear_latest(
        &mut self,
        core: u16,
        conn: ConnId,
        at: Membership,
        message: &Message,
    ) -> Result<(), Broken> {
        let room = self.room_name(core, at.room)?;
        let key = (room.as_str().to_owned(), message.body.bytes().to_vec());
        let Some(place) = self.said.places.get(&key).copied() else {
            return Err(Broken(format!(
                "in {room} something came that nobody said: {message:?}"
            )));
        };
        self.report.latest += 1;
        if message.left_out() == Some(Origin { core, conn }) && room.as_str() != "echo" {
            return Err(Broken(format!("{conn:?} hears itself in {room}")));
        }
        let strikes = self.sabotage == Some(Sabotage::Stale) && self.random.once_in(50);
        let Some(view) = self.view(core, conn, room.as_str()) else {
            return Err(Broken(format!(
                "{room} spoke on the lane latest to a Conn that is not in it"
            )));
        };
        let label = label_of(message);
        let told = view.latest.hear(label.clone(), place);
        let told = match strikes {
            true => told.and_then(|()| view.latest.hear(label, place - 1)),
            false => told,
        };
        told.map_err(|broken| Broken(format!("core {core}, {conn:?} in {room}: {broken}")))
    }

    /// When all is quiet, what is said on the lane reaches everybody.
    pub(crate) fn check_latest(&mut self) -> Result<(), Broken> {
        self.said.newest.clear();
        for name in ROOMS {
            let room = RoomName::parse(name).map_err(|error| Broken(error.to_string()))?;
            for _ in 0..self.random.below(6) {
                let core = u16::try_from(self.random.below(u64::from(self.weather.cores)));
                let core = core.unwrap_or(0);
                let there = &self.readers[usize::from(core)];
                let conns: Vec<ConnId> = there.values().map(|reader| reader.conn).collect();
                if let Some(conn) = self.random.pick(&conns).copied() {
                    // No more labels than any weather has space for.
                    self.say_latest(core, conn, &room, 2)?;
                }
            }
        }
        self.rest()?;
        for (core, reader) in self.all() {
            for (room, view) in &reader.views {
                for ((said_in, label), (place, origin)) in &self.said.newest {
                    let own = *origin
                        == Origin {
                            core,
                            conn: reader.conn,
                        };
                    if said_in != room || (own && room != "echo") {
                        continue;
                    }
                    if view.latest.0.get(label) != Some(place) {
                        return Err(Broken(format!(
                            "in {room} {:?} heard {:?} last of {label:?}, and the newest is {place}",
                            reader.conn,
                            view.latest.0.get(label)
                        )));
                    }
                }
            }
        }
        self.check_nothing_pends()
    }

    /// Where everybody has had everything, the lane holds nothing.
    pub(crate) fn check_nothing_pends(&self) -> Result<(), Broken> {
        for (core, shard) in self.shards.iter().enumerate() {
            if shard.latest_bytes() > 0 {
                return Err(Broken(format!(
                    "core {core} holds {} bytes on the lane latest that nobody waits for",
                    shard.latest_bytes()
                )));
            }
        }
        Ok(())
    }

    /// What the lane of a room holds after a flush, and what all of them do.
    pub(crate) fn check_latest_bound(&self, core: u16, id: taut_hub::RoomId) -> Result<(), Broken> {
        let limits = &self.weather.settings[usize::from(core)].limits;
        let Some(room) = self.shards[usize::from(core)].room(id) else {
            return Ok(());
        };
        let Some(latest) = room.latest() else {
            return Ok(());
        };
        let labels: BTreeSet<Label> = latest
            .after(0)
            .map(|(_, message)| label_of(message))
            .collect();
        let is_over = latest.cost_bytes() > limits.latest_bytes_max && latest.len() > 1;
        if latest.len() > limits.latest_keys_max as usize || is_over || labels.len() < latest.len()
        {
            return Err(Broken(format!(
                "{} holds {} messages and {} bytes on the lane latest",
                room.name(),
                latest.len(),
                latest.cost_bytes()
            )));
        }
        Ok(())
    }
}
