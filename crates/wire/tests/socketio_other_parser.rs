//! Another implementation agrees: socketioxide's parser reads what we read, and writes it as we do.
//!
//! It leaves the data unread until a handler asks for it, so `is_payload_valid` judges that here, in the words of the official parser.
//! Where we differ on purpose, because the official parser does or because a session cannot use it:
//!
//! - CONNECT_ERROR: it is a server's parser and reads none; we are a client's as well.
//! - A namespace's query: it keeps it, we cut it off.
//! - `50-` and `60-`: for it a packet without attachments, for the official parser and us a violation.
//! - An ack id above 2^53-1: it takes it up to 2^63-1 and silently drops what is longer, we refuse, since JavaScript cannot count that far.
//! - Reserved event names: the official parser refuses them, we leave that to whoever hears the event and can say why.
//! - White space ahead of the JSON: refused, since the official parser reads a space as an ack id of 0.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;
use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value as Json;
use socketioxide_core::Value;
use socketioxide_core::packet::{Packet as Other, PacketData};
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;
use taut_wire::socketio::{ACK_ID_MAX, Assembly, Content, Limits, Packet, decode, encode};

const ATTACHMENT: &[u8] = b"bytes";

/// What the other parser makes of a text, and of the attachments that it asks for.
fn other(text: &str) -> Option<(Other, usize)> {
    let (config, state) = (
        ParseConfig {
            max_incoming_binaries: 64,
            ..ParseConfig::default()
        },
        ParserState::default(),
    );
    let mut attachments = 0;
    let mut read = CommonParser.decode_str(&config, &state, text.to_owned().into());
    while matches!(read, Err(ParseError::NeedsMoreBinaryData)) {
        attachments += 1;
        read = CommonParser.decode_bin(&config, &state, ATTACHMENT.into());
    }
    read.ok().map(|packet| (packet, attachments))
}

/// The type as a digit, the data and the id.
fn parts(packet: &PacketData) -> (usize, &str, Option<u64>) {
    let (value, id) = match packet {
        PacketData::Event(value, id) | PacketData::BinaryEvent(value, id) => (Some(value), *id),
        PacketData::EventAck(value, id) | PacketData::BinaryAck(value, id) => {
            (Some(value), Some(*id))
        }
        PacketData::Connect(value) => (value.as_ref(), None),
        _ => (None, None),
    };
    let data = match value {
        Some(Value::Str(data, _)) => data.as_str(),
        _ => "",
    };
    (packet.index(), data, id.map(i64::cast_unsigned))
}

/// `isPayloadValid` of socket.io-parser, where an event or ack without data is no packet either.
fn is_payload_valid(kind: usize, data: &str) -> bool {
    let json = serde_json::from_str::<Json>(data);
    match (kind, json) {
        (0, _) if data.is_empty() => true,
        (0, Ok(json)) => json.is_object(),
        (2 | 5, Ok(json)) => match json.get(0) {
            // Reserved names are judged by whoever hears the event.
            Some(Json::String(_)) => true,
            Some(Json::Number(_)) => json.is_array(),
            _ => false,
        },
        (3 | 6, Ok(json)) => json.is_array(),
        _ => false,
    }
}

/// Whether the text is one of those about which this file's head says that we differ.
fn is_refused_on_purpose(text: &str, data: &str) -> bool {
    let kind = text.as_bytes().first();
    let behind = text.get(1..).unwrap_or_default();
    let (attachments, behind) = match kind {
        Some(b'5' | b'6') => behind.split_once('-').unwrap_or(("1", behind)),
        _ => ("1", behind),
    };
    let behind = match behind.split_once(',') {
        Some((_namespace, behind)) if text.contains('/') && !behind.is_empty() => behind,
        _ => behind,
    };
    let digits = behind.len()
        - behind
            .trim_start_matches(|digit: char| digit.is_ascii_digit())
            .len();
    let id_is_large = digits > 0
        && behind[..digits]
            .parse::<u64>()
            .is_ok_and(|id| id > ACK_ID_MAX);
    let id_is_huge = digits > 19;
    attachments.bytes().all(|digit| digit == b'0')
        || id_is_large
        || id_is_huge
        || data.starts_with([' ', '\t', '\n', '\r'])
}

fn kind_of(packet: &Packet<'_>) -> usize {
    let binary = if packet.attachments > 0 { 3 } else { 0 };
    match packet.content {
        Content::Connect(_) => 0,
        Content::Disconnect => 1,
        Content::Event(_) => 2 + binary,
        Content::Ack(_) => 3 + binary,
        Content::ConnectError(_) => 4,
    }
}

/// Both parsers read the text alike, or both refuse it.
fn agree(text: &str) {
    if text.starts_with('4') {
        return;
    }
    let ours = decode(text, &Limits::default());
    let Some((packet, attachments)) = other(text) else {
        assert!(ours.is_err(), "{text}: only we read {ours:?}");
        return;
    };
    let (kind, data, id) = parts(&packet.inner);
    // It says nothing of what follows a DISCONNECT.
    let is_valid = kind == 1 || is_payload_valid(kind, data);
    let Ok(ours) = ours else {
        assert!(
            !is_valid || kind == 1 || is_refused_on_purpose(text, data),
            "{text}: only the other reads {packet:?}"
        );
        return;
    };
    assert!(is_valid, "{text}: only we find it valid: {ours:?}");
    assert_eq!(kind_of(&ours), kind, "{text}");
    let path = packet.ns.split('?').next().unwrap();
    assert_eq!(ours.namespace, path, "{text}");
    assert_eq!(
        usize::try_from(ours.attachments).unwrap(),
        attachments,
        "{text}"
    );
    match &ours.content {
        Content::Event(event) => {
            let whole: Vec<Json> = serde_json::from_str(data).unwrap();
            let name = match &whole[0] {
                Json::String(name) => name.clone(),
                _ => event.name.to_string(),
            };
            assert_eq!(event.name, name);
            let arguments: Vec<Json> = serde_json::from_str(&event.arguments.to_array()).unwrap();
            assert_eq!(arguments, whole[1..]);
            assert_eq!(ours.id, id, "{text}");
        }
        Content::Ack(list) => {
            let whole: Json = serde_json::from_str(data).unwrap();
            assert_eq!(
                whole,
                serde_json::from_str::<Json>(&list.to_array()).unwrap()
            );
            assert_eq!(ours.id, id, "{text}");
        }
        Content::Connect(auth) => assert_eq!(*auth, data),
        _ => {}
    }
    writes_alike(&ours);
}

/// What we write, the other parser reads and writes again as it was, attachments included.
fn writes_alike(ours: &Packet<'_>) {
    let mut written = Vec::new();
    encode(&mut written, ours);
    let written = String::from_utf8(written).unwrap();
    let (packet, _) = other(&written).unwrap_or_else(|| panic!("{written}: refused"));
    let (kind, ..) = parts(&packet.inner);
    // An id means nothing on a CONNECT or DISCONNECT, and it does not keep one.
    if kind < 2 && ours.id.is_some() {
        return;
    }
    let Value::Str(again, attachments) = CommonParser.encode(packet) else {
        panic!("{written}: not text");
    };
    assert_eq!(again.as_str(), written);
    if let Ok(mut assembly) = Assembly::begin(ours, 1_000) {
        while assembly.missing() > 0 {
            assembly.attach(Cow::Borrowed(ATTACHMENT)).unwrap();
        }
        let attachments: VecDeque<_> = attachments.unwrap_or_default();
        assert!(assembly.attachments().iter().eq(attachments.iter()));
    }
}

/// Half of a surrogate pair, or a number that may grow too large: JSON, but nothing that `is_payload_valid` could read.
fn is_beyond_json_values(text: &str) -> bool {
    text.contains("\\ud800") || text.contains("1.5e3")
}

#[test]
fn both_read_the_vectors_alike() {
    for line in include_str!("socketio_vectors.txt").lines() {
        let Some((verdict, text)) = line.split_once(' ') else {
            continue;
        };
        if verdict != "#" && !is_beyond_json_values(text) {
            agree(text);
        }
    }
}

const PIECES: [&str; 34] = [
    "0",
    "1",
    "2",
    "3",
    "5",
    "6",
    "7",
    "9",
    "-",
    "1-",
    "12-",
    "00-",
    "99-",
    "/",
    "/a",
    ",",
    "/a,",
    "?",
    "?q=1",
    "[",
    "]",
    "[]",
    "{}",
    "\"",
    "\"a\"",
    "\"connect\"",
    " ",
    "true",
    "null",
    "1.5",
    ":",
    "{\"_placeholder\":true,\"num\":0}",
    "9007199254740991",
    "99999999999999999999",
];

fn pieces() -> impl Strategy<Value = String> {
    proptest::collection::vec(0..PIECES.len(), 0..10)
        .prop_map(|all| all.into_iter().map(|piece| PIECES[piece]).collect())
}

/// A good text in which something was taken out, or put in.
fn spoilt() -> impl Strategy<Value = String> {
    let good: Vec<&str> = include_str!("socketio_vectors.txt")
        .lines()
        .filter_map(|line| line.strip_prefix("ok "))
        .filter(|text| !is_beyond_json_values(text))
        .collect();
    (
        proptest::sample::select(good),
        any::<Index>(),
        any::<Index>(),
        0..PIECES.len(),
        any::<bool>(),
    )
        .prop_map(|(text, from, taken, piece, is_put)| {
            let characters: Vec<char> = text.chars().collect();
            let from = from.index(characters.len() + 1);
            let to = (from + taken.index(4)).min(characters.len());
            let piece = if is_put { PIECES[piece] } else { "" };
            let mut spoilt: String = characters[..from].iter().collect();
            spoilt.push_str(piece);
            spoilt.extend(&characters[to..]);
            spoilt
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn both_read_or_refuse_what_is_made_of_pieces(text in pieces()) {
        agree(&text);
    }

    #[test]
    fn both_read_or_refuse_what_was_spoilt(text in spoilt()) {
        agree(&text);
    }
}
