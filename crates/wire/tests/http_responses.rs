//! What we answer can be read back, and what others answer has one meaning only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use taut_wire::http::{self, Framing, Limits, Method, Response, Version, problem};

fn parse<'b>(input: &'b [u8], method: &Method<'_>) -> Option<(Response<'b>, usize)> {
    http::parse_response(input, &Limits::default(), method).unwrap()
}

#[test]
fn a_response_head_is_written_and_read_back() {
    let mut out = Vec::new();
    http::encode_response_head(
        &mut out,
        200,
        &[
            ("Content-Type", "application/json"),
            ("Content-Length", "2"),
        ],
    );
    assert_eq!(
        out,
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    );
    let length = out.len();
    out.extend_from_slice(b"{}");
    let (response, end) = parse(&out, &Method::Get).unwrap();
    assert_eq!(end, length);
    assert_eq!(response.version, Version::Http11);
    assert_eq!(response.status, 200);
    assert_eq!(response.reason, b"OK");
    assert_eq!(response.framing, Framing::Length(2));
    assert_eq!(
        response.headers.first("content-type"),
        Some("application/json")
    );
    assert!(response.keep_alive);
}

#[test]
fn no_value_can_begin_a_line_of_its_own() {
    let mut out = Vec::new();
    http::encode_response_head(&mut out, 200, &[("X", "a\r\nSet-Cookie: b\0\x7f")]);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b  \r\n\r\n");

    let mut out = Vec::new();
    http::encode_request(&mut out, &Method::Get, "/a b\r\n", "h\r\nX: y", &[]);
    assert_eq!(out, b"GET /ab HTTP/1.1\r\nHost: h  X: y\r\n\r\n");
}

#[test]
fn every_status_that_we_send_has_its_words() {
    for status in [
        100, 101, 200, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 406, 408, 409, 412, 413,
        414, 415, 416, 417, 422, 426, 429, 431, 500, 501, 502, 503, 505,
    ] {
        assert_ne!(http::reason_phrase(status), "", "{status}");
    }
    let mut out = Vec::new();
    http::encode_response_head(&mut out, 299, &[]);
    assert_eq!(out, b"HTTP/1.1 299 \r\n\r\n");
    assert_eq!(parse(&out, &Method::Get).unwrap().0.status, 299);
}

#[test]
fn a_request_is_written_and_read_back() {
    let mut out = Vec::new();
    http::encode_request(
        &mut out,
        &Method::Post,
        "/r/lobby?event=move",
        "localhost:8080",
        &[("Content-Length", "5")],
    );
    let (request, length) = http::parse_request(&out, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(length, out.len());
    assert_eq!(request.method, Method::Post);
    assert_eq!(
        (request.path, request.query),
        ("/r/lobby", Some("event=move"))
    );
    assert_eq!(request.host.unwrap().port, Some(8080));
    assert_eq!(request.framing, Framing::Length(5));
}

#[test]
fn where_a_response_ends_depends_on_the_request_and_the_status() {
    for (method, status, fields, framing, keep_alive) in [
        (Method::Get, 200, "", Framing::ToEnd, false),
        (
            Method::Get,
            200,
            "Content-Length: 5\r\n",
            Framing::Length(5),
            true,
        ),
        (
            Method::Get,
            200,
            "Transfer-Encoding: chunked\r\n",
            Framing::Chunked,
            true,
        ),
        (
            Method::Get,
            200,
            "Content-Length: 5\r\nConnection: close\r\n",
            Framing::Length(5),
            false,
        ),
        (
            Method::Head,
            200,
            "Content-Length: 5\r\n",
            Framing::None,
            true,
        ),
        (Method::Get, 100, "", Framing::None, true),
        (Method::Get, 101, "", Framing::None, true),
        (Method::Get, 204, "", Framing::None, true),
        (
            Method::Get,
            304,
            "Content-Length: 5\r\n",
            Framing::None,
            true,
        ),
        (Method::Connect, 200, "", Framing::None, true),
        (Method::Connect, 407, "", Framing::ToEnd, false),
    ] {
        let head = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        let (response, _) = parse(head.as_bytes(), &method).unwrap();
        assert_eq!(
            (response.framing, response.keep_alive),
            (framing, keep_alive),
            "{method} {head:?}"
        );
    }
}

#[test]
fn reasons_may_be_missing() {
    for head in ["HTTP/1.1 200\r\n\r\n", "HTTP/1.0 200 \r\n\r\n"] {
        assert_eq!(parse(head.as_bytes(), &Method::Get).unwrap().0.reason, b"");
    }
    let (response, _) = parse(b"HTTP/1.1 404 gibt es nicht\r\n\r\n", &Method::Get).unwrap();
    assert_eq!(response.reason, b"gibt es nicht");
}

#[test]
fn what_is_no_response_is_refused() {
    for head in [
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    ] {
        let parsed = http::parse_response(head.as_bytes(), &Limits::default(), &Method::Get);
        assert!(parsed.is_err(), "{head:?}");
    }
}

#[test]
fn a_problem_is_json_whatever_its_words() {
    let mut out = Vec::new();
    problem::encode(&mut out, 404, "Not Found", "no room \"a\\b\"\n", "no-room");
    let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        read,
        serde_json::json!({"title": "Not Found", "status": 404, "detail": "no room \"a\\b\"\n", "code": "no-room"})
    );
}
