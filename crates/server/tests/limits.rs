//! Limits through sockets: over cores, on doors without words, and not at all on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod peer;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use peer::{Running, request};
use taut_server::{Config, ConnRates, Limits, PerSecond, RateLimits};
use taut_wire::ws::{CloseCode, Decoder, Event, Opcode, Role, Settings, deflate::Inflater};
use taut_wire::ws::{encode_close, encode_frame};

/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

fn limited(cores: usize, change: impl FnOnce(&mut RateLimits)) -> Running {
    let mut rates = RateLimits {
        exempt: Vec::new(),
        ..RateLimits::default()
    };
    change(&mut rates);
    Running::with(Config {
        cores,
        limits: Limits {
            rates,
            ..Limits::default()
        },
        ..Config::default()
    })
}

fn connect(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Says so many lines and counts how many are taken.
fn taken(server: &Running, room: &str, count: usize) -> usize {
    let mut stream = connect(server);
    let line = format!("{{\"publish\":\"{room}\",\"data\":1}}\n");
    stream.write_all(line.repeat(count).as_bytes()).unwrap();
    let answers = BufReader::new(stream).lines().take(count);
    answers
        .filter(|answer| answer.as_ref().unwrap().contains("\"ok\""))
        .count()
}

#[test]
fn an_address_has_one_rate_at_all_cores() {
    let server = limited(2, |rates| {
        rates.address.messages = PerSecond {
            per_s: 10,
            burst: 100,
        };
    });
    let began = Instant::now();
    let all: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let server = &server;
                scope.spawn(move || taken(server, &format!("r/{number}"), 30))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    let most = 100 + 10 * (usize::try_from(began.elapsed().as_secs()).unwrap() + 1) + 2;
    assert!((100..=most).contains(&all), "{all}");
    server.stop();
}

#[test]
fn this_machine_is_not_limited_unless_it_is_said() {
    let server = Running::new(2);
    assert_eq!(taken(&server, "many", 5_000), 5_000);
    server.stop();
}

#[test]
fn a_socket_that_owes_is_heard_to_its_end() {
    let server = limited(1, |rates| {
        rates.conn = ConnRates {
            messages: PerSecond {
                per_s: 40,
                burst: 2,
            },
            ..rates.conn
        };
    });
    let mut stream = connect(&server);
    let opening = "GET /r/owes HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut said = opening.as_bytes().to_vec();
    for number in 0..20 {
        let text = number.to_string();
        let mask = Some([1, 2, 3, 4]);
        encode_frame(&mut said, true, false, Opcode::Text, text.as_bytes(), mask);
    }
    encode_close(&mut said, CloseCode::NORMAL, "", Some([5, 6, 7, 8]));
    stream.write_all(&said).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    let end = heard
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let settings = Settings {
        role: Role::Client,
        message_bytes_max: 1 << 20,
        deflate: false,
    };
    let mut inflater = Inflater::new();
    let decoded = Decoder::new()
        .decode(&settings, &mut heard[end..], &mut inflater)
        .unwrap();
    let Some(Event::Close(Some(frame))) = decoded.event else {
        panic!("{:?}", decoded.event);
    };
    assert_eq!(frame.code, CloseCode::NORMAL);
    let page = request(
        server.address,
        "GET /r/owes?history HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    for number in 0..20 {
        assert!(page.contains(&format!("\"data\":\"{number}\"")), "{page}");
    }
    server.stop();
}
