//! The examples of RFC 6455 §5.7 and RFC 7692 §7.2.3, byte for byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ws_streams;

use std::borrow::Cow;

use taut_wire::ws::deflate::{Deflater, Inflater};
use taut_wire::ws::{Decoder, Event, Opcode, Settings, encode_frame};
use ws_streams::{CLIENT, Outcome, SERVER, decode_bytewise, decode_whole};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn text(text: &str) -> Event<'_> {
    Event::Text(text.into())
}

fn both_ways(settings: &Settings, stream: &[u8]) -> Outcome {
    let whole = decode_whole(settings, stream);
    assert_eq!(whole, decode_bytewise(settings, stream));
    whole
}

#[test]
fn a_single_frame_unmasked_text_message() {
    let frame = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(both_ways(&CLIENT, &frame), (vec![text("Hello")], None));
    let mut out = Vec::new();
    encode_frame(&mut out, true, false, Opcode::Text, b"Hello", None);
    assert_eq!(out, frame);
}

#[test]
fn a_single_frame_masked_text_message() {
    let frame = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(both_ways(&SERVER, &frame), (vec![text("Hello")], None));
    let mut out = Vec::new();
    encode_frame(&mut out, true, false, Opcode::Text, b"Hello", Some(MASK));
    assert_eq!(out, frame);
}

#[test]
fn a_fragmented_unmasked_text_message() {
    let frames = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(both_ways(&CLIENT, &frames), (vec![text("Hello")], None));
}

#[test]
fn an_unmasked_ping_and_a_masked_pong() {
    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let said = Event::Ping(Cow::Borrowed(b"Hello"));
    assert_eq!(both_ways(&CLIENT, &ping), (vec![said], None));
    let pong = [
        0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    let said = Event::Pong(Cow::Borrowed(b"Hello"));
    assert_eq!(both_ways(&SERVER, &pong), (vec![said], None));
}

#[test]
fn binary_messages_of_256_bytes_and_64_kib() {
    let heads: [(usize, &[u8]); 2] = [
        (256, &[0x82, 0x7e, 0x01, 0x00]),
        (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
    ];
    for (bytes, head) in heads {
        let payload = vec![0x5a; bytes];
        let frame = [head, &payload].concat();
        let mut out = Vec::new();
        encode_frame(&mut out, true, false, Opcode::Binary, &payload, None);
        assert_eq!(out, frame);
        let said = vec![Event::Binary(payload.into())];
        assert_eq!(decode_whole(&CLIENT, &frame), (said, None));
    }
}

#[test]
fn lengths_take_their_shortest_form() {
    for (bytes, head_bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let mut out = Vec::new();
        encode_frame(&mut out, true, false, Opcode::Binary, &vec![0; bytes], None);
        assert_eq!(out.len(), bytes + head_bytes);
        encode_frame(
            &mut out,
            true,
            false,
            Opcode::Binary,
            &vec![0; bytes],
            Some(MASK),
        );
        assert_eq!(out.len(), 2 * (bytes + head_bytes) + 4);
        let masked = out.split_off(bytes + head_bytes);
        assert_eq!(decode_whole(&SERVER, &masked).0.len(), 1);
    }
}

#[test]
fn compressed_messages_of_rfc_7692() {
    let frames: [&[u8]; 5] = [
        // §7.2.3.1: one frame; the same in two.
        &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[
            0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00,
        ],
        // §7.2.3.3: no compression.
        &[
            0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
        // §7.2.3.4: a final block.
        &[0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // §7.2.3.5: two blocks.
        &[
            0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07,
            0x00,
        ],
    ];
    let settings = Settings {
        deflate: true,
        ..CLIENT
    };
    for frame in frames {
        assert_eq!(both_ways(&settings, frame), (vec![text("Hello")], None));
    }
    // §7.2.3.6: an empty message is one zero byte.
    assert_eq!(
        both_ways(&settings, &[0xc1, 0x01, 0x00]),
        (vec![text("")], None)
    );
}

#[test]
fn a_message_that_needs_the_context_of_the_last_is_refused() {
    // §7.2.3.2: the second "Hello" looks back to the first, which no context takeover forbids.
    let takeover = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflater = Inflater::new();
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflater.inflate(&first, 100).unwrap(), b"Hello");
    assert!(inflater.inflate(&takeover, 100).is_err());
}

#[test]
fn whole_frames_are_borrowed_and_leave_the_decoder_idle() {
    assert!(size_of::<Decoder>() <= 16);
    let mut stream = Vec::new();
    encode_frame(&mut stream, true, false, Opcode::Text, b"one", Some(MASK));
    encode_frame(&mut stream, true, false, Opcode::Binary, b"two", Some(MASK));
    encode_frame(&mut stream, true, false, Opcode::Ping, b"three", Some(MASK));
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let mut rest = &mut stream[..];
    while !rest.is_empty() {
        let (decoded_bytes, borrowed) = {
            let decoded = decoder.decode(&SERVER, rest, &mut inflater).unwrap();
            let borrowed = matches!(
                decoded.event,
                Some(
                    Event::Text(Cow::Borrowed(_))
                        | Event::Binary(Cow::Borrowed(_))
                        | Event::Ping(Cow::Borrowed(_))
                )
            );
            (decoded.consumed, borrowed)
        };
        assert!(borrowed);
        assert!(decoder.is_idle());
        rest = &mut rest[decoded_bytes..];
    }
}

#[test]
fn the_deflater_makes_what_the_rfc_shows() {
    // §7.2.3.1 again, twice over so that it shrinks; zlib's levels may choose other blocks, so by its inflation.
    let mut compressed = Vec::new();
    assert!(Deflater::new().deflate(b"HelloHelloHelloHello", 15, &mut compressed));
    assert!(!compressed.ends_with(&[0x00, 0x00, 0xff, 0xff]));
    let inflated = Inflater::new().inflate(&compressed, 20).unwrap();
    assert_eq!(inflated, b"HelloHelloHelloHello");
}
