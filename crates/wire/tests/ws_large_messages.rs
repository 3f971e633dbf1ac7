//! The largest messages that the Autobahn suite sends: 16 MiB whole, and in 65,536 fragments, in pieces of any size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ws_streams;

use taut_wire::ws::{Event, Opcode, Settings, encode_frame};
use ws_streams::{SERVER, decode};

const MIB_16: usize = 16 << 20;
const MASK: Option<[u8; 4]> = Some([0xde, 0xad, 0xbe, 0xef]);

#[test]
fn a_text_of_16_mib_in_one_frame() {
    let text = "水ab".repeat(MIB_16 / 5);
    let mut stream = Vec::new();
    encode_frame(
        &mut stream,
        true,
        false,
        Opcode::Text,
        text.as_bytes(),
        MASK,
    );
    let (events, violation) = decode(&SERVER, stream.chunks(65_521));
    assert_eq!(violation, None);
    assert!(events == [Event::Text(text.into())]);
}

#[test]
fn a_message_of_16_mib_in_65536_fragments() {
    let payload = vec![b'*'; MIB_16];
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut stream = Vec::new();
        let fragments = payload.chunks(256);
        let last = fragments.len() - 1;
        for (index, fragment) in fragments.enumerate() {
            let opcode = if index == 0 {
                opcode
            } else {
                Opcode::Continuation
            };
            encode_frame(&mut stream, index == last, false, opcode, fragment, MASK);
        }
        let (events, violation) = decode(&SERVER, stream.chunks(1460));
        assert_eq!(violation, None);
        assert_eq!(events.len(), 1);
        let bytes = match &events[0] {
            Event::Text(text) => text.as_bytes(),
            Event::Binary(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        assert!(bytes == payload);
    }
}

#[test]
fn a_message_just_too_big_is_refused_and_one_just_small_enough_is_not() {
    let settings = Settings {
        message_bytes_max: 1 << 16,
        ..SERVER
    };
    for (bytes, events) in [(1 << 16, 1), ((1 << 16) + 1, 0)] {
        let mut stream = Vec::new();
        encode_frame(
            &mut stream,
            true,
            false,
            Opcode::Binary,
            &vec![7; bytes],
            MASK,
        );
        assert_eq!(decode(&settings, [&stream[..]]).0.len(), events);
    }
}
