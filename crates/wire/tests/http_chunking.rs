//! However the bytes are cut, the answer is the same; whatever the bytes are, there is one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_wire::http::{self, BodyDecoder, Framing, Limits, Method};

const LIMITS: Limits = Limits {
    head_bytes_max: 300,
    headers_max: 6,
    target_bytes_max: 40,
};

/// Bytes that look enough like a head to come far.
fn nearly_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\r\n"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b"\r"[..]),
        2 => Just(&b"GET / HTTP/1.1"[..]),
        1 => Just(&b"GET http://a/?x HTTP/1.1"[..]),
        1 => Just(&b"OPTIONS * HTTP/1.0"[..]),
        1 => Just(&b"HTTP/1.1 200 OK"[..]),
        2 => Just(&b"Host: a"[..]),
        1 => Just(&b"Content-Length: 3"[..]),
        1 => Just(&b"Transfer-Encoding: chunked"[..]),
        1 => Just(&b"Expect: 100-continue"[..]),
        1 => Just(&b"Connection: "[..]),
        1 => Just(&b" "[..]),
        1 => Just(&b":"[..]),
        1 => Just(&b"\xff\0"[..]),
        1 => Just(&b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A request head that is accepted.
fn valid_head() -> impl Strategy<Value = Vec<u8>> {
    (
        "[A-Z]{1,10}",
        "/[a-z0-9/%?&=._~-]{0,20}",
        prop::collection::vec(("[a-zA-Z]{1,5}", "[ -~]{0,12}"), 0..5),
    )
        .prop_filter("CONNECT is refused", |(method, ..)| method != "CONNECT")
        .prop_map(|(method, target, fields)| {
            let fields: String = fields
                .iter()
                // Short names: none of them is one that means something.
                .filter(|(name, _)| !["host", "te"].contains(&name.to_ascii_lowercase().as_str()))
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
        })
}

/// A chunked body: its data, and how it is written.
fn valid_chunks() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let chunk = (
        prop::collection::vec(any::<u8>(), 1..40),
        "(;[a-z]{1,3}(=[a-z]{1,3}|=\"[ -!#-Z]{0,4}\")?){0,2}",
    );
    (
        prop::collection::vec(chunk, 0..8),
        "([A-Za-z-]{1,5}:[ -~]{0,6}\r\n){0,3}",
    )
        .prop_map(|(chunks, trailers)| {
            let (mut data, mut written) = (Vec::new(), Vec::new());
            for (chunk, extension) in chunks {
                data.extend_from_slice(&chunk);
                written.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                written.extend_from_slice(&chunk);
                written.extend_from_slice(b"\r\n");
            }
            written.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            (data, written)
        })
}

/// Feeds the parts; the body so far, and how it came out: the bytes it took if it ended, or the violation.
fn decode<'a>(
    framing: Framing,
    parts: impl Iterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<Option<usize>, http::Violation>) {
    let mut body = Vec::new();
    let mut taken = 0;
    let mut decoder = match BodyDecoder::new(framing, 200) {
        Ok(decoder) => decoder,
        Err(violation) => return (body, Err(violation)),
    };
    for mut part in parts {
        while !part.is_empty() {
            match decoder.decode(part) {
                Err(violation) => return (body, Err(violation)),
                Ok(step) => {
                    body.extend_from_slice(step.data);
                    taken += step.consumed;
                    if step.done {
                        return (body, Ok(Some(taken)));
                    }
                    assert!(step.consumed > 0);
                    part = &part[step.consumed..];
                }
            }
        }
    }
    (body, Ok(decoder.is_done().then_some(taken)))
}

proptest! {
    #[test]
    fn every_prefix_of_a_valid_head_is_more(head in valid_head()) {
        let whole = http::parse_request(&head, &Limits::default()).unwrap();
        prop_assert_eq!(whole.map(|(_, length)| length), Some(head.len()));
        for length in 0..head.len() {
            prop_assert!(http::parse_request(&head[..length], &Limits::default()).unwrap().is_none());
        }
    }

    #[test]
    fn what_follows_a_head_does_not_change_it(head in valid_head(), rest in prop::collection::vec(any::<u8>(), 0..50)) {
        let joined = [head.as_slice(), &rest].concat();
        let (request, length) = http::parse_request(&joined, &Limits::default()).unwrap().unwrap();
        let (alone, _) = http::parse_request(&head, &Limits::default()).unwrap().unwrap();
        prop_assert_eq!(length, head.len());
        prop_assert_eq!(format!("{request:?}"), format!("{alone:?}"));
    }

    #[test]
    fn a_longer_input_never_changes_the_answer(input in nearly_head()) {
        let mut told = None;
        for length in 0..=input.len() {
            let found = match http::parse_request(&input[..length], &LIMITS) {
                Ok(None) => None,
                Ok(Some((request, end))) => Some(Ok((format!("{request:?}"), end))),
                Err(violation) => Some(Err(violation)),
            };
            if told.is_some() {
                prop_assert_eq!(&found, &told);
            }
            told = found;
        }
    }

    #[test]
    fn a_longer_input_never_changes_the_response(input in nearly_head()) {
        let mut told = None;
        for length in 0..=input.len() {
            let found = match http::parse_response(&input[..length], &LIMITS, &Method::Get) {
                Ok(None) => None,
                Ok(Some((response, end))) => Some(Ok((format!("{response:?}"), end))),
                Err(violation) => Some(Err(violation)),
            };
            if told.is_some() {
                prop_assert_eq!(&found, &told);
            }
            told = found;
        }
    }

    #[test]
    fn no_bytes_panic(input in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = http::parse_request(&input, &LIMITS);
        let _ = http::parse_response(&input, &LIMITS, &Method::Head);
        for framing in [Framing::None, Framing::Length(7), Framing::Chunked, Framing::ToEnd] {
            let _ = decode(framing, std::iter::once(input.as_slice()));
        }
    }

    #[test]
    fn chunks_are_decoded_however_they_are_cut((data, written) in valid_chunks(), cut in 1..50usize) {
        prop_assume!(data.len() <= 200);
        let with_more = [written.as_slice(), b"GET /"].concat();
        let (body, end) = decode(Framing::Chunked, with_more.chunks(cut));
        prop_assert_eq!(end, Ok(Some(written.len())));
        prop_assert_eq!(body, data);
        for length in 0..written.len() {
            let (_, end) = decode(Framing::Chunked, std::iter::once(&written[..length]));
            prop_assert_eq!(end, Ok(None));
        }
    }

    #[test]
    fn nearly_chunks_are_judged_alike_however_they_are_cut(
        input in "([0-9a]{0,2}(;[a\" =]{0,2})?(\r\n|\n|\r| )?[a-z]{0,3}(\r\n)?){0,6}",
        cut in 1..20usize,
    ) {
        let whole = decode(Framing::Chunked, std::iter::once(input.as_bytes()));
        let parts = decode(Framing::Chunked, input.as_bytes().chunks(cut));
        prop_assert_eq!(whole, parts);
    }
}
