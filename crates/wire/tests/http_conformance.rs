//! What servers get wrong: the list that the project keeps, each line with the clause it stands on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod http_heads;

use http_heads::{accepted, refused, with_fields};
use taut_wire::http::{self, BodyDecoder, Framing, Limits};

#[test]
fn a_head_that_breaks_a_clause_gets_the_status_of_that_clause() {
    let heads: &[(&str, u16, &str)] = &[
        // Host
        ("GET / HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            400,
            "RFC 9112 §3.2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
            400,
            "RFC 9112 §3.2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: ana@a\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: ana:secret@a\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.1\r\nHost:   \r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "RFC 9110 §7.2"),
        (
            "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "RFC 9110 §7.2"),
        (
            "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        ("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "RFC 9110 §7.2"),
        (
            "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n",
            400,
            "RFC 9110 §7.2",
        ),
        ("GET / HTTP/1.1\r\nHost: ä\r\n\r\n", 400, "RFC 9110 §7.2"),
        ("GET / HTTP/1.0\r\nHost: a@b\r\n\r\n", 400, "RFC 9110 §7.2"),
        // Target
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2.4"),
        ("GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2"),
        (
            "GET /?q=ä HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            "RFC 9112 §3.2",
        ),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2"),
        (
            "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            "RFC 9112 §3.2",
        ),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2"),
        (
            "GET lobby HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            "RFC 9112 §3.2",
        ),
        ("GET ?q HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2"),
        (
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            "RFC 9112 §3.2",
        ),
        ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §2.3"),
        // Request line
        ("GET\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3"),
        ("GET /\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3"),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9110 §9.1"),
        ("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9110 §9.1"),
        ("GET\t/ HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "RFC 9110 §9.1"),
        // Version
        ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505, "RFC 9110 §15.6.6"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "RFC 9110 §15.6.6"),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "RFC 9110 §15.6.6"),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "RFC 9112 §2.3"),
        ("GET / HTTP/1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §2.3"),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §2.3"),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "RFC 9112 §2.3"),
        ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §2.3"),
        // CONNECT
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            501,
            "RFC 9110 §9.3.6",
        ),
        (
            "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
            501,
            "RFC 9110 §9.3.6",
        ),
        // Framing
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
            400,
            "RFC 9112 §6.3",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "RFC 9112 §6.1",
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "RFC 9112 §6.1",
        ),
        // Expectations
        (
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: a-pony\r\n\r\n",
            417,
            "RFC 9110 §10.1.1",
        ),
    ];
    for (head, status, clause) in heads {
        let violation = refused(head.as_bytes());
        assert_eq!(
            (violation.status, violation.violation.clause),
            (*status, *clause),
            "{head:?}: {violation}"
        );
    }
}

#[test]
fn what_stands_next_to_a_broken_clause_is_accepted() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:a:65535\r\n\r\n",
        "GET / HTTP/1.1\r\nhOST: [::1]\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%C3%A4?q=|{}[]^`\\\"<> HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.9\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX:\u{e4}\t y\r\n\r\n",
    ] {
        accepted(head.as_bytes());
    }
}

#[test]
fn a_chunk_that_breaks_a_clause_is_a_400() {
    let bodies: &[(&str, &str)] = &[
        // Extensions
        ("3;\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;;a\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a;\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;@\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a b\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3; a\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=@\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;=b\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=\"b\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=\"b\"c\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=b\"c\"\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=\"\x01\"\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a\0\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a=\"\\\n\"\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        ("3;a\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1.1"),
        // Sizes
        ("3 \r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3\t\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3 ;a\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        (" 3\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("\r\n3\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        (";a\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("0x3\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("+3\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("-3\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3g\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("00000000000000003\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        // Line ends
        ("3\nabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3\r\nabc\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3\rabc\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3\r\nabc0\r\n\r\n", "RFC 9112 §7.1"),
        ("3\r\nabcd\r\n0\r\n\r\n", "RFC 9112 §7.1"),
        ("3\r\nabc\r0\r\n\r\n", "RFC 9112 §7.1"),
        ("0\r\n\rX", "RFC 9112 §7.1"),
        // Trailers
        ("0\r\n\n", "RFC 9112 §7.1.2"),
        ("0\r\na\r\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\na : b\r\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\n a: b\r\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\na: b\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\na: b\r\n c\r\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\na: \0\r\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\n: b\r\n\r\n", "RFC 9112 §7.1.2"),
        ("0\r\na: b\rc\r\n\r\n", "RFC 9112 §7.1.2"),
    ];
    for (body, clause) in bodies {
        for cut in 1..=body.len() {
            let mut decoder = BodyDecoder::new(Framing::Chunked, 1_000).unwrap();
            let violation = body
                .as_bytes()
                .chunks(cut)
                .find_map(|part| decode_all(&mut decoder, part).err())
                .unwrap_or_else(|| panic!("accepted {body:?} in parts of {cut}"));
            assert_eq!(
                (violation.status, violation.violation.clause),
                (400, *clause),
                "{body:?}"
            );
        }
    }
}

/// Decodes all of `part`; whether the body ended in it.
fn decode_all(decoder: &mut BodyDecoder, mut part: &[u8]) -> Result<bool, http::Violation> {
    while !part.is_empty() {
        let step = decoder.decode(part)?;
        if step.done {
            return Ok(true);
        }
        part = &part[step.consumed..];
    }
    Ok(false)
}

#[test]
fn what_is_100_kb_long_gets_its_own_status() {
    let long = "A".repeat(100 << 10);
    let heads = [
        (format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n"), 501),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (
            format!("GET / HTTP/1.1\r\n{long}: a\r\nHost: a\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\na: {long}\r\n\r\n"),
            431,
        ),
        (format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1{long}\r\nHost: a\r\n\r\n"), 431),
        ("\r\n".repeat(50 << 10), 431),
    ];
    for (head, status) in heads {
        assert_eq!(refused(head.as_bytes()).status, status);
        // Whenever it is told, it is told alike.
        let mut found = None;
        for length in (0..head.len()).step_by(997) {
            match http::parse_request(&head.as_bytes()[..length], &Limits::default()) {
                Ok(None) => assert_eq!(found, None),
                Ok(Some(_)) => panic!("accepted"),
                Err(violation) => {
                    assert_eq!(violation.status, status);
                    found = Some(length);
                }
            }
        }
    }
}

#[test]
fn a_head_has_as_many_fields_and_bytes_as_the_limits_say_and_no_more() {
    let fields =
        |count: usize| with_fields(&format!("Host: a\r\n{}", "x: y\r\n".repeat(count - 1)));
    assert!(http::parse_request(&fields(100), &Limits::default()).is_ok());
    assert_eq!(refused(&fields(101)).status, 431);

    let head = b"GET /abc HTTP/1.1\r\nHost: a\r\n\r\n";
    let exact = Limits {
        head_bytes_max: head.len(),
        headers_max: 1,
        target_bytes_max: 4,
    };
    assert!(http::parse_request(head, &exact).unwrap().is_some());
    for (limits, status) in [
        (
            Limits {
                head_bytes_max: head.len() - 1,
                ..exact
            },
            431,
        ),
        (
            Limits {
                headers_max: 0,
                ..exact
            },
            431,
        ),
        (
            Limits {
                target_bytes_max: 3,
                ..exact
            },
            414,
        ),
    ] {
        assert_eq!(
            http::parse_request(head, &limits).unwrap_err().status,
            status
        );
    }
    let absurd = Limits {
        head_bytes_max: usize::MAX,
        headers_max: usize::MAX,
        target_bytes_max: usize::MAX,
    };
    assert!(http::parse_request(head, &absurd).unwrap().is_some());
    assert_eq!(
        http::parse_request(&fields(101), &absurd)
            .unwrap_err()
            .status,
        431
    );
    let long = with_fields(&format!("Host: a\r\nX: {}\r\n", "y".repeat(70_000)));
    assert_eq!(http::parse_request(&long, &absurd).unwrap_err().status, 431);
    let long = with_fields(&format!("Host: a\r\nX: {}\r\nY: z\r\n", "y".repeat(65_400)));
    let (request, _) = http::parse_request(&long, &absurd).unwrap().unwrap();
    assert_eq!(request.headers.first("y"), Some("z"));
}
