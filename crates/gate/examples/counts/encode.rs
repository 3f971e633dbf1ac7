//! Messages become bytes, once per Format and not per member.

use std::hint::black_box;

use bytes::Bytes;
use taut_gate::{Encoder, Format};
use taut_hub::Body;

use super::rooms::House;
use super::{PAYLOAD_BYTES, text, workload};

const MESSAGES: u32 = 500;

pub(crate) fn workloads() {
    for (what, format) in [
        ("encode for WebSocket, payload only", Format::Payload),
        ("encode for WebSocket, native", Format::Native),
        (
            "encode for Socket.IO, namespace /ROOM",
            Format::SocketIoRoom,
        ),
        ("encode for JSON lines", Format::Lines),
        ("encode for an event stream, chunked", Format::SseChunked),
        ("encode for a terminal", Format::Text),
    ] {
        let what = format!("gate: {what}, 128 bytes");
        let prepare = || {
            let mut house = House::with_rooms(1, 2);
            let json = Bytes::from(format!("{{\"text\":\"{}\"}}", text(PAYLOAD_BYTES)));
            for _ in 0..MESSAGES {
                house.publish(0, Body::Json(json.clone()));
            }
            (house, Encoder::new(1_200), Vec::with_capacity(1 << 20))
        };
        workload(&what, MESSAGES, prepare, |(house, encoder, out)| {
            let room = house.room(0);
            for message in room.log().after(0) {
                encoder.encode(format, room, message, out);
            }
            assert!(black_box(&*out).len() > MESSAGES as usize * PAYLOAD_BYTES);
        });
    }
}
