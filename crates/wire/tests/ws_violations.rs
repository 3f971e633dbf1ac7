//! Every rule of RFC 6455 that a peer can break is noticed, at the byte that breaks it, with the right code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ws_streams;

use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::{CloseCode, Decoder, Settings};
use ws_streams::{CLIENT, SERVER, decode_bytewise, decode_whole};

const SMALL: Settings = Settings {
    message_bytes_max: 1000,
    ..CLIENT
};
const DEFLATE: Settings = Settings {
    deflate: true,
    ..SMALL
};

/// The bytes are fine up to the last, which alone makes the violation, however they are cut.
fn assert_violates_at_last_byte(settings: &Settings, bytes: &[u8], code: CloseCode, clause: &str) {
    let before = &bytes[..bytes.len() - 1];
    assert_eq!(
        decode_whole(settings, before).1,
        None,
        "{bytes:02x?} too early"
    );
    assert_eq!(
        decode_bytewise(settings, before).1,
        None,
        "{bytes:02x?} too early"
    );
    let violation = decode_whole(settings, bytes).1.expect("a violation");
    assert_eq!(violation.code, code, "{bytes:02x?} {violation}");
    assert_eq!(
        violation.violation.clause, clause,
        "{bytes:02x?} {violation}"
    );
    assert_eq!(decode_bytewise(settings, bytes).1, Some(violation));
}

#[test]
fn reserved_bits_and_opcodes() {
    for first in [
        0xc1, 0xa1, 0x91, 0x83, 0x84, 0x85, 0x86, 0x87, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
    ] {
        assert_violates_at_last_byte(&CLIENT, &[first], CloseCode::PROTOCOL, "RFC 6455 §5.2");
    }
    for first in [0xa1, 0x91, 0xf1] {
        assert_violates_at_last_byte(&DEFLATE, &[first], CloseCode::PROTOCOL, "RFC 6455 §5.2");
    }
}

#[test]
fn the_compression_bit_where_it_does_not_belong() {
    let clause = "RFC 7692 §6.1";
    for first in [0xc8, 0xc9, 0xca, 0xc0] {
        assert_violates_at_last_byte(&DEFLATE, &[first], CloseCode::PROTOCOL, clause);
    }
    let continued = [0x41, 0x01, 0x00, 0xc0];
    assert_violates_at_last_byte(&DEFLATE, &continued, CloseCode::PROTOCOL, clause);
}

#[test]
fn masks_in_the_wrong_direction() {
    for first in [0x81, 0x89, 0x88] {
        let clause = "RFC 6455 §5.1";
        assert_violates_at_last_byte(&SERVER, &[first, 0x05], CloseCode::PROTOCOL, clause);
        assert_violates_at_last_byte(&CLIENT, &[first, 0x85], CloseCode::PROTOCOL, clause);
    }
}

#[test]
fn control_frames_that_are_long_or_fragmented() {
    let clause = "RFC 6455 §5.5";
    for opcode in [0x08, 0x09, 0x0a] {
        assert_violates_at_last_byte(&CLIENT, &[opcode], CloseCode::PROTOCOL, clause);
        for length in [126, 127] {
            let head = [0x80 | opcode, length];
            assert_violates_at_last_byte(&CLIENT, &head, CloseCode::PROTOCOL, clause);
        }
    }
}

#[test]
fn fragments_out_of_order() {
    let clause = "RFC 6455 §5.4";
    for bytes in [
        &[0x80][..],
        &[0x00],
        &[0x01, 0x00, 0x81],
        &[0x01, 0x00, 0x02],
        &[0x02, 0x00, 0x89, 0x00, 0x82],
        &[0x01, 0x00, 0x80, 0x00, 0x80],
    ] {
        assert_violates_at_last_byte(&CLIENT, bytes, CloseCode::PROTOCOL, clause);
    }
}

#[test]
fn lengths_that_are_not_minimal_or_negative() {
    let clause = "RFC 6455 §5.2";
    for bytes in [
        &[0x82, 126, 0, 0][..],
        &[0x82, 126, 0, 125],
        &[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 5],
        &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        &[0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0],
        &[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_violates_at_last_byte(&CLIENT, bytes, CloseCode::PROTOCOL, clause);
    }
}

#[test]
fn messages_that_are_too_big_are_refused_by_their_heads() {
    let clause = "RFC 6455 §10.4";
    let first = [&[0x02, 126, 0x03, 0xe8][..], &[0; 1000]].concat();
    for bytes in [
        vec![0x82, 126, 0x03, 0xe9],
        vec![0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [&first[..], &[0x80, 0x01]].concat(),
        [&first[..], &[0x89, 0x00, 0x00, 0x00, 0x00, 0x7d]].concat(),
    ] {
        assert_violates_at_last_byte(&SMALL, &bytes, CloseCode::TOO_BIG, clause);
    }
    let just_enough = [&first[..], &[0x80, 0x00]].concat();
    assert_eq!(decode_whole(&SMALL, &just_enough).0.len(), 1);
}

#[test]
fn close_frames_with_bad_codes_or_reasons() {
    assert_violates_at_last_byte(
        &CLIENT,
        &[0x88, 0x01],
        CloseCode::PROTOCOL,
        "RFC 6455 §5.5.1",
    );
    let bad_codes = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16,
    ];
    for code in bad_codes {
        let [high, low] = code.to_be_bytes();
        let frame = [0x88, 0x02, high, low];
        assert_violates_at_last_byte(&CLIENT, &frame, CloseCode::PROTOCOL, "RFC 6455 §7.4");
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999_u16] {
        let [high, low] = code.to_be_bytes();
        assert_eq!(decode_bytewise(&CLIENT, &[0x88, 0x02, high, low]).1, None);
    }
    let bad_reason = [0x88, 0x03, 0x03, 0xe8, 0xff];
    assert_violates_at_last_byte(
        &CLIENT,
        &bad_reason,
        CloseCode::INVALID_DATA,
        "RFC 6455 §8.1",
    );
}

#[test]
fn bad_utf8_is_noticed_inside_an_incomplete_frame() {
    let clause = "RFC 6455 §8.1";
    for bytes in [
        // 100 bytes are announced; the third is hopeless.
        &[0x81, 100, b'a', b'b', 0x80][..],
        &[0x81, 100, 0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xed, 0xa0],
        &[0x81, 100, 0xf4, 0x90],
        // The same over fragments, with a ping between them.
        &[0x01, 0x01, 0xf4, 0x89, 0x00, 0x00, 0x05, 0x90],
        &[0x01, 0x02, 0xe6, 0xb0, 0x80, 0x01, b'a'],
        // A whole frame that ends inside a character.
        &[0x81, 0x02, 0xe6, 0xb0],
    ] {
        assert_violates_at_last_byte(&CLIENT, bytes, CloseCode::INVALID_DATA, clause);
    }
    // A message that ends inside a character, by an empty last fragment.
    let ends_short = [0x01, 0x02, 0xe6, 0xb0, 0x80, 0x00];
    assert_violates_at_last_byte(&CLIENT, &ends_short, CloseCode::INVALID_DATA, clause);
}

#[test]
fn compressed_messages_that_are_no_deflate_streams() {
    let clause = "RFC 7692 §7.2.2";
    for bytes in [
        // A reserved block type; a stored block whose lengths disagree; a stream cut inside a block.
        &[0xc2, 0x01, 0x07][..],
        &[0xc2, 0x05, 0x00, 0x01, 0x00, 0x01, 0x00],
        &[0xc2, 0x03, 0xf2, 0x48, 0xcd],
        // Context of an earlier message.
        &[0xc2, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00],
    ] {
        assert_violates_at_last_byte(&DEFLATE, bytes, CloseCode::INVALID_DATA, clause);
    }
}

#[test]
fn what_is_left_of_a_connection_after_a_violation_does_not_panic() {
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    for bytes in [
        &[0x01, 0x05, 0xff, 0x80][..],
        &[0x80, 0x00],
        &[0x81, 0x01, b'a'],
    ] {
        let _ = decoder.decode(&CLIENT, &mut bytes.to_vec(), &mut inflater);
    }
}
