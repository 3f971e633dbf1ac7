//! Streams for the WebSocket tests: decoded in pieces, and made from what they should say.

#![allow(dead_code)]

use proptest::prelude::*;
use taut_wire::ws::deflate::{Deflater, Inflater};
use taut_wire::ws::{
    CloseCode, CloseFrame, Decoder, Event, Opcode, Role, Settings, Violation, encode_close,
    encode_frame,
};

pub(crate) const SERVER: Settings = Settings {
    role: Role::Server,
    message_bytes_max: 1 << 24,
    deflate: false,
};

pub(crate) const CLIENT: Settings = Settings {
    role: Role::Client,
    ..SERVER
};

/// What a stream came to: its events, and how it ended if not just by running out.
pub(crate) type Outcome = (Vec<Event<'static>>, Option<Violation>);

/// Decodes pieces as a socket would bring them, up to a close or a violation.
pub(crate) fn decode<'p>(
    settings: &Settings,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Outcome {
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let mut events = Vec::new();
    let mut kept = Vec::new();
    for piece in pieces {
        kept.extend_from_slice(piece);
        let mut start = 0;
        loop {
            let decoded = match decoder.decode(settings, &mut kept[start..], &mut inflater) {
                Ok(decoded) => decoded,
                Err(violation) => return (events, Some(violation)),
            };
            start += decoded.consumed;
            match decoded.event {
                Some(event) => {
                    let is_close = matches!(event, Event::Close(_));
                    events.push(event.into_owned());
                    if is_close {
                        return (events, None);
                    }
                }
                None if decoded.consumed == 0 => break,
                None => {}
            }
        }
        kept.drain(..start);
        assert!(kept.len() <= 13, "more than a frame head was left behind");
    }
    (events, None)
}

pub(crate) fn decode_whole(settings: &Settings, stream: &[u8]) -> Outcome {
    decode(settings, [stream])
}

pub(crate) fn decode_bytewise(settings: &Settings, stream: &[u8]) -> Outcome {
    decode(settings, stream.chunks(1))
}

/// One message or control frame, and how it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Saying {
    pub(crate) event: Event<'static>,
    /// Where a message is cut into fragments, as parts of 255.
    pub(crate) cuts: Vec<u8>,
    /// Whether it is compressed, where the settings allow it.
    pub(crate) compressed: bool,
    /// Pings that stand between its fragments.
    pub(crate) pings: Vec<Vec<u8>>,
    pub(crate) mask: [u8; 4],
}

/// Any list of sayings, with a close at the end of some.
pub(crate) fn sayings() -> impl Strategy<Value = Vec<Saying>> {
    let close = prop_oneof![
        3 => Just(None),
        1 => Just(Some(None)),
        2 => (valid_code(), "\\PC{0,40}").prop_map(|(code, reason)| Some(Some((code, reason)))),
    ];
    (prop::collection::vec(saying(), 0..6), close).prop_map(|(mut sayings, close)| {
        sayings.extend(close.map(|close| Saying {
            event: Event::Close(close.map(|(code, reason)| CloseFrame {
                code,
                reason: reason.chars().take(30).collect::<String>().into(),
            })),
            cuts: Vec::new(),
            compressed: false,
            pings: Vec::new(),
            mask: [1, 2, 3, 4],
        }));
        sayings
    })
}

fn saying() -> impl Strategy<Value = Saying> {
    let control = || prop::collection::vec(any::<u8>(), 0..=125);
    let event = prop_oneof![
        "\\PC{0,200}".prop_map(|text| Event::Text(text.into())),
        "(水🍣ß|a){0,90}".prop_map(|text| Event::Text(text.into())),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Event::Binary(bytes.into())),
        (any::<u8>(), 65_000..70_000_usize)
            .prop_map(|(byte, bytes)| Event::Binary(vec![byte; bytes].into())),
        control().prop_map(|bytes| Event::Ping(bytes.into())),
        control().prop_map(|bytes| Event::Pong(bytes.into())),
    ];
    let cuts = prop::collection::vec(any::<u8>(), 0..5);
    let pings = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..10), 0..3);
    (event, cuts, any::<bool>(), pings, any::<[u8; 4]>()).prop_map(
        |(event, cuts, compressed, pings, mask)| Saying {
            event,
            cuts,
            compressed,
            pings,
            mask,
        },
    )
}

fn valid_code() -> impl Strategy<Value = CloseCode> {
    prop_oneof![1000..=1003_u16, 1007..=1014_u16, 3000..=4999_u16].prop_map(CloseCode)
}

/// The bytes that say it to a decoder with these settings, and the events that it should make of them.
pub(crate) fn encode(settings: &Settings, sayings: &[Saying]) -> (Vec<u8>, Vec<Event<'static>>) {
    let mut stream = Vec::new();
    let mut events = Vec::new();
    let mut deflater = Deflater::new();
    for saying in sayings {
        let mask = (settings.role == Role::Server).then_some(saying.mask);
        let (opcode, payload) = match &saying.event {
            Event::Text(text) => (Opcode::Text, text.as_bytes()),
            Event::Binary(bytes) => (Opcode::Binary, &bytes[..]),
            Event::Ping(bytes) => (Opcode::Ping, &bytes[..]),
            Event::Pong(bytes) => (Opcode::Pong, &bytes[..]),
            Event::Close(None) => {
                encode_close(&mut stream, CloseCode::NO_STATUS, "unsaid", mask);
                events.push(saying.event.clone());
                continue;
            }
            Event::Close(Some(close)) => {
                encode_close(&mut stream, close.code, &close.reason, mask);
                events.push(saying.event.clone());
                continue;
            }
        };
        if opcode.is_control() {
            encode_frame(&mut stream, true, false, opcode, payload, mask);
        } else {
            let mut deflated = Vec::new();
            let compressed = settings.deflate
                && saying.compressed
                && deflater.deflate(payload, 15, &mut deflated);
            let payload = if compressed { &deflated } else { payload };
            let mut cuts: Vec<usize> = saying.cuts.iter().map(|cut| usize::from(*cut)).collect();
            cuts.sort_unstable();
            let mut pings = saying.pings.iter();
            let mut start = 0;
            for (index, cut) in cuts.iter().map(|cut| payload.len() * cut / 255).enumerate() {
                let opcode = if index == 0 {
                    opcode
                } else {
                    Opcode::Continuation
                };
                let fragment = &payload[start..cut];
                encode_frame(
                    &mut stream,
                    false,
                    compressed && index == 0,
                    opcode,
                    fragment,
                    mask,
                );
                start = cut;
                if let Some(ping) = pings.next() {
                    encode_frame(&mut stream, true, false, Opcode::Ping, ping, mask);
                    events.push(Event::Ping(ping.clone().into()));
                }
            }
            let opcode = if cuts.is_empty() {
                opcode
            } else {
                Opcode::Continuation
            };
            let first = compressed && cuts.is_empty();
            encode_frame(&mut stream, true, first, opcode, &payload[start..], mask);
        }
        events.push(saying.event.clone());
    }
    (stream, events)
}

/// Any settings that a stream may be decoded with.
pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    (any::<bool>(), any::<bool>()).prop_map(|(server, deflate)| Settings {
        deflate,
        ..if server { SERVER } else { CLIENT }
    })
}
