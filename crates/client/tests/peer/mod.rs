//! A scripted server: JSON lines over TCP, said and expected in order. Nothing in it knows rooms.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use taut_client::{Backoff, Options};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections a test plays.
pub(crate) struct Peer {
    listener: TcpListener,
}

/// The place of a peer that has gone: nobody listens there, and nobody else takes it.
pub(crate) struct Away {
    address: SocketAddr,
}

impl Away {
    /// The peer listens again where it did.
    pub(crate) async fn come_back(self) -> Peer {
        let listener = TcpListener::bind(self.address).await.unwrap();
        Peer { listener }
    }
}

/// One connection.
pub(crate) struct Line {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Peer {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("tcp://{}", self.address())
    }

    /// Stops listening.
    pub(crate) fn leave(self) -> Away {
        Away {
            address: self.address(),
        }
    }

    pub(crate) async fn accept(&self) -> Line {
        Line::new(self.accept_stream().await)
    }

    pub(crate) async fn accept_stream(&self) -> TcpStream {
        // A test that hangs says nothing; this is no assertion about speed.
        let accepted = tokio::time::timeout(Duration::from_secs(30), self.listener.accept());
        accepted.await.expect("nobody came").unwrap().0
    }
}

impl Line {
    fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
        }
    }

    /// The next thing that the client asks.
    pub(crate) async fn hear(&mut self) -> Value {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(30), self.reader.read_line(&mut line));
        assert!(
            read.await.expect("the client says nothing").unwrap() > 0,
            "the client hung up"
        );
        serde_json::from_str(&line).unwrap()
    }

    /// Waits until the client hangs up.
    pub(crate) async fn hear_the_end(&mut self) {
        let mut line = String::new();
        while self.reader.read_line(&mut line).await.unwrap_or(0) > 0 {
            line.clear();
        }
    }

    pub(crate) async fn say(&mut self, value: &Value) {
        self.say_raw(&format!("{value}\n")).await;
    }

    pub(crate) async fn say_raw(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
    }

    /// Hears a join and answers it with the room's head.
    pub(crate) async fn take_join(&mut self, at: &str) -> Value {
        let asked = self.hear().await;
        let answer = serde_json::json!({
            "ok": "join", "ref": asked["ref"], "room": asked["join"], "at": at, "complete": true
        });
        self.say(&answer).await;
        asked
    }

    pub(crate) async fn say_message(&mut self, room: &str, at: &str, text: &str) {
        let message = serde_json::json!({
            "room": room, "at": at, "from": "bo", "event": "message", "time": 1, "data": text
        });
        self.say(&message).await;
    }
}

/// Options that come back soon.
pub(crate) fn hasty() -> Options {
    Options {
        backoff: Backoff {
            first_ms: 1,
            most_ms: 20,
        },
        ..Options::default()
    }
}
