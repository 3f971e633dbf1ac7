//! Request smuggling (RFC 9112 §11.2): a message that two programs could cut differently is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod http_heads;

use http_heads::{accepted, refused, with_fields};
use taut_wire::http::Framing;

#[test]
fn a_line_ends_in_crlf_and_in_nothing_else() {
    for head in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let violation = refused(head.as_bytes());
        assert_eq!(violation.status, 400, "{head:?}");
        assert_eq!(violation.violation.clause, "RFC 9112 §2.2", "{head:?}");
    }
}

#[test]
fn a_header_line_is_a_token_a_colon_and_a_value() {
    for (fields, clause) in [
        ("Host: a\r\n folded\r\n", "RFC 9112 §5.2"),
        ("Host: a\r\n\tfolded\r\n", "RFC 9112 §5.2"),
        ("Host: a\r\nX: y\r\n \r\n", "RFC 9112 §5.2"),
        (" Host: a\r\n", "RFC 9112 §5.2"),
        ("Host : a\r\n", "RFC 9112 §5.1"),
        ("Host\t: a\r\n", "RFC 9112 §5.1"),
        ("Host: a\r\nContent-Length : 5\r\n", "RFC 9112 §5.1"),
        (
            "Host: a\r\nTransfer-Encoding : chunked\r\n",
            "RFC 9112 §5.1",
        ),
        ("Host: a\r\nno colon\r\n", "RFC 9112 §5"),
        ("Host: a\r\n: empty\r\n", "RFC 9110 §5.1"),
        ("Host: a\r\nX(: y\r\n", "RFC 9110 §5.1"),
        ("Host: a\r\nX Y: z\r\n", "RFC 9110 §5.1"),
        ("Host: a\r\nX\0: z\r\n", "RFC 9110 §5.1"),
        ("Host: a\r\nÄ: z\r\n", "RFC 9110 §5.1"),
        ("Host: a\r\n\x0bContent-Length: 5\r\n", "RFC 9110 §5.1"),
        ("Host: a\r\nX: \0\r\n", "RFC 9110 §5.5"),
        ("Host: a\r\nX: y\x01\r\n", "RFC 9110 §5.5"),
        ("Host: a\r\nX: \x7f\r\n", "RFC 9110 §5.5"),
        ("Host: a\r\nX: \x0b\r\n", "RFC 9110 §5.5"),
    ] {
        let violation = refused(&with_fields(fields));
        assert_eq!(violation.status, 400, "{fields:?}");
        assert_eq!(violation.violation.clause, clause, "{fields:?}");
    }
}

#[test]
fn content_length_is_one_number_given_once() {
    for value in [
        "", "+5", "-5", "5,5", "5, 5", "5,6", "5 5", "0x5", "5.0", "1e1", "five", "5;", "\u{ff15}",
        "'5'", "0b1", "_5", "5_0", "NaN",
    ] {
        let violation = refused(&with_fields(&format!(
            "Host: a\r\nContent-Length: {value}\r\n"
        )));
        assert_eq!(violation.status, 400, "{value:?}");
        assert_eq!(violation.violation.clause, "RFC 9110 §8.6", "{value:?}");
    }
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-length: 6\r\n",
        "Content-Length: 0\r\nX: y\r\nCONTENT-LENGTH: 0\r\n",
    ] {
        let violation = refused(&with_fields(&format!("Host: a\r\n{fields}")));
        assert_eq!(
            (violation.status, violation.violation.clause),
            (400, "RFC 9112 §6.3")
        );
    }
    for huge in ["18446744073709551616", "99999999999999999999999999"] {
        let violation = refused(&with_fields(&format!(
            "Host: a\r\nContent-Length: {huge}\r\n"
        )));
        assert_eq!(violation.status, 413);
    }
}

#[test]
fn transfer_encoding_is_chunked_given_once() {
    for (value, status) in [
        ("", 400),
        ("identity", 400),
        ("chunked, chunked", 400),
        ("chunked, gzip", 400),
        ("chunked, identity", 400),
        ("chunked,", 400),
        (",chunked", 400),
        ("chunked;q=1", 400),
        ("\"chunked\"", 400),
        ("chunked chunked", 400),
        ("x chunked", 400),
        ("gzip", 501),
        ("xchunked", 501),
        ("chunkedx", 501),
        ("gzip, chunked", 501),
        ("gzip;a=b, chunked", 501),
    ] {
        let violation = refused(&with_fields(&format!(
            "Host: a\r\nTransfer-Encoding: {value}\r\n"
        )));
        assert_eq!(violation.status, status, "{value:?}");
    }
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let violation = refused(&with_fields(&format!("Host: a\r\n{fields}")));
        assert_eq!(violation.status, 400, "{fields:?}");
    }
    for value in ["chunked", "Chunked", "CHUNKED", "  chunked \t"] {
        let head = with_fields(&format!("Host: a\r\nTransfer-Encoding: {value}\r\n"));
        assert_eq!(accepted(&head).framing, Framing::Chunked, "{value:?}");
    }
}

#[test]
fn an_absolute_target_names_the_host_of_the_host_field() {
    for (target, host) in [
        ("http://evil/r/x", "good"),
        ("http://good:81/r/x", "good"),
        ("http://good/r/x", "good:81"),
        ("https://good/r/x", "good:80"),
        ("http://good@evil/r/x", "evil"),
        ("http://good,evil/r/x", "good"),
        ("http:///r/x", "good"),
        ("http://", "good"),
        ("http://?x", "good"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refused(head.as_bytes()).status, 400, "{target} {host}");
    }
    for (target, host, path) in [
        ("http://good/r/x", "good", "/r/x"),
        ("HTTP://GOOD/r/x", "good", "/r/x"),
        ("http://good:80/r/x", "good", "/r/x"),
        ("http://good/r/x", "good:80", "/r/x"),
        ("https://good/r/x", "good:443", "/r/x"),
        ("http://[::1]:8080/r/x", "[::1]:8080", "/r/x"),
        ("http://good", "good", "/"),
        ("http://good?since=1", "good", "/"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(accepted(head.as_bytes()).path, path, "{target} {host}");
    }
}
