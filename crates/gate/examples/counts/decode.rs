//! Bytes become units, and units commands.

use std::hint::black_box;
use std::sync::Arc;

use taut_gate::http::{Site, route};
use taut_gate::native::command;
use taut_gate::socketio::{Emitted, Heard, emitted};
use taut_gate::{Command, Speaker};
use taut_hub::{Door, RoomName};
use taut_wire::http::{self, parse_request};
use taut_wire::socketio::Content;
use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::handshake::{AnswerSettings, answer, encode_answer};
use taut_wire::ws::{Decoder, Opcode, Role, Settings, encode_frame};
use taut_wire::{engineio, socketio};

use super::{PAYLOAD_BYTES, text, workload};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const UPGRADE: &[u8] = b"GET /r/games/42 HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
Upgrade: websocket\r\nOrigin: http://localhost:8080\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

pub(crate) fn workloads() {
    websocket();
    native();
    socketio_event();
    upgrade();
}

fn websocket() {
    frames(
        "ws: decode a masked frame of 128 bytes",
        1_000,
        PAYLOAD_BYTES,
        1,
    );
    frames("ws: decode a masked frame of 64 KiB", 8, 64 << 10, 1);
    frames(
        "ws: decode a message in 4 fragments of 128 bytes",
        250,
        PAYLOAD_BYTES,
        4,
    );
}

/// So many text messages, each in so many masked frames, that lie behind each other in one read.
fn frames(what: &str, messages: u32, frame_bytes: usize, fragments: u32) {
    let settings = Settings {
        role: Role::Server,
        message_bytes_max: 64 << 10,
        deflate: false,
    };
    let payload = text(frame_bytes);
    let prepare = || {
        let mut input = Vec::new();
        for number in 0..messages * fragments {
            let at = number % fragments;
            let opcode = if at == 0 {
                Opcode::Text
            } else {
                Opcode::Continuation
            };
            let last = at + 1 == fragments;
            encode_frame(
                &mut input,
                last,
                false,
                opcode,
                payload.as_bytes(),
                Some(KEY),
            );
        }
        (Decoder::new(), Inflater::new(), input)
    };
    workload(what, messages, prepare, |(decoder, inflater, input)| {
        let mut rest = input.as_mut_slice();
        let mut came = 0;
        while !rest.is_empty() {
            let decoded = decoder.decode(&settings, rest, inflater).unwrap();
            came += u32::from(black_box(&decoded.event).is_some());
            let consumed = decoded.consumed;
            rest = &mut rest[consumed..];
        }
        assert_eq!(came, messages);
    });
}

fn speaker() -> Speaker {
    Speaker {
        name: Arc::from("ada"),
        door: Door("websocket"),
    }
}

fn native() {
    let speaker = speaker();
    let prepare = || {
        format!(
            "{{\"publish\":\"games/42\",\"data\":{{\"text\":\"{}\"}},\"ref\":7}}",
            text(PAYLOAD_BYTES)
        )
    };
    workload(
        "native: decode a publish of 128 bytes",
        1_000,
        prepare,
        |unit| {
            for _ in 0..1_000 {
                let (command, reference) = command(black_box(unit.as_bytes()), &speaker).unwrap();
                assert!(matches!(command, Command::Publish { .. }) && reference.is_some());
            }
        },
    );
}

fn socketio_event() {
    let speaker = Speaker {
        door: Door("socketio"),
        ..speaker()
    };
    let room = RoomName::parse("games/42").unwrap();
    let limits = socketio::Limits::default();
    let prepare = || {
        format!(
            "42/games/42,[\"chat\",{{\"text\":\"{}\"}}]",
            text(PAYLOAD_BYTES)
        )
    };
    workload(
        "socketio: decode an event of 128 bytes",
        1_000,
        prepare,
        |unit| {
            for _ in 0..1_000 {
                let Ok(engineio::Packet::Message(packet)) = engineio::decode_text(black_box(unit))
                else {
                    panic!("no message packet");
                };
                let packet = socketio::decode(packet, &limits).unwrap();
                let Content::Event(event) = &packet.content else {
                    panic!("no event");
                };
                let event = Emitted {
                    name: &event.name,
                    arguments: event.arguments.values().collect(),
                    attachments: &[],
                };
                let heard = emitted(&event, Some(&room), &speaker).unwrap();
                assert!(matches!(
                    black_box(heard),
                    Heard::Said(Command::Publish { .. })
                ));
            }
        },
    );
}

fn upgrade() {
    let site = Site {
        loopback_only: true,
        hosts: Vec::new(),
        origins: Vec::new(),
        wait_ms_max: 60_000,
        compression: false,
        files: false,
        engines: Vec::new(),
        cookie: String::new(),
    };
    let limits = http::Limits::default();
    let handshake = AnswerSettings {
        protocols: &[],
        deflate: false,
    };
    workload(
        "http: decode a browser's upgrade request",
        200,
        || (),
        |()| {
            for _ in 0..200 {
                let (request, bytes) = parse_request(black_box(UPGRADE), &limits).unwrap().unwrap();
                assert_eq!(bytes, UPGRADE.len());
                black_box(request);
            }
        },
    );
    workload(
        "http: route an upgrade request and answer it",
        200,
        Vec::new,
        |out| {
            let (request, _) = parse_request(UPGRADE, &limits).unwrap().unwrap();
            for _ in 0..200 {
                out.clear();
                black_box(route(black_box(&request), &site));
                encode_answer(out, &answer(&request, &handshake).unwrap());
                black_box(&*out);
            }
        },
    );
}
