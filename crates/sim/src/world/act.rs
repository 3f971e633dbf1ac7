//! What Conns do: they come, join, speak, lose rights, go and vanish.

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    Batch, Body, ConnId, Door, Draft, Expect, Farewell, Grant, GrantRule, Input, Join, Pattern,
    Position, Range, Rights, RoomName, Start, Watch, Wish,
};

use super::World;
use crate::check::Broken;
use crate::reader::{Asked, Reader};
use crate::weather::ROOMS;

impl World {
    /// Somebody comes, goes, joins, leaves, speaks or asks.
    pub(super) fn act(&mut self, core: u16) -> Result<(), Broken> {
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

    pub(super) fn disconnect(&mut self, core: u16, conn: ConnId) -> Result<(), Broken> {
        if self.readers[usize::from(core)].remove(&conn.slot).is_some() {
            self.report.disconnects += 1;
            let farewell = Farewell::Said;
            self.hub(core, Input::Close { conn, farewell })?;
        }
        Ok(())
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

    pub(super) fn everybody_goes(&mut self) -> Result<(), Broken> {
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
}
