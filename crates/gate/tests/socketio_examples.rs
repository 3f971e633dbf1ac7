//! PROTOCOL.md's examples of Socket.IO are what is written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use taut_gate::socketio::{Framing, View, Way, encode_message};
use taut_hub::{Body, Door, Effect, Lane, Message, RoomName};
use taut_wire::native::{self, Reply};
use taut_wire::ws::{self, Event, Role, Settings};

/// The lines of the one block.
fn lines() -> Vec<String> {
    let page = include_str!("../../../PROTOCOL.md");
    let (_, block) = page.split_once("```socketio\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    block.lines().map(str::to_owned).collect()
}

fn message(unit: &str) -> (Message, String) {
    let Ok(Reply::Message(said)) = native::decode_reply(unit.as_bytes()) else {
        panic!("{unit} is no message");
    };
    let text = |text: &str| Arc::<str>::from(text);
    let body = match said.body {
        native::Body::Text(text) => Body::Text(Bytes::copy_from_slice(text.as_bytes())),
        native::Body::Json(json) => Body::Json(Bytes::copy_from_slice(json.as_bytes())),
        native::Body::Binary(bytes) => Body::Binary(bytes.into_owned().into()),
        native::Body::Args(packed) => Body::Args(packed.into_owned().into()),
    };
    let message = Message {
        offset: 0,
        time_ms: said.time_ms,
        event: Some(text(&said.event)),
        key: said.key.as_deref().map(text),
        id: said.id.as_deref().map(text),
        from: text(&said.from).into(),
        door: Door("lines"),
        lane: Lane::Reliable,
        body,
        effect: Effect::None,
        origin: None,
        is_members: false,
        born_ms: 0,
        end_bytes: 0,
    };
    (message, said.at.unwrap().into_owned())
}

/// The frames, a line each as the page writes them.
fn frames(mut bytes: &mut [u8]) -> Vec<String> {
    let settings = Settings {
        role: Role::Client,
        message_bytes_max: 1 << 20,
        deflate: false,
    };
    let (mut decoder, mut inflater) = (ws::Decoder::new(), ws::deflate::Inflater::new());
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let decoded = decoder.decode(&settings, bytes, &mut inflater).unwrap();
        frames.push(match decoded.event.unwrap() {
            Event::Text(text) => text.into_owned(),
            Event::Binary(bytes) => {
                let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
                format!("+ {base64}")
            }
            other => panic!("{other:?}"),
        });
        let consumed = decoded.consumed;
        bytes = &mut bytes[consumed..];
    }
    frames
}

#[test]
fn messages_come_to_each_namespace_as_stated() {
    let lines = lines();
    let mut seen = 0;
    for (index, unit) in lines.iter().enumerate() {
        if !unit.starts_with('{') {
            continue;
        }
        let (message, at) = message(unit);
        let below = lines[index + 1..].iter();
        let below: Vec<&String> = below.take_while(|line| !line.starts_with('{')).collect();
        let ways = [
            ("room", "/den", Way::Room, at.clone()),
            ("main", "/", Way::Lobby, format!("{at}:")),
            ("verb", "/", Way::Joined, format!("{at}:den")),
        ];
        for (label, namespace, way, offset) in ways {
            let stated: Vec<&str> = below
                .iter()
                .filter_map(|line| line.strip_prefix(label)?.strip_prefix(' '))
                .collect();
            if stated.is_empty() {
                continue;
            }
            let view = View {
                namespace,
                way,
                offset: Some(&offset),
            };
            let room = RoomName::parse("den").unwrap();
            let mut out = Vec::new();
            let mut scratch = Vec::new();
            encode_message(
                &mut out,
                &mut scratch,
                Framing::Frames,
                &view,
                &room,
                Some(&at),
                &message,
            );
            assert_eq!(frames(&mut out), stated, "{label} of {unit}");
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}
