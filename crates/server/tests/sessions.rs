//! Sessions of Engine.IO and Socket.IO, packet by packet: what no client library would send, and what two of them send at the wrong moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod peer;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use peer::{Running, request};
use taut_server::{Config, Limits};
use taut_wire::ws::{Decoder, Event, Opcode, Role, Settings, deflate::Inflater, encode_frame};

/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

const SOCKET: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection, byte by byte.
struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Raw {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 65_536];
        let count = self.stream.read(&mut buffer).expect("nothing came");
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }

    /// The head of the next answer, and its body.
    fn answer(&mut self) -> (String, String) {
        let end = loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            assert!(self.read() > 0, "closed before an answer");
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let length = head
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| {
                rest.split("\r\n").next().unwrap().parse().unwrap()
            });
        while self.unread.len() < length {
            assert!(self.read() > 0, "closed within an answer");
        }
        let body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        (head, body)
    }

    /// Everything until the server closes.
    fn rest(mut self) -> String {
        while self.read() > 0 {}
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

/// A session over a WebSocket.
struct Wire {
    raw: Raw,
    decoder: Decoder,
    inflater: Inflater,
}

impl Wire {
    fn new(address: SocketAddr) -> Self {
        let mut raw = Raw::new(address);
        raw.send(SOCKET);
        let (head, _) = raw.answer();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let mut wire = Self {
            raw,
            decoder: Decoder::new(),
            inflater: Inflater::new(),
        };
        assert!(wire.packet().unwrap().starts_with('0'));
        wire
    }

    /// Sends packets in one write, so that none is answered before the next one is here.
    fn send(&mut self, packets: &[&str]) {
        let mut frames = Vec::new();
        for packet in packets {
            let payload = packet.as_bytes();
            encode_frame(
                &mut frames,
                true,
                false,
                Opcode::Text,
                payload,
                Some([1; 4]),
            );
        }
        self.raw.stream.write_all(&frames).unwrap();
    }

    /// The next packet; `None` at the end.
    fn packet(&mut self) -> Option<String> {
        let settings = Settings {
            role: Role::Client,
            message_bytes_max: 1 << 22,
            deflate: false,
        };
        loop {
            let unread = &mut self.raw.unread;
            let decoded = self.decoder.decode(&settings, unread, &mut self.inflater);
            let decoded = decoded.unwrap();
            let consumed = decoded.consumed;
            let (text, closed) = match decoded.event {
                Some(Event::Text(text)) => (Some(text.into_owned()), false),
                Some(Event::Close(_)) => (None, true),
                _ => (None, false),
            };
            unread.drain(..consumed);
            if text.is_some() || closed {
                return text;
            }
            if consumed == 0 && self.raw.read() == 0 {
                return None;
            }
        }
    }

    /// The next packet that begins so; those ahead of it are passed over.
    fn until(&mut self, start: &str) -> String {
        loop {
            let packet = self.packet();
            let packet = packet.unwrap_or_else(|| panic!("closed before {start}"));
            if packet.starts_with(start) {
                return packet;
            }
        }
    }

    /// Enters a namespace (`/den,`, or nothing for `/`); gives the pass.
    fn enter(&mut self, namespace: &str, auth: &str) -> String {
        self.send(&[&format!("40{namespace}{auth}")]);
        let answer = self.until(&format!("40{namespace}"));
        field(&answer, "pid")
    }

    /// Emits something and waits for its acknowledgement.
    fn ask(&mut self, namespace: &str, event: &str) -> String {
        self.send(&[&format!("42{namespace}7{event}")]);
        self.until(&format!("43{namespace}7"))
    }
}

fn field(json: &str, name: &str) -> String {
    let (_, rest) = json.split_once(&format!("\"{name}\":\"")).expect(json);
    rest.split('"').next().unwrap().to_owned()
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

/// Opens a session that polls; gives its target.
fn polling(address: SocketAddr) -> String {
    let mut raw = Raw::new(address);
    raw.send(&get("/socket.io/?EIO=4&transport=polling", ""));
    let (_, body) = raw.answer();
    let sid = field(&body, "sid");
    format!("/socket.io/?EIO=4&transport=polling&sid={sid}")
}

fn posted(target: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn say(address: SocketAddr, target: &str, packets: &str) -> String {
    let mut raw = Raw::new(address);
    raw.send(&posted(target, packets));
    raw.answer().1
}

fn poll(address: SocketAddr, target: &str) -> String {
    let mut raw = Raw::new(address);
    raw.send(&get(target, ""));
    raw.answer().1
}

#[test]
fn a_pass_of_an_earlier_run_ends_nobody_elses_session() {
    let config = || Config {
        cores: 1,
        seal_key: Some([7; 32]),
        ..Config::default()
    };
    let server = Running::with(config());
    let mut ana = Wire::new(server.address);
    let pass = ana.enter("/den,", "");
    server.stop();

    let server = Running::with(config());
    // The first connection of each run is the same Conn by its numbers.
    let mut ben = Wire::new(server.address);
    ben.enter("/den,", "");
    let mut ana = Wire::new(server.address);
    ana.enter("/den,", &format!("{{\"pid\":\"{pass}\"}}"));
    assert!(ben.ask("/den,", "[\"message\",\"hello\"]").contains("ok"));
    assert!(ana.until("42/den,").contains("hello"));
}

#[test]
fn a_payload_that_ends_with_a_separator_is_answered() {
    let server = Running::new(1);
    let target = polling(server.address);
    let refused = say(server.address, &target, "40/den,\u{1e}");
    assert!(refused.contains("\"code\":3"), "{refused}");
}

#[test]
fn the_body_of_a_get_is_not_taken_for_a_request() {
    let server = Running::new(1);
    let hidden = get("/health/live", "");
    let fields = format!("Connection: close\r\nContent-Length: {}\r\n", hidden.len());
    let target = polling(server.address);
    for target in [
        "/socket.io/?EIO=4&transport=polling",
        target.as_str(),
        "/socket.io/socket.io.js",
    ] {
        let mut raw = Raw::new(server.address);
        raw.send(&format!("{}{hidden}", get(target, &fields)));
        let said = raw.rest();
        assert!(said.starts_with("HTTP/1.1 4"), "{target}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{target}: {said}");
    }
    let fields = format!("Content-Length: {}\r\n", hidden.len());
    let mut raw = Raw::new(server.address);
    raw.send(&format!(
        "{}{hidden}",
        get("/socket.io/?EIO=4&transport=polling", &fields)
    ));
    let said = raw.rest();
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
}

#[test]
fn what_follows_a_post_that_was_answered_early_is_not_taken_for_a_request() {
    let server = Running::new(1);
    let target = polling(server.address);
    let hidden = get("/health/live", "");
    let whole = posted(&target, &hidden);
    let (head, body) = whole.split_at(whole.len() - hidden.len());
    let mut raw = Raw::new(server.address);
    raw.send(head);
    // Two POSTs at once end the session, and so the first one is answered.
    while !say(server.address, &target, "3").contains("\"code\"") {}
    raw.send(body);
    let said = raw.rest();
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
}

#[test]
fn a_post_that_does_not_come_in_time_is_not_in_the_way_of_the_next() {
    let server = Running::with(Config {
        cores: 1,
        limits: Limits {
            handshake_ms_max: 50,
            ..Limits::default()
        },
        ..Config::default()
    });
    let target = polling(server.address);
    let mut raw = Raw::new(server.address);
    raw.send(&posted(&target, "3").replace("Length: 1", "Length: 2"));
    let (head, _) = raw.answer();
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    assert_eq!(say(server.address, &target, "40/den,"), "ok");
}

#[test]
#[cfg(target_os = "linux")]
fn a_body_that_comes_with_the_end_of_its_connection_is_heard() {
    let server = Running::new(1);
    let target = polling(server.address);
    let whole = posted(&target, "40/den,");
    let (head, body) = whole.split_at(whole.len() - 7);
    let mut raw = Raw::new(server.address);
    raw.send(head);
    // Answered behind the head, which has been read then.
    request(
        server.address,
        &get("/health/live", "Connection: close\r\n"),
    );
    // The body waits for more, so that the end comes in the same segment.
    let more = 0x8000;
    let socket = socket2::SockRef::from(&raw.stream);
    socket.send_with_flags(body.as_bytes(), more).unwrap();
    raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(poll(server.address, &target).starts_with("40/den,"));
}
