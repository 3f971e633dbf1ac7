//! Sessions of Engine.IO and Socket.IO, packet by packet: what no client library would send, and what two of them send at the wrong moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod peer;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use peer::{Running, post, request};
use taut_server::{Config, Limits};
use taut_wire::ws::{Decoder, Event, Opcode, Role, Settings, deflate::Inflater, encode_frame};

/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rooms that a test of several cores uses, so that some of them are at home elsewhere.
const ROOMS: usize = 12;

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
        let mut wire = Self::open(address, SOCKET);
        assert!(wire.packet().unwrap().starts_with('0'));
        wire
    }

    /// A WebSocket for the session that polls at `target`.
    fn upgrade(address: SocketAddr, target: &str) -> Self {
        let (_, fields) = SOCKET.split_once(' ').unwrap();
        let (_, fields) = fields.split_once(' ').unwrap();
        let target = target.replace("=polling", "=websocket");
        Self::open(address, &format!("GET {target} {fields}"))
    }

    fn open(address: SocketAddr, handshake: &str) -> Self {
        let mut raw = Raw::new(address);
        raw.send(handshake);
        let (head, _) = raw.answer();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self {
            raw,
            decoder: Decoder::new(),
            inflater: Inflater::new(),
        }
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
fn a_session_is_in_so_many_namespaces_and_no_more() {
    let server = Running::new(1);
    let mut wire = Wire::new(server.address);
    // One room by many names: each letter may be written in two ways.
    let name = |number: u32| -> String {
        let letter = |bit: u32| if number >> bit & 1 == 1 { "%61" } else { "a" };
        (0..12).map(letter).collect()
    };
    let names: Vec<String> = (0..2_000).map(|n| format!("40/{},", name(n))).collect();
    let packets: Vec<&str> = names.iter().map(String::as_str).collect();
    wire.send(&packets);
    let answers: Vec<String> = names.iter().map(|_| wire.until("4")).collect();
    let entered = answers.iter().filter(|a| a.starts_with("40")).count();
    assert_eq!(entered, 256);
    let refused = answers.iter().find(|a| a.starts_with("44")).unwrap();
    assert!(refused.contains("too-many-rooms-per-conn"), "{refused}");
}

#[test]
fn a_namespace_that_is_left_while_it_is_recovered_does_not_silence_the_others() {
    let server = Running::new(2);
    for number in 0..ROOMS {
        let namespace = format!("/left-{number},");
        let mut wire = Wire::new(server.address);
        let pass = wire.enter(&namespace, "");
        drop(wire);
        let mut wire = Wire::new(server.address);
        let base = format!("base-{number}");
        wire.enter(&format!("/{base},"), "");
        wire.send(&[
            &format!("40{namespace}{{\"pid\":\"{pass}\"}}"),
            &format!("41{namespace}"),
        ]);
        wire.ask(&format!("/{base},"), "[\"message\",\"mine\"]");
        post(server.address, &base, "heard");
        assert!(wire.until(&format!("42/{base},")).contains("heard"));
    }
}

#[test]
fn a_namespace_that_is_left_before_it_was_entered_is_left() {
    let server = Running::new(2);
    for number in 0..ROOMS {
        let mut wire = Wire::new(server.address);
        wire.enter("/base,", "");
        let room = format!("never-{number}");
        wire.send(&[&format!("40/{room},"), &format!("41/{room},")]);
        // Behind both at the room's home.
        wire.send(&["40/,"]);
        wire.until("40{");
        let ask = format!("7[\"who\",\"{room}\"]");
        let mut said = String::new();
        for _ in 0..50 {
            wire.send(&[&format!("42{ask}")]);
            said = wire.until("437");
            if said.contains("\"count\":0") {
                break;
            }
        }
        assert!(said.contains("\"count\":0"), "{said}");
    }
}

#[test]
fn a_namespace_that_is_left_and_entered_again_is_entered() {
    let server = Running::new(2);
    for number in 0..ROOMS {
        let mut wire = Wire::new(server.address);
        let room = format!("again-{number}");
        let (enter, leave) = (format!("40/{room},"), format!("41/{room},"));
        wire.send(&[&enter, &leave, &enter, &leave, &enter]);
        wire.until(&enter);
        wire.ask(&format!("/{room},"), "[\"message\",\"mine\"]");
        post(server.address, &room, "heard");
        assert!(wire.until(&format!("42/{room},")).contains("heard"));
    }
}

#[test]
fn the_verb_does_not_leave_a_room_that_is_another_namespace() {
    let server = Running::new(1);
    let mut wire = Wire::new(server.address);
    wire.enter("", "");
    wire.enter("/den,", "");
    let left = wire.ask("", "[\"leave\",\"den\"]");
    assert!(left.contains("\"error\":\"not-joined\""), "{left}");
    post(server.address, "den", "heard");
    assert!(wire.until("42/den,").contains("heard"));
}

#[test]
fn a_room_that_is_being_left_is_not_shown_as_the_lobby() {
    let server = Running::new(2);
    for number in 0..ROOMS {
        let room = format!("loud-{number}");
        let mut loud = Raw::new(server.address);
        let line = format!("{{\"publish\":\"{room}\",\"data\":\"noise\"}}\n");
        let noise = line.repeat(2_000);
        let mut wire = Wire::new(server.address);
        wire.enter("", "");
        wire.enter(&format!("/{room},"), "");
        let noisy = std::thread::spawn(move || {
            loud.send(&noise);
            loud
        });
        wire.until(&format!("42/{room},"));
        wire.send(&[&format!("41/{room},"), "4213[\"who\",\"lobby\"]"]);
        loop {
            let packet = wire.packet().unwrap();
            if packet.starts_with("4313") {
                break;
            }
            assert!(!packet.starts_with("42[\"message\",\"noise\""), "{packet}");
        }
        wire.ask("", &format!("[\"publish\",\"{room}\",\"end\"]"));
        post(server.address, "lobby", "end");
        assert!(wire.until("42[").contains("end"));
        drop(noisy.join());
    }
}

#[test]
fn a_lobby_that_was_joined_by_the_verb_looks_the_same_after_recovery() {
    let server = Running::new(1);
    let mut wire = Wire::new(server.address);
    let pass = wire.enter("", "");
    wire.ask("", "[\"join\",\"lobby\"]");
    let moved = wire.until("42[\"taut:joined\"");
    let offset = moved.split('"').rev().nth(1).unwrap().to_owned();
    drop(wire);
    post(server.address, "lobby", "missed");
    let mut wire = Wire::new(server.address);
    wire.send(&[&format!("40{{\"pid\":\"{pass}\",\"offset\":\"{offset}\"}}")]);
    let missed = wire.until("42[\"message\"");
    assert!(missed.contains("\"room\":\"lobby\""), "{missed}");
    assert!(missed.ends_with(":lobby\"]"), "{missed}");
}

#[test]
fn a_room_that_is_heard_already_is_not_recovered_from_further_back() {
    let server = Running::new(1);
    let mut wire = Wire::new(server.address);
    let (one, other) = (wire.enter("/den,", ""), wire.enter("/r/den,", ""));
    drop(wire);
    post(server.address, "den", "missed");
    let mut wire = Wire::new(server.address);
    wire.send(&[&format!("40/den,{{\"pid\":\"{one}\"}}")]);
    assert!(wire.until("42/den,").contains("missed"));
    assert_eq!(field(&wire.until("40/den,"), "pid"), one);
    // The Conn is past what this one missed.
    let pass = wire.enter("/r/den,", &format!("{{\"pid\":\"{other}\"}}"));
    assert_ne!(pass, other, "recovered, and something is missing");
}

#[test]
fn an_offset_that_names_a_room_twice_shows_it_once() {
    let server = Running::new(1);
    let mut wire = Wire::new(server.address);
    let pass = wire.enter("", "");
    wire.ask("", "[\"join\",\"den\"]");
    let moved = wire.until("42[\"taut:joined\"");
    let offset = moved.split('"').rev().nth(1).unwrap();
    let den = offset.split('+').nth(1).unwrap();
    let doubled = format!("{offset}+{den}+{den}");
    drop(wire);
    let mut wire = Wire::new(server.address);
    wire.send(&[&format!(
        "40{{\"pid\":\"{pass}\",\"offset\":\"{doubled}\"}}"
    )]);
    wire.until("40{");
    post(server.address, "lobby", "first");
    post(server.address, "den", "once");
    post(server.address, "lobby", "last");
    let mut heard = Vec::new();
    loop {
        let packet = wire.until("42[\"message\"");
        if packet.contains("\"last\"") {
            break;
        }
        heard.push(packet);
    }
    let once = heard.iter().filter(|packet| packet.contains("once"));
    assert!(once.count() <= 1, "{heard:?}");
}

#[test]
fn a_poll_brings_as_much_as_it_may() {
    let server = Running::new(1);
    let target = polling(server.address);
    assert_eq!(say(server.address, &target, "40/den,"), "ok");
    assert!(poll(server.address, &target).starts_with("40/den,"));
    let message = "x".repeat(1_000);
    for _ in 0..100 {
        post(server.address, "den", &message);
    }
    let payload = poll(server.address, &target);
    assert!(payload.len() > 60_000, "{} bytes", payload.len());
    let rest = poll(server.address, &target);
    let count = payload.split('\u{1e}').count() + rest.split('\u{1e}').count();
    assert_eq!(count, 100);
}

#[test]
fn no_session_begins_while_the_server_stops() {
    let server = Running::new(1);
    let whole = get("/socket.io/?EIO=4&transport=polling", "");
    let (first, second) = whole.split_at(whole.len() - 2);
    let mut late = Raw::new(server.address);
    late.send(first);
    let mut wire = Wire::new(server.address);
    wire.enter("/den,", "");
    server.begin_to_stop();
    wire.until("42/den,[\"taut:bye\"");
    late.send(second);
    let (head, _) = late.answer();
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    server.stop();
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

#[test]
fn a_move_while_a_post_is_under_way_loses_nothing_of_it() {
    let server = Running::new(1);
    let mut witness = Wire::new(server.address);
    witness.enter("/den,", "");
    let target = polling(server.address);
    assert_eq!(say(server.address, &target, "40/den,"), "ok");
    assert!(poll(server.address, &target).starts_with("40/den,"));
    let post = posted(&target, "42/den,[\"message\",\"under way\"]");
    let (begun, rest) = post.split_at(post.len() - 5);
    let mut raw = Raw::new(server.address);
    raw.send(begun);
    let mut probe = Wire::upgrade(server.address, &target);
    probe.send(&["2probe"]);
    assert_eq!(probe.packet().as_deref(), Some("3probe"));
    probe.send(&["5"]);
    assert_eq!(probe.packet(), None, "it goes on polling");
    raw.send(rest);
    assert_eq!(raw.answer().1, "ok");
    assert!(witness.until("42/den,").contains("under way"));
    assert_eq!(say(server.address, &target, "3"), "ok");
}
