//! permessage-deflate: what is compressed comes back, nothing inflates past its limit, and windows are honoured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;
use taut_wire::ws::CloseCode;
use taut_wire::ws::deflate::{
    Deflater, Inflater, OFFER, accept_offer, check_answer, encode_params,
};

/// Bytes that compress well only by looking back about 10,000 bytes.
fn far_repeats() -> Vec<u8> {
    let mut state = 1_u32;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0] & 0x3f
    })
    .take(10_000)
    .collect();
    block.repeat(4)
}

#[test]
fn a_narrow_window_is_honoured() {
    let payload = far_repeats();
    let mut deflater = Deflater::new();
    let mut sizes = Vec::new();
    for bits in 9..=15 {
        let mut compressed = Vec::new();
        assert!(deflater.deflate(&payload, bits, &mut compressed));
        // zlib with a window of that size refuses distances beyond it.
        let mut narrow = Decompress::new_with_window_bits(false, bits);
        let mut inflated = Vec::with_capacity(payload.len() + 64);
        narrow
            .decompress_vec(&compressed, &mut inflated, FlushDecompress::None)
            .unwrap();
        assert!(inflated == payload, "{bits} bits");
        sizes.push(compressed.len());
    }
    assert!(sizes[6] < sizes[0] / 2, "{sizes:?}");
}

#[test]
fn a_window_of_8_bits_compresses_only_what_fits_it() {
    let mut deflater = Deflater::new();
    let mut out = b"before".to_vec();
    assert!(!deflater.deflate(&[b'a'; 256], 8, &mut out));
    assert_eq!(out, b"before");
    assert!(deflater.deflate(&[b'a'; 255], 8, &mut out));
    assert_eq!(
        Inflater::new().inflate(&out[6..], 255).unwrap(),
        [b'a'; 255]
    );
}

#[test]
fn what_does_not_shrink_is_left_alone() {
    let mut out = Vec::new();
    for payload in [&b""[..], b"a", b"Hello"] {
        assert!(!Deflater::new().deflate(payload, 15, &mut out));
        assert!(out.is_empty());
    }
}

#[test]
fn a_bomb_is_refused_at_its_limit() {
    let payload = vec![0; 10 << 20];
    let mut bomb = Vec::new();
    assert!(Deflater::new().deflate(&payload, 15, &mut bomb));
    let mut inflater = Inflater::new();
    for bytes_max in [0, 1, 1000, 65_536, (10 << 20) - 1] {
        let violation = inflater.inflate(&bomb, bytes_max).unwrap_err();
        assert_eq!(violation.code, CloseCode::TOO_BIG);
    }
    assert_eq!(inflater.inflate(&bomb, 10 << 20).unwrap().len(), 10 << 20);
}

#[test]
fn final_blocks_inside_and_at_the_end_of_a_message_are_understood() {
    let mut inflater = Inflater::new();
    // "Hello" in a final block, three times, with the byte that should follow the last and without it.
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let without = hello.repeat(3);
    let with = [&without[..], &[0x00]].concat();
    assert_eq!(inflater.inflate(&with, 15).unwrap(), b"HelloHelloHello");
    assert_eq!(inflater.inflate(&without, 15).unwrap(), b"HelloHelloHello");
    assert!(inflater.inflate(&with, 14).is_err());
}

#[test]
fn a_message_of_a_million_final_blocks_ends() {
    let blocks = [0x03, 0x00].repeat(1 << 19);
    assert_eq!(Inflater::new().inflate(&blocks, 1 << 20).unwrap(), b"");
}

#[test]
fn an_inflater_recovers_from_a_bad_message() {
    let mut inflater = Inflater::new();
    assert_eq!(
        inflater.inflate(&[0x07], 100).unwrap_err().code,
        CloseCode::INVALID_DATA
    );
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflater.inflate(&hello, 5).unwrap(), b"Hello");
}

fn accepted(offer: &str) -> Option<u8> {
    accept_offer([offer])
        .unwrap()
        .map(|params| params.window_bits)
}

#[test]
fn a_server_takes_the_first_offer_that_it_can_honour() {
    for offer in [
        "permessage-deflate",
        "Permessage-Deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=\"10\" ; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
        "x-webkit-deflate-frame, permessage-deflate",
        "permessage-deflate; server_max_window_bits=16, permessage-deflate",
        "permessage-deflate; unheard_of, , permessage-deflate",
        "mux; max-channels=4; flow-control, permessage-deflate; client_max_window_bits=8",
        OFFER,
    ] {
        assert_eq!(accepted(offer), Some(15), "{offer}");
    }
    assert_eq!(
        accepted("permessage-deflate; server_max_window_bits=9"),
        Some(9)
    );
    assert_eq!(
        accepted("permessage-deflate; server_max_window_bits=\"1\\0\""),
        Some(10)
    );
    assert_eq!(
        accept_offer([
            "foo",
            "permessage-deflate; server_max_window_bits=8, permessage-deflate"
        ])
        .unwrap()
        .map(|params| params.window_bits),
        Some(8)
    );
}

#[test]
fn a_server_declines_offers_that_make_no_sense() {
    for offer in [
        "",
        "foo",
        "permessage-deflate2",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; foo=bar",
    ] {
        assert_eq!(accepted(offer), None, "{offer}");
    }
}

#[test]
fn a_malformed_extension_field_is_an_error() {
    for value in [
        ";",
        "a b",
        "=",
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b c\"",
        "permessage-deflate; a=\"b",
        "permessage-deflate; a=\"b\\",
        "permessage-deflate; a=b c",
        "foo, permessage-deflate; a=ü",
    ] {
        assert!(accept_offer([value]).is_err(), "{value}");
        assert!(check_answer([value]).is_err(), "{value}");
    }
}

#[test]
fn the_servers_answer_is_one_that_the_client_takes() {
    for bits in 8..=15 {
        let offer = format!("{OFFER}; server_max_window_bits={bits}");
        let params = accept_offer([&offer[..]]).unwrap().unwrap();
        assert_eq!(params.window_bits, bits);
        let mut answer = Vec::new();
        encode_params(&mut answer, params);
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.contains("server_max_window_bits"), bits < 15);
        assert_eq!(
            check_answer([&answer[..]]).unwrap().unwrap().window_bits,
            15
        );
    }
}

#[test]
fn a_client_takes_what_it_offered_and_nothing_else() {
    let base = "permessage-deflate; server_no_context_takeover";
    assert_eq!(check_answer([]).unwrap(), None);
    for (more, bits) in [
        ("", 15),
        ("; client_no_context_takeover", 15),
        ("; client_max_window_bits=8", 8),
        ("; client_max_window_bits=12; server_max_window_bits=9", 12),
    ] {
        let params = check_answer([&format!("{base}{more}")[..]]).unwrap();
        assert_eq!(params.unwrap().window_bits, bits);
    }
    for answer in [
        "permessage-deflate",
        "foo",
        "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover; foo",
    ] {
        assert!(check_answer([answer]).is_err(), "{answer}");
    }
}

proptest! {
    #[test]
    fn whatever_is_deflated_inflates_to_the_same(
        payload in prop::collection::vec(0..4_u8, 0..5000),
        bits in 8..=15_u8,
    ) {
        let mut compressed = Vec::new();
        if Deflater::new().deflate(&payload, bits, &mut compressed) {
            prop_assert!(compressed.len() < payload.len());
            let mut inflater = Inflater::new();
            prop_assert_eq!(inflater.inflate(&compressed, payload.len()).unwrap(), &payload[..]);
            prop_assert!(inflater.inflate(&compressed, payload.len() - 1).is_err());
            // Cut anywhere, it is noticed or is a message of its own, but never more than it was.
            for end in 0..compressed.len() {
                if let Ok(shorter) = inflater.inflate(&compressed[..end], payload.len()) {
                    prop_assert!(payload.starts_with(&shorter));
                }
            }
        }
    }

    #[test]
    fn any_bytes_inflate_within_the_limit_or_not_at_all(
        message in prop::collection::vec(any::<u8>(), 0..300),
        bytes_max in 0..2000_usize,
    ) {
        if let Ok(inflated) = Inflater::new().inflate(&message, bytes_max) {
            prop_assert!(inflated.len() <= bytes_max);
        }
    }

    #[test]
    fn any_extension_field_is_read_without_panic(value in "[ -~;=\",\\\\aü]{0,60}") {
        let _ = accept_offer([&value[..]]);
        let _ = check_answer([&value[..]]);
    }
}
