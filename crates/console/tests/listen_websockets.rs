//! ws:// in every mode, to a client written by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod listen_support;

use listen_support::{Listener, Peer};
use taut_wire::ws::{CloseCode, Opcode, encode_close, encode_frame};

const HANDSHAKE: &str = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Opens a WebSocket; gives the head of the answer too.
async fn open(listener: &Listener, fields: &str) -> (Peer, String) {
    let mut peer = listener.connect().await;
    let request = format!("GET /any/path?x HTTP/1.1\r\n{HANDSHAKE}{fields}\r\n");
    peer.send(request.as_bytes()).await;
    let head = peer.until("\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{head}"
    );
    (peer, head)
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    masked(true, opcode, payload)
}

fn masked(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(&mut out, fin, false, opcode, payload, Some([1, 2, 3, 4]));
    out
}

/// A frame as a server sends it.
fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(&mut out, true, false, opcode, payload, None);
    out
}

fn close(code: CloseCode, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_close(&mut out, code, reason, mask);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_of_the_same_type_and_pings_are_answered() {
    let listener = Listener::start(&["--echo", "ws://:0"]).await;
    let (mut peer, head) = open(&listener, "Sec-WebSocket-Protocol: chat, mqtt\r\n").await;
    assert!(
        head.contains("Sec-WebSocket-Protocol: chat\r\n"),
        "the first that is offered: {head}"
    );
    peer.send(&frame(Opcode::Text, "héllo".as_bytes())).await;
    peer.expect(&plain(Opcode::Text, "héllo".as_bytes())).await;
    peer.send(&frame(Opcode::Binary, b"\xff\x00")).await;
    peer.expect(&plain(Opcode::Binary, b"\xff\x00")).await;
    peer.send(&masked(false, Opcode::Text, b"in ")).await;
    peer.send(&frame(Opcode::Ping, b"there?")).await;
    peer.expect(&plain(Opcode::Pong, b"there?")).await;
    peer.send(&frame(Opcode::Continuation, b"parts")).await;
    peer.expect(&plain(Opcode::Text, b"in parts")).await;
    peer.send(&close(CloseCode(3001), "bye", Some([0; 4])))
        .await;
    peer.expect(&close(CloseCode(3001), "", None)).await;
    assert_eq!(peer.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_are_closed_with_their_code_and_told() {
    let listener = Listener::start(&["--echo", "--max-bytes", "100", "ws://:0"]).await;
    let cases = [
        (
            plain(Opcode::Text, b"no mask"),
            CloseCode::PROTOCOL,
            "without a mask",
        ),
        (
            frame(Opcode::Text, b"\xff"),
            CloseCode::INVALID_DATA,
            "UTF-8",
        ),
        (
            frame(Opcode::Text, &[b'x'; 101]),
            CloseCode::TOO_BIG,
            "larger than",
        ),
    ];
    for (bytes, code, told) in cases {
        let (mut peer, _) = open(&listener, "").await;
        peer.send(&bytes).await;
        let close = plain(Opcode::Close, &code.0.to_be_bytes());
        peer.expect(&close[..1]).await;
        let rest = peer.rest().await;
        assert!(rest.contains(told), "{rest}");
        listener.stderr.until(told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_is_a_message_and_then_the_close() {
    let listener = Listener::start(&["--greet", "hello", "ws://:0"]).await;
    let (mut peer, _) = open(&listener, "").await;
    peer.expect(&plain(Opcode::Text, b"hello")).await;
    peer.expect(&close(CloseCode::NORMAL, "", None)).await;
    peer.send(&close(CloseCode::NORMAL, "", Some([0; 4]))).await;
    assert_eq!(peer.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_a_message_for_each_line() {
    let listener = Listener::start(&["ws://:0"]).await;
    let (mut peer, _) = open(&listener, "").await;
    peer.send(&frame(Opcode::Text, b"two\nlines")).await;
    listener.stdout.until("[1] two\n[1] lines\n").await;
    listener.type_in("typed\nlast\n");
    peer.expect(&plain(Opcode::Text, b"typed")).await;
    peer.expect(&plain(Opcode::Text, b"last")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_printed_a_line_each_and_bytes_as_they_are() {
    let listener = Listener::start(&["--print", "ws://:0"]).await;
    let (mut peer, _) = open(&listener, "").await;
    peer.send(&frame(Opcode::Text, b"one")).await;
    peer.send(&frame(Opcode::Binary, b"two")).await;
    peer.send(&frame(Opcode::Binary, b"three")).await;
    listener.stdout.until("one\ntwothree").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_talk_to_each_other() {
    let listener = Listener::start(&["--chat", "-v", "ws://:0"]).await;
    let (mut ana, _) = open(&listener, "").await;
    listener.stderr.until("* [1]").await;
    let (mut bo, _) = open(&listener, "").await;
    listener.stderr.until("* [2]").await;
    ana.send(&frame(Opcode::Text, b"hi")).await;
    bo.expect(&plain(Opcode::Text, b"client-1: hi")).await;
    bo.send(&frame(Opcode::Binary, b"\xff\xff")).await;
    ana.expect(&plain(Opcode::Text, b"client-2: <2 bytes>"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_and_says_a_line_for_each_message() {
    let listener = Listener::start(&[
        "--exec",
        "while read -r line; do echo \"got $line\"; done",
        "ws://:0",
    ])
    .await;
    let (mut peer, _) = open(&listener, "").await;
    for word in ["one", "two"] {
        peer.send(&frame(Opcode::Text, word.as_bytes())).await;
        peer.expect(&plain(Opcode::Text, format!("got {word}").as_bytes()))
            .await;
    }
    let listener = Listener::start(&["--exec", "echo bye; exit 7", "ws://:0"]).await;
    let (mut peer, _) = open(&listener, "").await;
    peer.expect(&plain(Opcode::Text, b"bye")).await;
    peer.expect(&close(
        CloseCode::INTERNAL,
        "the command ended with exit status: 7",
        None,
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_answered_as_http() {
    let listener = Listener::start(&["--echo", "ws://:0"]).await;
    let answer = listener.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 426 ") && answer.contains("\r\nUpgrade: websocket\r\n"),
        "{answer}"
    );
    let answer = listener.ask(b"hello\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = listener.ask(&[b'x'; 100_000]).await;
    assert!(
        answer.starts_with("HTTP/1.1 ") || answer.is_empty(),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_after_the_first_client() {
    let listener = Listener::start(&["--once", "--print", "ws://:0"]).await;
    let (mut peer, _) = open(&listener, "").await;
    peer.send(&frame(Opcode::Text, b"only")).await;
    peer.send(&close(CloseCode::NORMAL, "", Some([0; 4]))).await;
    peer.expect(&close(CloseCode::NORMAL, "", None)).await;
    let stdout = listener.stdout.clone();
    assert_eq!(listener.ended().await, Ok(()));
    assert_eq!(stdout.text(), "only\n");
}
