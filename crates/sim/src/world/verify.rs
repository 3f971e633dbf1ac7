//! What must hold: at rest, when nobody is left, and of the size of a log at any time.

use std::collections::BTreeMap;

use taut_hub::{ConnId, Input, RoomId, RoomName};

use super::World;
use crate::check::Broken;
use crate::reader::Asked;

impl World {
    /// At rest every request has been answered, every reader is at the head, every watcher sees who is there.
    pub(super) fn check_quiet(&self) -> Result<(), Broken> {
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

    /// At rest what a member made of snapshot and changes is what is set, and who is there.
    pub(super) fn check_states(&mut self) -> Result<(), Broken> {
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
    pub(super) fn check_empty(&self) -> Result<(), Broken> {
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
    pub(super) fn check_bound(&self, core: u16, id: RoomId) -> Result<(), Broken> {
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

    pub(super) fn watchers(&self, core: u16, id: RoomId) -> Vec<(ConnId, String)> {
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
}
