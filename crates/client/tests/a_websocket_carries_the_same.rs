//! `http://` and `ws://` open a WebSocket with the subprotocol `taut`, which carries what lines carry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{Peer, hasty};
use serde_json::{Value, json};
use taut_client::{Client, Error, Event, Options, Publish, Retry};
use taut_wire::ws::deflate::{Deflater, Inflater};
use taut_wire::ws::handshake::accept_key;
use taut_wire::ws::{
    CloseCode, Decoder, Event as Frame, Opcode, Role, Settings, encode_close, encode_frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The server's end of a WebSocket.
struct Socket {
    stream: TcpStream,
    settings: Settings,
    decoder: Decoder,
    inflater: Inflater,
    input: Vec<u8>,
    head: String,
}

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

impl Socket {
    /// Takes the handshake. `more` are further fields, `behind` is sent in the same breath as the head.
    async fn take(mut stream: TcpStream, more: &str, behind: &[u8]) -> Self {
        let head = read_head(&mut stream).await;
        let accept = accept_key(field(&head, "sec-websocket-key").unwrap());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: taut\r\n{more}\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(behind);
        stream.write_all(&answer).await.unwrap();
        Self {
            stream,
            settings: Settings {
                role: Role::Server,
                message_bytes_max: 1 << 20,
                deflate: !more.is_empty(),
            },
            decoder: Decoder::new(),
            inflater: Inflater::new(),
            input: Vec::new(),
            head,
        }
    }

    async fn hear(&mut self) -> Frame<'static> {
        loop {
            let decoded = self
                .decoder
                .decode(&self.settings, &mut self.input, &mut self.inflater)
                .unwrap();
            let (consumed, event) = (decoded.consumed, decoded.event.map(Frame::into_owned));
            self.input.drain(..consumed);
            if let Some(event) = event {
                return event;
            }
            if consumed == 0 {
                assert!(
                    self.stream.read_buf(&mut self.input).await.unwrap() > 0,
                    "hung up"
                );
            }
        }
    }

    async fn hear_json(&mut self) -> Value {
        match self.hear().await {
            Frame::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, value: &Value) {
        let frame = text_frame(&value.to_string());
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn take_join(&mut self, at: &str) -> Value {
        let asked = self.hear_json().await;
        self.say(
            &json!({"ok":"join","ref":asked["ref"],"room":asked["join"],"at":at,"complete":true}),
        )
        .await;
        asked
    }
}

fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&mut frame, true, false, Opcode::Text, text.as_bytes(), None);
    frame
}

fn message(at: &str, text: &str) -> Value {
    json!({"room":"lobby","at":at,"from":"bo","event":"message","time":1,"data":text})
}

fn url(peer: &Peer) -> String {
    format!("http://{}", peer.address())
}

/// Connects while the peer takes the handshake.
async fn open(
    peer: &Peer,
    options: Options,
    more: &str,
    behind: &[u8],
) -> (Client, taut_client::Events, Socket) {
    let url = url(peer);
    let (connected, socket) = tokio::join!(Client::connect_with(&url, options), async {
        Socket::take(peer.accept_stream().await, more, behind).await
    });
    let (client, events) = connected.unwrap();
    (client, events, socket)
}

#[tokio::test]
async fn the_handshake_asks_for_taut_at_ws() {
    let peer = Peer::listen().await;
    let (_client, _events, socket) = open(&peer, hasty(), "", b"").await;
    assert!(
        socket.head.starts_with("GET /ws HTTP/1.1\r\n"),
        "{}",
        socket.head
    );
    assert_eq!(
        field(&socket.head, "host"),
        Some(peer.address().to_string().as_str())
    );
    assert_eq!(field(&socket.head, "sec-websocket-protocol"), Some("taut"));
    assert_eq!(field(&socket.head, "sec-websocket-extensions"), None);
    assert_eq!(field(&socket.head, "origin"), None);
}

#[tokio::test]
async fn what_comes_right_behind_the_head_is_heard() {
    let peer = Peer::listen().await;
    let bye = text_frame("{\"bye\":\"full\",\"text\":\"no space\"}");
    let (_client, mut events, _socket) = open(&peer, hasty(), "", &bye).await;
    assert!(matches!(events.next().await, Some(Event::Bye { code, .. }) if code == "full"));
}

#[tokio::test]
async fn pings_are_answered_and_fragments_joined() {
    let peer = Peer::listen().await;
    let (client, mut events, mut socket) = open(&peer, hasty(), "", b"").await;
    let (joined, _) = tokio::join!(client.join("lobby"), socket.take_join("e-0"));
    joined.unwrap();
    let text = message("e-1", "grüße").to_string();
    let (first, rest) = text.as_bytes().split_at(text.find('ü').unwrap() + 1);
    let mut frames = Vec::new();
    encode_frame(&mut frames, false, false, Opcode::Text, first, None);
    encode_frame(&mut frames, true, false, Opcode::Ping, b"there?", None);
    encode_frame(&mut frames, true, false, Opcode::Continuation, rest, None);
    for byte in frames {
        socket.stream.write_all(&[byte]).await.unwrap();
    }
    assert!(
        matches!(events.next().await, Some(Event::Message(message)) if message.at.as_str() == "e-1")
    );
    assert_eq!(socket.hear().await, Frame::Pong(b"there?".into()));
}

#[tokio::test]
async fn a_close_that_may_pass_is_followed_by_a_resume() {
    let peer = Peer::listen().await;
    let (client, mut events, mut socket) = open(&peer, hasty(), "", b"").await;
    let (joined, _) = tokio::join!(client.join("lobby"), socket.take_join("e-0"));
    joined.unwrap();
    socket.say(&message("e-1", "one")).await;
    let mut close = Vec::new();
    encode_close(&mut close, CloseCode::RESTART, "updating", None);
    socket.stream.write_all(&close).await.unwrap();
    assert!(
        matches!(socket.hear().await, Frame::Close(Some(close)) if close.code == CloseCode::RESTART)
    );
    assert!(matches!(events.next().await, Some(Event::Message(_))));
    let Some(Event::Disconnected {
        error,
        retry_ms: Some(_),
    }) = events.next().await
    else {
        panic!("not disconnected");
    };
    assert!(error.to_string().contains("updating"), "{error}");
    let mut socket = Socket::take(peer.accept_stream().await, "", b"").await;
    assert_eq!(socket.take_join("e-1").await["since"], "e-1");
    assert!(matches!(events.next().await, Some(Event::Reconnected)));
}

#[tokio::test]
async fn a_close_that_would_come_again_is_not() {
    let peer = Peer::listen().await;
    let (_client, mut events, mut socket) = open(&peer, hasty(), "", b"").await;
    let mut close = Vec::new();
    encode_close(&mut close, CloseCode::POLICY, "origin", None);
    socket.stream.write_all(&close).await.unwrap();
    assert!(matches!(
        events.next().await,
        Some(Event::Disconnected { retry_ms: None, .. })
    ));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_violation_is_told_to_the_server_with_its_code() {
    let peer = Peer::listen().await;
    let (_client, mut events, mut socket) = open(&peer, hasty(), "", b"").await;
    socket.stream.write_all(&[0xc1, 0]).await.unwrap();
    assert!(
        matches!(socket.hear().await, Frame::Close(Some(close)) if close.code == CloseCode::PROTOCOL)
    );
    let event = events.next().await;
    assert!(
        matches!(
            event,
            Some(Event::Disconnected {
                error: Error::Violation(_),
                retry_ms: None
            })
        ),
        "{event:?}"
    );
}

#[tokio::test]
async fn closing_says_goodbye() {
    let peer = Peer::listen().await;
    let (client, _events, mut socket) = open(&peer, hasty(), "", b"").await;
    client.close().await;
    assert!(
        matches!(socket.hear().await, Frame::Close(Some(close)) if close.code == CloseCode::NORMAL)
    );
}

#[tokio::test]
async fn large_units_are_compressed_where_that_was_agreed() {
    let peer = Peer::listen().await;
    let options = Options {
        compression: true,
        ..hasty()
    };
    let (client, mut events, mut socket) = open(&peer, options, DEFLATE, b"").await;
    assert!(field(&socket.head, "sec-websocket-extensions").is_some());
    let (joined, _) = tokio::join!(client.join("lobby"), socket.take_join("e-0"));
    joined.unwrap();
    let long = "so ".repeat(10_000);
    client
        .begin_publish(Publish::to("lobby", long.as_str()))
        .await
        .unwrap();
    assert_eq!(socket.hear_json().await["data"], long);
    let mut compressed = Vec::new();
    let text = message("e-1", &long).to_string();
    assert!(Deflater::new().deflate(text.as_bytes(), 15, &mut compressed));
    let mut frame = Vec::new();
    encode_frame(&mut frame, true, true, Opcode::Text, &compressed, None);
    socket.stream.write_all(&frame).await.unwrap();
    assert!(matches!(events.next().await, Some(Event::Message(_))));
}

#[tokio::test]
async fn what_is_no_taut_server_is_named() {
    for (answer, says, retry) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "404",
            false,
        ),
        (
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            "503",
            true,
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://b.example/\r\nContent-Length: 0\r\n\r\n",
            "https://b.example/",
            false,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0", false),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
            "Accept",
            false,
        ),
        ("", "hung up", true),
    ] {
        let peer = Peer::listen().await;
        let url = url(&peer);
        let (connected, ()) = tokio::join!(Client::connect_with(&url, hasty()), async {
            let mut stream = peer.accept_stream().await;
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = connected.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.retry() != Retry::Never, retry, "{error}");
    }
}

#[tokio::test]
async fn a_socket_without_the_subprotocol_is_none_of_ours() {
    let peer = Peer::listen().await;
    let url = url(&peer);
    let (connected, ()) = tokio::join!(Client::connect_with(&url, hasty()), async {
        let mut stream = peer.accept_stream().await;
        let head = read_head(&mut stream).await;
        let accept = accept_key(field(&head, "sec-websocket-key").unwrap());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    assert!(
        connected
            .unwrap_err()
            .to_string()
            .contains("does not speak `taut`")
    );
}
