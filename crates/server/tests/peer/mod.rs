//! One client per carrier, over blocking sockets, all with the same two verbs: say and hear.

#[allow(dead_code)]
mod socket;
mod socketio;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket::Socket;
use taut_server::{Config, Fault, Listen, Server, Stopper};
use taut_wire::ws::{Decoder, Event, Opcode, Role, Settings, deflate::Inflater, encode_frame};

/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of our own.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// How its clients speak TLS; they speak in clear text without.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Fault>>>,
}

impl Running {
    pub(crate) fn new(cores: usize) -> Self {
        Self::with(Config {
            cores,
            ..Config::default()
        })
    }

    pub(crate) fn with(config: Config) -> Self {
        let listeners = vec!["127.0.0.1:0".parse::<Listen>().unwrap()];
        let server = Server::bind(Config {
            listeners,
            ..config
        })
        .unwrap();
        let (address, stopper) = (server.addresses()[0], server.stopper());
        let thread = Some(std::thread::spawn(move || server.run()));
        Self {
            address,
            tls: None,
            stopper,
            thread,
        }
    }

    /// Tells it to stop.
    pub(crate) fn begin_to_stop(&self) {
        self.stopper.stop();
    }

    /// Stops it gracefully and waits until it has ended.
    pub(crate) fn stop(mut self) {
        self.begin_to_stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The doors through which one can stay in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Text,
    Lines,
    Payload,
    Native,
    Sse,
    Ndjson,
    Events,
    SocketIo,
    Polling,
}

pub(crate) const CARRIERS: [Carrier; 9] = [
    Carrier::Text,
    Carrier::Lines,
    Carrier::Payload,
    Carrier::Native,
    Carrier::Sse,
    Carrier::Ndjson,
    Carrier::Events,
    Carrier::SocketIo,
    Carrier::Polling,
];

/// A client in a room.
pub(crate) struct Peer {
    pub(crate) carrier: Carrier,
    address: SocketAddr,
    room: String,
    stream: Socket,
    unread: Vec<u8>,
    decoder: Decoder,
    inflater: Inflater,
    /// Packets of Engine.IO that have come and were not looked at.
    packets: VecDeque<String>,
    /// The session's id, where requests carry it.
    sid: String,
}

impl Peer {
    /// Comes into `room`, and on until the server has let it in.
    pub(crate) fn join(server: &Running, carrier: Carrier, room: &str, query: &str) -> Self {
        let stream = Socket::open(server.address, server.tls.as_ref());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Self {
            carrier,
            address: server.address,
            room: room.to_owned(),
            stream,
            unread: Vec::new(),
            decoder: Decoder::new(),
            inflater: Inflater::new(),
            packets: VecDeque::new(),
            sid: String::new(),
        };
        peer.enter(query);
        peer
    }

    fn enter(&mut self, query: &str) {
        let room = self.room.clone();
        let get = |path: &str, fields: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
        };
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let path = format!("/r/{room}?{query}");
        match self.carrier {
            Carrier::Text => {
                self.send(format!("/join {room}\n").as_bytes());
                self.until(&format!("in {room};"));
                self.until("\n");
            }
            Carrier::Lines => {
                let since = match query.strip_prefix("since=") {
                    Some(since) => format!(",\"since\":\"{since}\""),
                    None => String::new(),
                };
                self.send(format!("{{\"join\":\"{room}\"{since}}}\n").as_bytes());
                self.until("\"ok\":\"join\"");
                self.until("\n");
            }
            Carrier::Payload => {
                self.send(get(&path, upgrade).as_bytes());
                self.until("\r\n\r\n");
                self.wait_until_listed();
            }
            Carrier::Native => {
                let fields = format!("{upgrade}Sec-WebSocket-Protocol: taut\r\n");
                self.send(get(&path, &fields).as_bytes());
                self.until("\r\n\r\n");
                assert!(self.unit().unwrap().contains("\"ok\":\"join\""));
            }
            Carrier::Sse => {
                self.send(get(&path, "Accept: text/event-stream\r\n").as_bytes());
                self.until("\r\n\r\n");
                self.until("\n\n");
            }
            Carrier::Ndjson => {
                self.send(get(&path, "Accept: application/x-ndjson\r\n").as_bytes());
                self.until("\r\n\r\n");
                self.until("\"ok\":\"join\"");
                self.until("\n\r\n");
            }
            Carrier::Events => {
                let path = format!("/events?room={room}&room=elsewhere&{query}");
                self.send(get(&path, "").as_bytes());
                self.until("\r\n\r\n");
                self.until("\n\n");
            }
            Carrier::SocketIo | Carrier::Polling => self.enter_socketio(query, upgrade),
        }
    }

    /// A payload-only door says nothing when it is in; the roster does.
    fn wait_until_listed(&self) {
        let before = PATIENCE.as_millis() / 20;
        for _ in 0..before {
            if request(
                self.address,
                &format!(
                    "GET /r/{}?who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                    self.room
                ),
            )
            .contains("websocket")
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the WebSocket never got into {}", self.room);
    }

    /// Says one unit of native JSON, where the carrier has them.
    pub(crate) fn say_unit(&mut self, unit: &str) {
        match self.carrier {
            Carrier::Native => self.frame(unit),
            _ => self.send(format!("{unit}\n").as_bytes()),
        }
    }

    /// Publishes a text; doors that only listen do it by POST.
    pub(crate) fn say(&mut self, text: &str) {
        match self.carrier {
            Carrier::Text => self.send(format!("{text}\n").as_bytes()),
            Carrier::Lines => {
                let line = format!("{{\"publish\":\"{}\",\"data\":\"{text}\"}}\n", self.room);
                self.send(line.as_bytes());
            }
            Carrier::Payload => self.frame(text),
            Carrier::SocketIo | Carrier::Polling => {
                self.packet(&format!("42/{},[\"message\",\"{text}\"]", self.room));
            }
            Carrier::Native => {
                self.frame(&format!(
                    "{{\"publish\":\"{}\",\"data\":\"{text}\"}}",
                    self.room
                ));
            }
            Carrier::Sse | Carrier::Ndjson | Carrier::Events => {
                post(self.address, &self.room, text);
            }
        }
    }

    /// Whether what it says comes back to it: a POST is another connection.
    pub(crate) fn hears_itself(&self) -> bool {
        matches!(
            self.carrier,
            Carrier::Sse | Carrier::Ndjson | Carrier::Events
        )
    }

    /// The text of the next message. Answers to one's own publishes, and who comes and goes, are passed over.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            if let Some(text) = message_of(self.carrier, &self.line()) {
                return text;
            }
        }
    }

    /// One line, event data line or WebSocket message.
    fn line(&mut self) -> String {
        match self.carrier {
            Carrier::Payload | Carrier::Native => self.unit().expect("the socket was closed"),
            Carrier::SocketIo | Carrier::Polling => {
                self.next_packet().expect("the session was closed")
            }
            _ => self.until("\n"),
        }
    }

    /// Everything until the server closes.
    pub(crate) fn rest(&mut self) -> String {
        if matches!(self.carrier, Carrier::SocketIo | Carrier::Polling) {
            let mut packets = Vec::new();
            while let Some(packet) = self.next_packet() {
                packets.push(packet);
            }
            return packets.join("\n");
        }
        let mut rest = std::mem::take(&mut self.unread);
        if matches!(self.carrier, Carrier::Payload | Carrier::Native) {
            self.unread = rest;
            let mut units = Vec::new();
            while let Some(unit) = self.unit() {
                units.push(unit);
            }
            return units.join("\n");
        }
        let _ = self.stream.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn frame(&mut self, text: &str) {
        let mut frame = Vec::new();
        encode_frame(
            &mut frame,
            true,
            false,
            Opcode::Text,
            text.as_bytes(),
            Some([1, 2, 3, 4]),
        );
        self.send(&frame);
    }

    fn until(&mut self, marker: &str) -> String {
        loop {
            let found = self
                .unread
                .windows(marker.len())
                .position(|window| window == marker.as_bytes());
            if let Some(at) = found {
                let taken: Vec<u8> = self.unread.drain(..at + marker.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            assert!(
                self.read() > 0,
                "{:?}: closed before {marker:?}",
                self.carrier
            );
        }
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).unwrap_or_else(|error| {
            panic!(
                "{:?}: nothing came ({error}) behind {:?}",
                self.carrier,
                String::from_utf8_lossy(&self.unread)
            )
        });
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }

    /// The next WebSocket message; `close CODE REASON` for a close frame, `None` at the end.
    fn unit(&mut self) -> Option<String> {
        let settings = Settings {
            role: Role::Client,
            message_bytes_max: 1 << 20,
            deflate: false,
        };
        loop {
            let decoded = self
                .decoder
                .decode(&settings, &mut self.unread, &mut self.inflater)
                .unwrap();
            let consumed = decoded.consumed;
            let unit = decoded.event.and_then(|event| match event {
                Event::Text(text) => Some(text.into_owned()),
                Event::Close(Some(frame)) => {
                    Some(format!("close {} {}", frame.code.0, frame.reason))
                }
                _ => None,
            });
            self.unread.drain(..consumed);
            if unit.is_some() {
                return unit;
            }
            if consumed == 0 && self.read() == 0 {
                return None;
            }
        }
    }
}

fn message_of(carrier: Carrier, line: &str) -> Option<String> {
    let line = line.trim_end();
    match carrier {
        Carrier::Payload => Some(line.to_owned()),
        Carrier::SocketIo | Carrier::Polling => {
            let (_, arguments) = line.split_once("[\"message\",\"")?;
            arguments.split('"').next().map(str::to_owned)
        }
        Carrier::Text => line
            .split_once(": ")
            .filter(|_| !line.starts_with('*'))
            .map(|(_, text)| text.to_owned()),
        Carrier::Sse => line.strip_prefix("data: ").map(str::to_owned),
        Carrier::Lines | Carrier::Native | Carrier::Ndjson | Carrier::Events => {
            let line = line.strip_prefix("data: ").unwrap_or(line);
            if let Some((_, args)) = line.split_once("\"args\":") {
                return args.strip_suffix('}').map(str::to_owned);
            }
            let (_, data) = line.split_once("\"data\":\"")?;
            data.split('"').next().map(str::to_owned)
        }
    }
}

/// Publishes by POST.
pub(crate) fn post(address: SocketAddr, room: &str, text: &str) {
    let answer = request(
        address,
        &format!(
            "POST /r/{room} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// One request on a connection of its own, and the whole answer.
pub(crate) fn request(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
