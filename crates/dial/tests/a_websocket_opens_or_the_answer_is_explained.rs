//! The opening handshake: what is asked, what is agreed, and what every other answer means.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod peer;

use peer::{Heard, answering, patient, read_head, serve};
use taut_dial::{Agreed, DialError, Opening, Untold, Url, open, open_websocket};
use taut_wire::ws::handshake::accept_key;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn ask(url: &Url, opening: &Opening, heard: &Heard) -> Result<(Agreed, Vec<u8>), DialError> {
    let mut opened = open(url, &patient(), &Untold).await.unwrap();
    open_websocket(&mut opened.stream, url, opening, heard).await
}

async fn refused(answer: &'static [u8]) -> DialError {
    let (address, _server) = answering(answer).await;
    let url: Url = format!("ws://{address}/x").parse().unwrap();
    ask(&url, &Opening::default(), &Heard::default())
        .await
        .unwrap_err()
}

fn key_of(head: &str) -> &str {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    line.unwrap()
}

#[tokio::test]
async fn what_is_asked_and_agreed_is_told_and_the_rest_is_kept() {
    let (address, head) = serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: chat\r\n\r\n\x01\x02",
            accept_key(key_of(&head))
        );
        // In pieces, as networks do.
        for piece in answer.as_bytes().chunks(7) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        let _ = stream.read(&mut [0]).await;
        head
    })
    .await;
    let url: Url = format!("ws://ana:s3cret@{address}/r/a?b=1")
        .parse()
        .unwrap();
    let opening = Opening {
        protocols: vec!["taut".into(), "chat".into()],
        origin: Some("https://example.org".into()),
        headers: vec![
            ("X-Mine".into(), "1".into()),
            ("Cookie".into(), "hush".into()),
        ],
        deflate: true,
        ..Opening::default()
    };
    let heard = Heard::default();
    let (agreed, mut rest) = ask(&url, &opening, &heard).await.unwrap();
    assert_eq!(agreed.protocol.as_deref(), Some("chat"));
    assert_eq!(agreed.deflate, None);
    rest.truncate(2);
    let head = head.await.unwrap();
    for line in [
        "GET /r/a?b=1 HTTP/1.1",
        &format!("Host: {address}"),
        "Sec-WebSocket-Protocol: taut, chat",
        "Origin: https://example.org",
        "Authorization: Basic YW5hOnMzY3JldA==",
        "X-Mine: 1",
    ] {
        assert!(head.lines().any(|there| there == line), "{line} in {head}");
    }
    let asked = heard.scene("UpgradeAsked");
    assert!(
        asked.contains("Authorization: (not shown)") && asked.contains("Cookie: (not shown)"),
        "{asked}"
    );
    assert!(
        asked.contains(key_of(&head)) && !asked.contains("hush"),
        "{asked}"
    );
    let answered = heard.scene("UpgradeAnswered");
    assert!(
        answered.contains(&format!(
            "accept_got: Some(\"{}\")",
            accept_key(key_of(&head))
        )),
        "{answered}"
    );
    assert!(
        answered.contains(&format!("joined: \"{}258EAFA5-", key_of(&head))),
        "{answered}"
    );
}

#[tokio::test]
async fn frames_behind_the_answer_are_given_back() {
    let (address, _server) = serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let accept = accept_key(key_of(&head));
        let answer = format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\nabc");
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let (_, rest) = ask(&url, &Opening::default(), &Heard::default())
        .await
        .unwrap();
    assert_eq!(rest, b"abc");
}

#[tokio::test]
async fn a_fields_own_host_and_authorization_go_before_the_urls() {
    let (address, head) = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    let url: Url = format!("ws://ana:pw@{address}").parse().unwrap();
    let opening = Opening {
        headers: vec![
            ("host".into(), "other.example".into()),
            ("authorization".into(), "Bearer x".into()),
        ],
        ..Opening::default()
    };
    ask(&url, &opening, &Heard::default()).await.unwrap_err();
    let head = head.await.unwrap();
    assert!(
        head.contains("Host: other.example\r\n") && head.contains("authorization: Bearer x\r\n"),
        "{head}"
    );
    assert_eq!(head.to_lowercase().matches("authorization").count(), 1);
}

#[tokio::test]
async fn other_answers_are_explained() {
    for (answer, status, expected, may_pass) in [
        (&b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"[..], 404, "answered 404 Not Found: there is no WebSocket at this path", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", 200, "a page, where a WebSocket would answer 101", false),
        (b"HTTP/1.1 302 Found\r\nLocation: /else\x1bwhere\r\nContent-Length: 0\r\n\r\n", 0, "no proper HTTP", false),
        (b"HTTP/1.1 302 Found\r\nLocation: https://b.example/\r\nContent-Length: 0\r\n\r\n", 302, "it is elsewhere, at https://b.example/", false),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\ncome later", 503, "answered 503 Busy: come later", true),
        (b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n{\"code\":1,\"detail\":\"not here\"}\r\n0\r\n\r\n", 403, "answered 403 Forbidden: not here", false),
        (b"HTTP/1.1 426 \xc2\x9b31m\r\nContent-Length: 0\r\n\r\n", 426, "answered 426 \\x9b31m", false),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", 101, "Sec-WebSocket-Accept does not belong to our key", false),
        (b"HTTP/1.1 101 X\r\n\r\n", 101, "does not upgrade to websocket", false),
        (b"HTTP/1.1 2 X\r\n\r\n", 0, "no proper HTTP", false),
    ] {
        let error = refused(answer).await;
        let DialError::Handshake { status: got, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*got, status, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.may_pass(), may_pass, "{error}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_shown_by_its_first_words() {
    for (answer, got, looks_like) in [
        (
            &b"SSH-2.0-OpenSSH_9\r\n"[..],
            "SSH-2.0-OpenSSH_9\\r\\n",
            Some("SSH"),
        ),
        (
            b"\x15\x03\x01\x00\x02\x02\x46",
            "\\x15\\x03\\x01\\x00\\x02\\x02F",
            Some("TLS"),
        ),
        (b"\x1b[31mred", "\\x1b[31mred", None),
        (b"HTTPS", "HTTPS", None),
    ] {
        let error = refused(answer).await;
        let DialError::WrongProtocol {
            expected: "HTTP",
            got: said,
            looks_like: looks,
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!((said.as_str(), *looks), (got, looks_like));
    }
    let (address, _server) = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1").await.unwrap();
    })
    .await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let error = ask(&url, &Opening::default(), &Heard::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("it sent `HTTP/1`"), "{error}");
}

#[tokio::test]
async fn silence_and_hanging_up_are_told_apart() {
    let (address, _server) = serve(|mut stream| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let hasty = Opening {
        answer_ms_max: 50,
        ..Opening::default()
    };
    let error = ask(&url, &hasty, &Heard::default()).await.unwrap_err();
    assert!(
        error.to_string().contains(
            "within 50 ms, while waiting for the answer to the WebSocket's opening request"
        ),
        "{error}"
    );
    let (address, _server) = serve(|mut stream| async move { read_head(&mut stream).await }).await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let error = ask(&url, &Opening::default(), &Heard::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DialError::Lost { .. }) && error.may_pass(),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let (address, _server) = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream
            .write_all(b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let error = ask(&url, &Opening::default(), &Heard::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("16384 bytes"), "{error}");
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_hide_the_refusal() {
    let error = refused(b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nyou are").await;
    assert!(
        error.to_string().contains("answered 403 No: you are"),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_without_an_end_is_cut() {
    let (address, _server) = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 500 Oh\r\n\r\n").await;
        while stream.write_all(&[b'x'; 1000]).await.is_ok() {}
    })
    .await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let error = ask(&url, &Opening::default(), &Heard::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DialError::Handshake { status: 500, body, .. } if body.len() == 4096),
        "{error}"
    );
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_refused() {
    let (address, _server) = answering(b"").await;
    let url: Url = format!("ws://{address}").parse().unwrap();
    let opening = Opening {
        headers: vec![("X".into(), "a\r\nb: c".into())],
        ..Opening::default()
    };
    let error = ask(&url, &opening, &Heard::default()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("header's value holds characters that HTTP cannot carry"),
        "{error}"
    );
}
