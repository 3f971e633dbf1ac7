//! Engine.IO packets and payloads: the specification's examples, what is refused, and what is written is what is read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use taut_wire::Violation;
use taut_wire::engineio::{
    Handshake, Packet, RequestError, SEPARATOR, decode_handshake, decode_text, encode_text,
    payload, push_payload,
};

fn packets(body: &str) -> Vec<Packet<'_>> {
    payload(body, 1_000).collect::<Result<_, _>>().unwrap()
}

fn encoded(packet: &Packet<'_>) -> String {
    let mut out = Vec::new();
    encode_text(&mut out, packet);
    String::from_utf8(out).unwrap()
}

fn joined(packets: &[Packet<'_>]) -> String {
    let mut out = Vec::new();
    for packet in packets {
        push_payload(&mut out, packet);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_examples_of_the_specification_are_read_and_written_as_it_says() {
    let binary = Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]));
    for (body, expected) in [
        (
            "4hello\x1e2\x1e4world",
            vec![
                Packet::Message("hello"),
                Packet::Ping(""),
                Packet::Message("world"),
            ],
        ),
        (
            "4hello\x1ebAQIDBA==",
            vec![Packet::Message("hello"), binary],
        ),
        (
            "42[\"hello\"]\x1e42[\"world\"]",
            vec![
                Packet::Message("2[\"hello\"]"),
                Packet::Message("2[\"world\"]"),
            ],
        ),
        ("4€", vec![Packet::Message("€")]),
        ("2probe", vec![Packet::Ping("probe")]),
        ("3probe", vec![Packet::Pong("probe")]),
        ("1", vec![Packet::Close]),
        ("5", vec![Packet::Upgrade]),
        ("6", vec![Packet::Noop]),
        ("4", vec![Packet::Message("")]),
        ("b", vec![Packet::Binary(Cow::Borrowed(&[]))]),
    ] {
        assert_eq!(packets(body), expected);
        assert_eq!(joined(&expected), body);
        let alone: Vec<_> = body
            .split('\x1e')
            .map(|text| decode_text(text).unwrap())
            .collect();
        assert_eq!(alone, expected);
    }
}

#[test]
fn the_open_packet_is_written_and_read_as_the_specification_says() {
    let json = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let handshake = Handshake {
        sid: "lv_VI97HAXpY6yYWAAAC".into(),
        upgrades: vec!["websocket".into()],
        ping_interval_ms: 25_000,
        ping_timeout_ms: 20_000,
        max_payload_bytes: 1_000_000,
    };
    let mut written = Vec::new();
    handshake.encode(&mut written);
    assert_eq!(String::from_utf8(written).unwrap(), json);
    assert_eq!(decode_handshake(json).unwrap(), handshake);
    let newer = json.replace("{\"sid\"", "{\"new\":[1],\"sid\"");
    assert_eq!(decode_handshake(&newer).unwrap(), handshake);
    let escaped = json.replace("lv_", "\\u006cv_");
    assert_eq!(decode_handshake(&escaped).unwrap(), handshake);
    for wrong in [
        "",
        "{}",
        "[]",
        "null",
        &json[..json.len() - 1],
        &json.replace("25000", "-1"),
        &json.replace("25000", "\"25000\""),
        &json.replace("[\"websocket\"]", "\"websocket\""),
    ] {
        assert!(decode_handshake(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn requests_are_refused_in_the_words_of_the_official_server() {
    let expected = [
        (
            RequestError::UnknownTransport,
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            RequestError::UnknownSid,
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            RequestError::BadHandshakeMethod,
            400,
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            RequestError::BadRequest,
            400,
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (
            RequestError::Forbidden,
            403,
            r#"{"code":4,"message":"Forbidden"}"#,
        ),
        (
            RequestError::UnsupportedVersion,
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ];
    for (error, status, json) in expected {
        let mut written = Vec::new();
        error.encode_json(&mut written);
        assert_eq!(String::from_utf8(written).unwrap(), json);
        assert_eq!(error.status(), status);
    }
}

#[test]
fn base64_is_read_with_padding_and_without() {
    for (text, expected) in [
        ("b", &b""[..]),
        ("bAA==", b"\0"),
        ("bAA", b"\0"),
        ("b+/8=", b"\xfb\xff"),
        ("bAQIDBA==", b"\x01\x02\x03\x04"),
        ("bAQIDBA", b"\x01\x02\x03\x04"),
    ] {
        assert_eq!(
            decode_text(text).unwrap(),
            Packet::Binary(Cow::Borrowed(expected))
        );
    }
    for wrong in [
        "bA",
        "b-_8=",
        "bAQ ID",
        "bAQID\n",
        "bAB==",
        "b====",
        "bé",
        "bAA==AA==",
    ] {
        assert!(decode_text(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_no_packet_is_a_violation() {
    for wrong in ["", "7", "9", "abc", "B", " 4", "é", "\u{1e}", "-1"] {
        assert!(decode_text(wrong).is_err(), "{wrong:?}");
    }
    // The official parser passes over it as well.
    assert_eq!(decode_text("1now").unwrap(), Packet::Close);
    assert_eq!(decode_text("5é").unwrap(), Packet::Upgrade);
}

#[test]
fn a_payload_ends_with_its_first_violation() {
    for (body, good) in [
        ("", 0),
        ("\x1e", 0),
        ("4a\x1e", 1),
        ("\x1e4a", 0),
        ("4a\x1e\x1e4b", 1),
        ("4a\x1e4b\x1e7\x1e4c", 2),
        ("4a\x1ebA\x1e4c", 1),
    ] {
        let all: Vec<Result<Packet<'_>, Violation>> = payload(body, 1_000).collect();
        assert_eq!(all.len(), good + 1, "{body:?}");
        assert!(all[..good].iter().all(Result::is_ok), "{body:?}");
        assert!(all[good].is_err(), "{body:?}");
    }
}

#[test]
fn a_payload_has_only_so_many_packets() {
    let body = ["2"; 5].join("\x1e");
    assert_eq!(payload(&body, 5).filter(Result::is_ok).count(), 5);
    assert_eq!(payload(&body, 5).count(), 5);
    let cut: Vec<_> = payload(&body, 4).collect();
    assert!(cut.len() == 5 && cut[..4].iter().all(Result::is_ok) && cut[4].is_err());
    assert!(payload("2", 0).next().unwrap().is_err());
}

/// A packet that owns its text.
#[derive(Debug, Clone)]
enum Owned {
    Text(u8, String),
    Bare(u8),
    Binary(Vec<u8>),
}

impl Owned {
    fn packet(&self) -> Packet<'_> {
        match self {
            Self::Text(0, text) => Packet::Open(text),
            Self::Text(1, text) => Packet::Ping(text),
            Self::Text(2, text) => Packet::Pong(text),
            Self::Text(_, text) => Packet::Message(text),
            Self::Bare(0) => Packet::Close,
            Self::Bare(1) => Packet::Upgrade,
            Self::Bare(_) => Packet::Noop,
            Self::Binary(bytes) => Packet::Binary(Cow::Borrowed(bytes)),
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (0_u8..4, "[^\u{1e}]{0,20}").prop_map(|(kind, text)| Owned::Text(kind, text)),
        (0_u8..3).prop_map(Owned::Bare),
        vec(any::<u8>(), 0..40).prop_map(Owned::Binary),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in vec(owned(), 1..12)) {
        let expected: Vec<_> = all.iter().map(Owned::packet).collect();
        let body = joined(&expected);
        prop_assert_eq!(packets(&body), expected);
    }

    /// A body that ends too early gives the packets that it holds, and at most one of them is cut.
    #[test]
    fn every_prefix_gives_the_packets_that_it_holds(all in vec(owned(), 1..6)) {
        let expected: Vec<_> = all.iter().map(Owned::packet).collect();
        let body = joined(&expected);
        for (end, _) in body.char_indices() {
            let found: Vec<_> = payload(&body[..end], 1_000).collect();
            let whole = body[..end].matches(char::from(SEPARATOR)).count();
            prop_assert_eq!(found.len(), whole + 1);
            for (found, expected) in found[..whole].iter().zip(&expected) {
                prop_assert_eq!(found.as_ref().unwrap(), expected);
            }
        }
    }

    #[test]
    fn garbage_is_read_or_refused_and_never_more_than_is_there(body in ".{0,200}", packets_max in 0_usize..8) {
        let found: Vec<_> = payload(&body, packets_max).collect();
        prop_assert!(!found.is_empty() && found.len() <= packets_max + 1);
        prop_assert!(found.len() <= 1 + body.matches(char::from(SEPARATOR)).count());
        for packet in found.iter().flatten() {
            let again = encoded(packet);
            prop_assert_eq!(&decode_text(&again).unwrap(), packet);
        }
        let _ = decode_handshake(&body);
    }
}
