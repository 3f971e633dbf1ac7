//! The opening handshake, both roles: RFC 6455's example, every rule of §4.1 and §4.2.1, and the two sides together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use taut_wire::Violation;
use taut_wire::http::{Limits, Method, parse_request, parse_response};
use taut_wire::ws::deflate::Params;
use taut_wire::ws::handshake::{
    Agreed, Answer, AnswerSettings, Opening, Refused, accept_key, answer, check_response,
    encode_answer, encode_request,
};

const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const OPENING: Opening<'_> = Opening {
    host: "server.example.com",
    path_and_query: "/chat?x=1",
    key: b"the sample nonce",
    protocols: &["taut", "mqtt"],
    origin: Some("http://example.com"),
    headers: &[("Authorization", "Bearer x y")],
    deflate: true,
};

const SETTINGS: AnswerSettings<'_> = AnswerSettings {
    protocols: &["mqtt", "taut"],
    deflate: true,
};

fn answer_to(head: &str, settings: &AnswerSettings<'_>) -> Result<Answer, Refused> {
    let (request, _) = parse_request(head.as_bytes(), &Limits::default())
        .unwrap()
        .unwrap();
    answer(&request, settings)
}

/// The example with one piece of it replaced.
fn answer_with(from: &str, to: &str) -> Result<Answer, Refused> {
    assert!(GOOD.contains(from));
    answer_to(&GOOD.replace(from, to), &SETTINGS)
}

/// The example with a field more.
fn answer_and(field: &str) -> Result<Answer, Refused> {
    answer_with("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"))
}

fn check(head: &[u8], opening: &Opening<'_>) -> Result<Agreed, Violation> {
    let (response, _) = parse_response(head, &Limits::default(), &Method::Get)
        .unwrap()
        .unwrap();
    check_response(&response, opening)
}

#[test]
fn the_example_of_the_rfc() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    let answer = answer_to(GOOD, &SETTINGS).unwrap();
    let mut out = Vec::new();
    encode_answer(&mut out, &answer);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn names_and_tokens_are_read_without_case_and_in_lists() {
    for (from, to) in [
        ("Upgrade: websocket", "uPGRADE: WebSocket"),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        (
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: UPGRADE",
        ),
        ("Upgrade: websocket", "Upgrade: h2c, websocket"),
    ] {
        assert!(answer_with(from, to).is_ok(), "{to}");
    }
}

#[test]
fn what_is_no_handshake_is_refused_with_its_status() {
    for (from, to, status) in [
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket", "Upgrade: h2c", 426),
        ("HTTP/1.1", "HTTP/1.0", 426),
        ("GET", "POST", 405),
        ("Connection: Upgrade\r\n", "", 400),
        ("Connection: Upgrade", "Connection: keep-alive", 400),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTE=", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "SGVsbG8sIHdvcmxkIQ==", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25-ZQ==", 400),
        ("Sec-WebSocket-Version: 13\r\n", "", 400),
        ("Version: 13", "Version: 8", 426),
        ("Version: 13", "Version: 13, 8", 426),
        ("Version: 13", "Version: 013", 426),
        ("Version: 13", "Version: ", 426),
    ] {
        let refused = answer_with(from, to).unwrap_err();
        assert_eq!(refused.status, status, "{to}: {refused:?}");
        let names_version = refused.headers().contains(&("Sec-WebSocket-Version", "13"));
        assert_eq!(names_version, status == 426);
    }
    for (field, status) in [
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
        ("Sec-WebSocket-Version: 13", 426),
        ("Sec-WebSocket-Version: 8", 426),
        ("Content-Length: 5", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Sec-WebSocket-Protocol: a b", 400),
        ("Sec-WebSocket-Protocol: \"taut\"", 400),
        ("Sec-WebSocket-Extensions: permessage-deflate;", 400),
    ] {
        assert_eq!(answer_and(field).unwrap_err().status, status, "{field}");
    }
    assert!(answer_and("Content-Length: 0").is_ok());
}

#[test]
fn the_server_prefers_its_own_order_of_subprotocols() {
    for (field, chosen) in [
        ("Sec-WebSocket-Protocol: taut, mqtt", Some("mqtt")),
        (
            "Sec-WebSocket-Protocol: taut\r\nSec-WebSocket-Protocol: other,mqtt",
            Some("mqtt"),
        ),
        ("Sec-WebSocket-Protocol: other,,taut ,", Some("taut")),
        ("Sec-WebSocket-Protocol: TAUT", None),
        ("Sec-WebSocket-Protocol: tau, tauts", None),
    ] {
        assert_eq!(
            answer_and(field).unwrap().protocol.as_deref(),
            chosen,
            "{field}"
        );
    }
}

#[test]
fn deflate_is_agreed_only_if_it_is_wanted() {
    let field = "Sec-WebSocket-Extensions: foo, permessage-deflate; server_max_window_bits=10";
    let head = GOOD.replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    let wanted = answer_to(&head, &SETTINGS).unwrap();
    assert_eq!(wanted.deflate, Some(Params { window_bits: 10 }));
    let mut out = Vec::new();
    encode_answer(&mut out, &wanted);
    assert!(String::from_utf8(out).unwrap().ends_with(
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
         client_no_context_takeover; server_max_window_bits=10\r\n\r\n"
    ));
    let unwanted = AnswerSettings {
        deflate: false,
        ..SETTINGS
    };
    assert_eq!(answer_to(&head, &unwanted).unwrap().deflate, None);
}

#[test]
fn our_client_and_our_server_understand_each_other() {
    for deflate in [false, true] {
        let opening = Opening { deflate, ..OPENING };
        let mut request = Vec::new();
        encode_request(&mut request, &opening).unwrap();
        let head = String::from_utf8(request).unwrap();
        assert!(head.starts_with("GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\n"));
        assert!(head.contains("\r\nAuthorization: Bearer x y\r\n"));
        assert!(head.contains("\r\nOrigin: http://example.com\r\n"));
        let mut response = Vec::new();
        encode_answer(&mut response, &answer_to(&head, &SETTINGS).unwrap());
        let agreed = check(&response, &opening).unwrap();
        assert_eq!(agreed.protocol.as_deref(), Some("mqtt"));
        assert_eq!(
            agreed.deflate,
            deflate.then_some(Params { window_bits: 15 })
        );
    }
}

#[test]
fn an_answer_that_does_not_hold_is_a_violation() {
    let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert!(check(good.as_bytes(), &OPENING).is_ok());
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for (from, to) in [
        ("101 Switching Protocols", "200 OK"),
        ("Upgrade: websocket\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Connection: Upgrade\r\n", ""),
        (accept, ""),
        ("s3pPLMBi", "S3pPLMBi"),
        (accept, &format!("{accept}{accept}")),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: other\r\n\r\n"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: taut, mqtt\r\n\r\n"),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Protocol: taut\r\nSec-WebSocket-Protocol: taut\r\n\r\n",
        ),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: foo\r\n\r\n"),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
    ] {
        let head = good.replace(from, to);
        assert!(check(head.as_bytes(), &OPENING).is_err(), "{head}");
    }
    let deflated = good.replace(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n",
    );
    assert!(check(deflated.as_bytes(), &OPENING).is_ok());
    let plain = Opening {
        deflate: false,
        ..OPENING
    };
    assert!(check(deflated.as_bytes(), &plain).is_err());
}

#[test]
fn nothing_smuggles_a_line_into_the_request() {
    let evil = "x\r\nEvil: 1";
    let openings = [
        Opening {
            host: evil,
            ..OPENING
        },
        Opening {
            host: "",
            ..OPENING
        },
        Opening {
            path_and_query: "/x HTTP/1.1\r\nEvil: 1",
            ..OPENING
        },
        Opening {
            path_and_query: "chat",
            ..OPENING
        },
        Opening {
            protocols: &["taut", "x\r\nEvil: 1"],
            ..OPENING
        },
        Opening {
            origin: Some(evil),
            ..OPENING
        },
        Opening {
            headers: &[("X", "x\r\nEvil: 1")],
            ..OPENING
        },
        Opening {
            headers: &[("X: 1\r\nEvil", "1")],
            ..OPENING
        },
    ];
    for opening in openings {
        let mut out = Vec::new();
        assert!(encode_request(&mut out, &opening).is_err(), "{opening:?}");
        assert!(out.is_empty());
    }
}

proptest! {
    #[test]
    fn any_field_value_is_answered_or_refused(
        name in prop::sample::select(vec![
            "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Version",
            "Sec-WebSocket-Key", "Upgrade", "Connection",
        ]),
        value in "[ -~]{0,60}",
    ) {
        if let Ok(answer) = answer_and(&format!("{name}: {value}")) {
            let mut out = Vec::new();
            encode_answer(&mut out, &answer);
            let lines = out.split(|byte| *byte == b'\n').count();
            prop_assert!(lines <= 8);
        }
    }
}
