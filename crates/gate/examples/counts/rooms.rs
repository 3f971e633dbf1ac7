//! Rooms take messages, and hand them out by cursor.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use taut_gate::{Encoder, Format};
use taut_hub::{
    Body, ConnId, Door, Draft, Epoch, Farewell, Grant, Input, Join, Limits, Now, Output, Policies,
    Room, RoomId, RoomName, RoomPolicy, Shard, ShardSettings, Start, Ticket, Watch,
};

use super::{PAYLOAD_BYTES, text, workload};

const NOW: Now = Now {
    mono_ms: 1_700_000_000_000,
    unix_ms: 1_700_000_000_000,
};
const MESSAGES: u32 = 100;

/// A shard with rooms and members, as one core has it, without sockets.
#[derive(Debug)]
pub(crate) struct House {
    shard: Shard,
    rooms: Vec<(RoomName, RoomId)>,
    from: Arc<str>,
    outputs: Vec<Output>,
    /// The bytes that the members of the room get, and from which offset on.
    window: Vec<u8>,
}

impl House {
    /// So many rooms in memory, with so many members in each.
    pub(crate) fn with_rooms(rooms: u32, members: u32) -> Self {
        let shard = Shard::new(ShardSettings {
            core: 0,
            cores: 1,
            seed: 1,
            epoch: Epoch(9),
            policies: Arc::new(Policies::new(RoomPolicy::default(), Vec::new())),
            anonymous: Arc::new(Grant::open()),
            limits: Limits::default(),
            has_store: false,
        });
        let mut house = Self {
            shard,
            rooms: Vec::new(),
            from: Arc::from("ada"),
            outputs: Vec::new(),
            window: Vec::new(),
        };
        for room in 0..rooms {
            let name = RoomName::parse(&format!("games/{room}")).unwrap();
            for member in 0..members {
                house.enter(conn(room * members + member), &name);
            }
            let id = house.shard.find(&name).unwrap();
            house.rooms.push((name, id));
        }
        house
    }

    /// The room of that number.
    pub(crate) fn room(&self, number: usize) -> &Room {
        self.shard.room(self.rooms[number].1).unwrap()
    }

    fn enter(&mut self, conn: ConnId, room: &RoomName) {
        let join = Join {
            name: Arc::clone(&self.from),
            door: Door("websocket"),
            start: Start::Now,
            presence: Watch::Nothing,
            data: None,
            state: false,
        };
        self.handle(Input::Open { conn });
        let ticket = Ticket(1);
        let room = room.clone();
        self.handle(Input::Join {
            conn,
            ticket,
            room,
            join,
        });
        assert!(matches!(self.outputs[..], [Output::Joined { .. }]));
    }

    fn leave(&mut self, conn: ConnId) {
        let farewell = Farewell::Said;
        self.handle(Input::Close { conn, farewell });
    }

    /// The first member of a room says something.
    pub(crate) fn publish(&mut self, room: usize, body: Body) {
        let members = self.room(room).members();
        let conn = members[0].conn;
        self.handle(Input::Publish {
            conn,
            ticket: Ticket(1),
            room: self.rooms[room].0.clone(),
            draft: Draft::new(Arc::clone(&self.from), Door("websocket"), body),
        });
        let taken = |output: &Output| matches!(output, Output::Published { .. });
        assert!(self.outputs.iter().any(taken));
    }

    /// What a turn does for a room: its messages are encoded once, and every member's cursor goes to the head.
    fn walk(&mut self, room: usize, encoder: &mut Encoder) {
        let id = self.rooms[room].1;
        let found = self.shard.room(id).unwrap();
        let (head, count) = (found.log().head(), found.members().len());
        self.window.clear();
        for message in found.log().after(found.members()[0].cursor) {
            encoder.encode(Format::Payload, found, message, &mut self.window);
        }
        for index in 0..count {
            let found = self.shard.room_mut(id).unwrap();
            let member = found.members()[index];
            if member.cursor < head && member.is_direct(found.log()) {
                black_box(&self.window);
                found.sent(index as u32, head);
            }
        }
        self.shard.flushed(id);
    }

    fn handle(&mut self, input: Input) {
        self.outputs.clear();
        self.shard.handle(input, NOW, &mut self.outputs);
    }
}

fn conn(slot: u32) -> ConnId {
    ConnId {
        slot,
        generation: 1,
    }
}

pub(crate) fn workloads() {
    let body = Body::Text(Bytes::from(text(PAYLOAD_BYTES)));
    let fan_out = |what: &str, rooms: u32, members: u32, each: u32| {
        let prepare = || (House::with_rooms(rooms, members), Encoder::new(1_200));
        let deliveries = MESSAGES * members * rooms;
        workload(what, deliveries, prepare, |(house, encoder)| {
            for _ in 0..MESSAGES / each {
                for room in 0..rooms as usize {
                    for _ in 0..each {
                        house.publish(room, body.clone());
                    }
                    house.walk(room, encoder);
                }
            }
        });
    };
    fan_out("hub: a delivery, 1 room of 1,000", 1, 1_000, 1);
    fan_out(
        "hub: a delivery, 1 room of 1,000, 10 messages at once",
        1,
        1_000,
        10,
    );
    fan_out("hub: a delivery, 1,000 rooms of 10", 1_000, 10, 1);

    let prepare = || House::with_rooms(1, 1_000);
    workload(
        "hub: a Conn joins a room of 1,000 and ends",
        1_000,
        prepare,
        |house| {
            let name = house.rooms[0].0.clone();
            for slot in 1_000..2_000 {
                house.enter(conn(slot), &name);
                house.leave(conn(slot));
            }
        },
    );
}
