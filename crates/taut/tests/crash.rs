//! `kill -9` at random moments, under load from several doors: everything that was acknowledged is there, in order, once, and positions never go back.
//!
//! `TAUT_CRASH_ROUNDS=300 cargo nextest run -p taut --test crash` plays the long game; the test suite a few rounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const ROOMS: [&str; 3] = ["crash/a", "crash/b", "power/a"];
const CONFIG: &str = r#"
[[rooms]]
match = "**"
history = { messages_max = 1_000_000, age_ms_max = "1d", bytes_max = "1GiB" }

[[rooms]]
match = "power/**"
durability = "power"

[hub]
tail_messages_max = 100
"#;

/// What was acknowledged: room and offset of each body, which nobody says twice.
type Acknowledged = Arc<Mutex<BTreeMap<String, (String, u64)>>>;

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(dir: &Path, port: u16) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_taut"))
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--listen", &format!("udp://127.0.0.1:{port}")])
            .arg("--data")
            .arg(dir.join("data"))
            .arg("--config")
            .arg(dir.join("taut.toml"))
            .args(["--cores", "2", "--log-level", "warn"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn kill(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn lines(port: u16) -> std::io::Result<(TcpStream, BufReader<TcpStream>)> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let reader = BufReader::new(stream.try_clone()?);
    Ok((stream, reader))
}

fn offset(at: &Value) -> u64 {
    let at = at.as_str().unwrap();
    at.split_once('-').unwrap().1.parse().unwrap()
}

fn ask(port: u16, request: &Value) -> Value {
    let (mut stream, mut reader) = lines(port).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// A body as arguments, with something binary behind it.
fn args(body: &str) -> Value {
    json!([body, {"base64": "AAH/"}])
}

/// The body of a message, however it was said.
fn said(message: &Value) -> Option<String> {
    let body = message.get("data").or_else(|| message["args"].get(0))?;
    let body = body.as_str().unwrap().to_owned();
    if let Some(args) = message.get("args") {
        assert_eq!(*args, self::args(&body));
    }
    Some(body)
}

/// What a room was found to hold: the body of offset n at n - 1.
struct Kept {
    at: Value,
    bodies: Vec<String>,
}

impl Kept {
    fn nothing() -> Self {
        Self {
            at: json!("0-0"),
            bodies: Vec::new(),
        }
    }

    /// Reads on from where it stands: what comes must follow, or the room went back.
    fn read_on(&mut self, port: u16, room: &str) {
        loop {
            let page = ask(
                port,
                &json!({"history": room, "since": self.at, "limit": 1000}),
            );
            let began = self.bodies.is_empty();
            assert!(began || page["complete"] == json!(true), "{room}: {page}");
            for message in page["messages"].as_array().unwrap() {
                self.bodies.push(said(message).unwrap());
                assert_eq!(
                    offset(&message["at"]),
                    self.bodies.len() as u64,
                    "{room} has a hole"
                );
            }
            self.at = page["at"].clone();
            if page["more"] != json!(true) {
                return;
            }
        }
    }
}

/// Says as much as it can over lines, eight at a time, until the server is gone.
fn speak_lines(port: u16, name: &str, room: &str, acknowledged: &Acknowledged) {
    let Ok((mut stream, mut reader)) = lines(port) else {
        return;
    };
    let (mut said, mut answered) = (0_u64, 0_u64);
    loop {
        while said < answered + 8 {
            let body = format!("{name} {said}");
            let unit = if said % 5 == 4 {
                let batch = json!([{"data": format!("{body} first")}, {"data": body}]);
                json!({"publish": room, "batch": batch, "id": body, "ref": said})
            } else if said % 5 == 3 {
                json!({"publish": room, "args": args(&body), "id": body, "ref": said})
            } else {
                json!({"publish": room, "data": body, "id": body, "ref": said})
            };
            if writeln!(stream, "{unit}").is_err() {
                return;
            }
            said += 1;
        }
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || !line.ends_with('\n') {
            return;
        }
        let reply: Value = serde_json::from_str(&line).unwrap();
        answered += 1;
        if reply["ok"] == json!("publish") {
            let body = format!("{name} {}", reply["ref"]);
            let place = (room.to_owned(), offset(&reply["at"]));
            acknowledged.lock().unwrap().insert(body, place);
        }
    }
}

/// The same by POST, one after the other on one connection.
fn speak_http(port: u16, name: &str, room: &str, acknowledged: &Acknowledged) {
    let Ok((mut stream, mut reader)) = lines(port) else {
        return;
    };
    for number in 0.. {
        let body = format!("{name} {number}");
        let head = format!(
            "POST /r/{room} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        let Some(answer) = response(&mut reader) else {
            return;
        };
        let reply: Value = serde_json::from_slice(&answer).unwrap();
        if reply["at"].is_string() {
            let place = (room.to_owned(), offset(&reply["at"]));
            acknowledged.lock().unwrap().insert(body, place);
        }
    }
}

fn response(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 || !line.ends_with('\n') {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// The same by datagrams.
fn speak_udp(port: u16, name: &str, room: &str, acknowledged: &Acknowledged) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut misses = 0;
    for number in 0.. {
        let body = format!("{name} {number}");
        let unit = json!({"publish": room, "data": body, "ref": number});
        if socket.send(unit.to_string().as_bytes()).is_err() {
            return;
        }
        let mut datagram = [0; 2048];
        let Ok(length) = socket.recv(&mut datagram) else {
            misses += 1;
            if misses > 3 {
                return;
            }
            continue;
        };
        let reply: Value = serde_json::from_slice(&datagram[..length]).unwrap();
        if reply["ok"] == json!("publish") {
            let body = format!("{name} {}", reply["ref"]);
            let place = (room.to_owned(), offset(&reply["at"]));
            acknowledged.lock().unwrap().insert(body, place);
        }
    }
}

/// Hears one room from where it was, through every crash: no gap, nothing twice.
struct Listener {
    since: Option<String>,
    heard: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Listener {
    fn listen(&mut self, port: u16, room: &str) {
        let Ok((mut stream, mut reader)) = lines(port) else {
            return;
        };
        let since = self.since.clone().unwrap_or_else(|| "0-0".to_owned());
        let _ = writeln!(stream, "{}", json!({"join": room, "since": since}));
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 0 && line.ends_with('\n') {
            let unit: Value = serde_json::from_str(&line).unwrap();
            assert!(unit.get("gap").is_none(), "a gap was said: {line}");
            if unit["ok"] == json!("join") && self.since.is_some() {
                assert_eq!(unit["complete"], json!(true), "{line}");
            }
            if let Some(body) = said(&unit) {
                self.since = unit["at"].as_str().map(str::to_owned);
                let message = (offset(&unit["at"]), body);
                self.heard.lock().unwrap().push(message);
            }
            line.clear();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Everything that was acknowledged since the last look is there. Gives how much that was.
fn is_whole(
    port: u16,
    acknowledged: &Acknowledged,
    kept: &mut BTreeMap<&'static str, Kept>,
) -> usize {
    for room in ROOMS {
        kept.entry(room)
            .or_insert_with(Kept::nothing)
            .read_on(port, room);
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    for (body, (room, offset)) in &acknowledged {
        let place = usize::try_from(*offset - 1).unwrap();
        let found = kept[room.as_str()].bodies.get(place);
        assert_eq!(found, Some(body), "{room} {offset} was acknowledged");
    }
    acknowledged.len()
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds: u64 = std::env::var("TAUT_CRASH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(4);
    let dir = std::env::temp_dir().join(format!("taut-crash-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("taut.toml"), CONFIG).unwrap();
    let acknowledged = Acknowledged::default();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut listener = Listener {
        since: None,
        heard: Arc::clone(&heard),
    };
    let mut kept = BTreeMap::new();
    let mut total = 0;
    let mut random = u64::from(std::process::id()) | 1;
    for round in 0..rounds {
        let port = free_port();
        let server = Server::start(&dir, port);
        total += is_whole(server.port, &acknowledged, &mut kept);
        let listening = thread::spawn(move || {
            listener.listen(port, ROOMS[0]);
            listener
        });
        let speakers: Vec<_> = (0..6)
            .map(|speaker| {
                let acknowledged = Arc::clone(&acknowledged);
                let room = ROOMS[speaker % ROOMS.len()];
                let name = format!("r{round}s{speaker}");
                thread::spawn(move || match speaker {
                    0..=2 => speak_lines(port, &name, room, &acknowledged),
                    3 | 4 => speak_http(port, &name, room, &acknowledged),
                    _ => speak_udp(port, &name, room, &acknowledged),
                })
            })
            .collect();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        thread::sleep(Duration::from_millis(20 + (random >> 33) % 400));
        server.kill();
        for speaker in speakers {
            speaker.join().unwrap();
        }
        listener = listening.join().unwrap();
    }
    let server = Server::start(&dir, free_port());
    total += is_whole(server.port, &acknowledged, &mut kept);
    for (room, kept) in &kept {
        let mut whole = Kept::nothing();
        whole.read_on(server.port, room);
        assert!(whole.bodies == kept.bodies, "{room} is what it was");
        let once: BTreeSet<&String> = kept.bodies.iter().collect();
        assert_eq!(once.len(), kept.bodies.len(), "{room} has something twice");
    }
    let heard = heard.lock().unwrap();
    for (index, (offset, body)) in heard.iter().enumerate() {
        assert_eq!(*offset, index as u64 + 1, "heard in order, each once");
        assert_eq!(body, &kept[ROOMS[0]].bodies[index]);
    }
    println!(
        "{rounds} rounds: {total} acknowledged, {} heard",
        heard.len()
    );
    assert!(total as u64 > 20 * rounds);
    assert!(!heard.is_empty());
    server.kill();
    std::fs::remove_dir_all(&dir).unwrap();
}
