//! The small languages inside HTTP: percent-encoding, queries, Accept, dates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_wire::http::target::{self, DecodeError};
use taut_wire::http::{self, Limits, date};

#[test]
fn paths_are_decoded_but_never_gain_a_slash() {
    for (encoded, decoded) in [
        ("lobby", Ok("lobby")),
        ("games/42/moves", Ok("games/42/moves")),
        ("a%20b", Ok("a b")),
        ("a+b", Ok("a+b")),
        ("caf%C3%A9", Ok("café")),
        ("caf%c3%a9", Ok("café")),
        ("%25", Ok("%")),
        ("%252F", Ok("%2F")),
        ("%00", Ok("\0")),
        ("", Ok("")),
        ("a%2Fb", Err(DecodeError::Slash)),
        ("a%2fb", Err(DecodeError::Slash)),
        ("%", Err(DecodeError::BadPercent)),
        ("%2", Err(DecodeError::BadPercent)),
        ("%2g", Err(DecodeError::BadPercent)),
        ("%+2", Err(DecodeError::BadPercent)),
        ("%%32", Err(DecodeError::BadPercent)),
        ("%FF", Err(DecodeError::NotUtf8)),
        ("%C3", Err(DecodeError::NotUtf8)),
        ("%ED%A0%80", Err(DecodeError::NotUtf8)),
    ] {
        let found = target::decode_path(encoded);
        assert_eq!(found.as_deref().map_err(|e| *e), decoded, "{encoded}");
    }
}

#[test]
fn queries_are_pairs_in_their_order() {
    let pairs: Vec<_> = target::query_pairs("room=a&room=b%2Fc&&as=ana+maria&who&x=1=2&=y&p=%2B")
        .map(|pair| pair.map(|(name, value)| (name.into_owned(), value.into_owned())))
        .collect::<Result<_, _>>()
        .unwrap();
    let expected = [
        ("room", "a"),
        ("room", "b/c"),
        ("as", "ana maria"),
        ("who", ""),
        ("x", "1=2"),
        ("", "y"),
        ("p", "+"),
    ];
    assert!(
        pairs
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .eq(expected)
    );
    assert_eq!(target::query_pairs("").count(), 0);
    assert_eq!(
        target::query_pairs("a=%zz").next(),
        Some(Err(DecodeError::BadPercent))
    );
}

proptest! {
    #[test]
    fn what_is_percent_encoded_is_decoded_again(text in ".*") {
        let path: String = text.replace('/', "");
        let encoded = target::percent_encode(&path);
        prop_assert_eq!(target::decode_path(&encoded).unwrap(), path.as_str());
        let slashed = target::percent_encode_path(&text);
        prop_assert_eq!(target::decode_path(&slashed).unwrap(), text.as_str());
        let query = format!("{}={}", target::percent_encode(&text), target::percent_encode(&text));
        if !text.is_empty() {
            let (name, value) = target::query_pairs(&query).next().unwrap().unwrap();
            prop_assert_eq!(name, text.as_str());
            prop_assert_eq!(value, text.as_str());
        }
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn no_query_panics(text in ".*") {
        for pair in target::query_pairs(&text) {
            let _ = pair;
        }
        let _ = target::decode_path(&text);
    }
}

#[test]
fn the_best_accepted_candidate_is_chosen() {
    let ours = [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
        "text/html",
    ];
    for (accept, expected) in [
        (None, Some(0)),
        (Some("*/*"), Some(0)),
        (Some("text/event-stream"), Some(1)),
        (Some("TEXT/Event-Stream"), Some(1)),
        (
            Some(
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            ),
            Some(3),
        ),
        (Some("text/*"), Some(1)),
        (Some("text/*, text/event-stream;q=0.5"), Some(3)),
        (Some("text/*;q=0.5, */*;q=0.1"), Some(1)),
        (Some("application/json;q=0, */*"), Some(1)),
        (Some("application/json;q=0.9, text/html;q=0.901"), Some(3)),
        (Some("text/event-stream, */*"), Some(1)),
        (
            Some("text/html;level=1;q=0.3, application/x-ndjson;q=0.4"),
            Some(2),
        ),
        (Some("image/png"), None),
        (Some("text/html;q=0"), None),
        (Some("text/html;q=0.000"), None),
        (Some("text/html;q=2, application/json;q=0.1"), Some(0)),
        (
            Some("text/html;q=abc, nonsense, , application/json"),
            Some(0),
        ),
        (Some(""), None),
        (
            Some("text/html ; Q=0.7 , application/json ; q=0.6"),
            Some(3),
        ),
    ] {
        let field = accept.map_or(String::new(), |accept| format!("Accept: {accept}\r\n"));
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        let (request, _) = http::parse_request(head.as_bytes(), &Limits::default())
            .unwrap()
            .unwrap();
        assert_eq!(http::accepts(&request, &ours), expected, "{accept:?}");
        assert_eq!(http::accepts(&request, &[]), None);
    }
}

#[test]
fn accept_is_read_over_all_its_fields() {
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html;q=0.5\r\nAccept: text/plain\r\n\r\n";
    let (request, _) = http::parse_request(head, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(
        http::accepts(&request, &["text/html", "text/plain"]),
        Some(1)
    );
}

#[test]
fn dates_are_those_of_the_specification() {
    for (unix_s, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(date::imf_fixdate(unix_s), expected);
    }
}
