//! One port: the first bytes say what a connection speaks, and once told it stays told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_wire::sniff::{self, Sniffed, sniff};

/// What a connection is, at every length of what it sends.
fn told(input: &[u8], eof: bool) -> Sniffed {
    let mut told = Sniffed::More;
    for length in 0..=input.len() {
        let found = sniff(&input[..length], false);
        assert!(
            told == Sniffed::More || found == told,
            "{told:?} became {found:?} at byte {length}"
        );
        told = found;
    }
    if eof { sniff(input, true) } else { told }
}

#[test]
fn the_first_line_tells() {
    for (input, expected) in [
        ("GET / HTTP/1.1\r\n", Sniffed::Http),
        ("GET / HTTP/1.1\n", Sniffed::Http),
        ("\r\n\r\nGET / HTTP/1.1\r\n", Sniffed::Http),
        ("GET /r/lobby HTTP/9.9\r\n", Sniffed::Http),
        ("G\x01T nonsense HTTP/1.0\r\n", Sniffed::Http),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sniffed::Http2Preface),
        ("GET some milk\n", Sniffed::Text),
        ("GET some milk\r\n", Sniffed::Text),
        ("GET /\r\n", Sniffed::Text),
        ("what is HTTP/1?\n", Sniffed::Text),
        ("see HTTP/1.1!\n", Sniffed::Text),
        ("HTTP/1.1\n", Sniffed::Text),
        ("hello\n", Sniffed::Text),
        ("/join games/42\r\n", Sniffed::Text),
        ("hello\r\n{\"join\":\"lobby\"}\n", Sniffed::Text),
        ("[1,2]\n", Sniffed::Text),
        ("{", Sniffed::Json),
        (" \t\r\n {\"join\":\"lobby\"}", Sniffed::Json),
        ("{ GET / HTTP/1.1\r\n", Sniffed::Json),
        ("é\n", Sniffed::Text),
        ("\u{feff}{}\n", Sniffed::Text),
        ("GET / HTTP/1.1", Sniffed::More),
        ("hello", Sniffed::More),
        ("\r\n", Sniffed::More),
        (" ", Sniffed::More),
        ("", Sniffed::More),
    ] {
        assert_eq!(told(input.as_bytes(), false), expected, "{input:?}");
    }
}

#[test]
fn the_end_ends_the_first_line() {
    for (input, expected) in [
        ("hello", Sniffed::Text),
        ("GET / HTTP/1.1", Sniffed::Http),
        ("GET / HTTP/1.1\r", Sniffed::Http),
        ("PRI * HTTP/2.0", Sniffed::Http2Preface),
        ("\x16", Sniffed::Text),
        ("\x10", Sniffed::Mqtt { version: None }),
        ("\r\n", Sniffed::Text),
        ("", Sniffed::Text),
        ("{", Sniffed::Json),
    ] {
        assert_eq!(told(input.as_bytes(), true), expected, "{input:?}");
    }
}

#[test]
fn a_tls_hello_is_told_by_two_bytes() {
    assert_eq!(told(b"\x16\x03\x01\x02\x00\x01", false), Sniffed::Tls);
    assert_eq!(sniff(b"\x16", false), Sniffed::More);
    assert_eq!(told(b"\x16\x04 hello\n", false), Sniffed::Text);
}

#[test]
fn an_mqtt_connect_is_told_with_its_version() {
    for (input, expected) in [
        (
            &b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"[..],
            Some(4),
        ),
        (b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", Some(5)),
        (b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", Some(3)),
        (b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04", Some(4)),
        (b"\x10\x0c\x00\x04MQTT\xff", Some(255)),
    ] {
        assert_eq!(told(input, false), Sniffed::Mqtt { version: expected });
    }
    for text in [
        &b"\x10\xff\xff\xff\xff\x00\x04MQTT\x04"[..],
        b"\x10\x0c\x00\x04HTTP",
        b"\x10\x0c\x00\x05",
        b"\x10hello\n",
    ] {
        assert_eq!(told(text, false), Sniffed::Text, "{}", text.escape_ascii());
    }
    assert_eq!(sniff(b"\x10\x0c\x00\x04MQ", false), Sniffed::More);
}

#[test]
fn a_first_line_of_100_kb_is_http_when_it_looks_like_a_request() {
    let long = |byte: &str| byte.repeat(100 << 10);
    for (input, expected) in [
        (long("A"), Sniffed::Http),
        (format!("{} / HTTP/1.1\r\n", long("A")), Sniffed::Http),
        (format!("GET /{} HTTP/1.1\r\n", long("a")), Sniffed::Http),
        (format!("GET http://{}", long("a")), Sniffed::Http),
        (format!("\r\nGET /{}", long("a")), Sniffed::Http),
        (long("a"), Sniffed::TooLong),
        (long(" "), Sniffed::TooLong),
        (long("\r\n"), Sniffed::TooLong),
        (long("A b"), Sniffed::TooLong),
        (format!("GET some {}", long("milk ")), Sniffed::TooLong),
        (format!("{}\n", long("a")), Sniffed::TooLong),
    ] {
        let mut told = Sniffed::More;
        for length in (0..input.len()).step_by(1_009).chain([input.len()]) {
            let found = sniff(&input.as_bytes()[..length], false);
            assert!(told == Sniffed::More || found == told);
            told = found;
        }
        assert_eq!(told, expected, "{:?}…", &input[..12]);
        assert_eq!(sniff(input.as_bytes(), true), expected);
    }
}

#[test]
fn farewells_are_what_their_protocols_say() {
    // A record of type alert, fatal, handshake_failure.
    assert_eq!(sniff::tls_refusal(), *b"\x15\x03\x03\x00\x02\x02\x28");

    assert_eq!(sniff::mqtt_refusal(Some(4)), b"\x20\x02\x00\x03");
    assert_eq!(sniff::mqtt_refusal(Some(3)), b"\x20\x02\x00\x03");
    assert_eq!(sniff::mqtt_refusal(Some(9)), b"\x20\x02\x00\x01");
    assert_eq!(sniff::mqtt_refusal(None), b"\x20\x02\x00\x01");
    let v5 = sniff::mqtt_refusal(Some(5));
    assert_eq!(v5[..2], [0x20, v5.len() as u8 - 2]);
    assert_eq!(v5[2..4], [0x00, 0x88]);
    assert_eq!(v5[4] as usize, v5.len() - 5, "the properties' length");
    assert_eq!(v5[5], 0x1f, "a reason string");
    assert_eq!(
        usize::from(u16::from_be_bytes([v5[6], v5[7]])),
        v5.len() - 8
    );
    assert!(std::str::from_utf8(&v5[8..]).is_ok());

    let h2 = sniff::http2_refusal();
    assert_eq!(h2[..9], *b"\0\0\0\x04\0\0\0\0\0", "SETTINGS, empty");
    assert_eq!(h2[9..18], *b"\0\0\x08\x07\0\0\0\0\0", "GOAWAY");
    assert_eq!(h2[18..], *b"\0\0\0\0\0\0\0\x0d", "HTTP_1_1_REQUIRED");
}

proptest! {
    #[test]
    fn what_was_told_stays_told(input in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "[\r\n ]{0,3}(GET|hi|\\{|PRI)? ?[/*a]{0,2} ?(HTTP/[0-9].[0-9])?[\r\n ]{0,3}[a-z]{0,3}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|rest| [b"\x10", rest.as_slice()].concat()),
    ]) {
        told(&input, true);
    }
}
