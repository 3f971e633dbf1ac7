//! The faulty server: WebSockets with rooms by path, one thread, and a count of every fault.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use taut_wire::http::{self, Limits};
use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::handshake::accept_key;
use taut_wire::ws::{self, Opcode, Role};

/// What is done wrong; 0 is never. Of the messages of each room, to its first reader alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) lose_every: u64,
    pub(crate) double_every: u64,
    pub(crate) swap_every: u64,
    pub(crate) change_every: u64,
    /// Such a message goes to the first reader of another room as well.
    pub(crate) stray_every: u64,
    /// From this message on nobody gets anything.
    pub(crate) silent_from: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lose_every: 0,
            double_every: 0,
            swap_every: 0,
            change_every: 0,
            stray_every: 0,
            silent_from: u64::MAX,
        }
    }
}

/// What was done wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Did {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) swapped: u64,
    pub(crate) changed: u64,
    pub(crate) strayed: u64,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    did: Arc<Mutex<Did>>,
}

impl Server {
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let did = Arc::new(Mutex::new(Did::default()));
        let mut house = House {
            faults,
            did: did.clone(),
            peers: HashMap::new(),
            rooms: HashMap::new(),
        };
        std::thread::spawn(move || house.run(listener));
        Self { address, did }
    }

    pub(crate) fn did(&self) -> Did {
        *self.did.lock().unwrap()
    }
}

struct Peer {
    stream: TcpStream,
    decoder: ws::Decoder,
    rest: Vec<u8>,
    room: Option<String>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    said: u64,
    /// A message that waits for the next one to overtake it.
    held: Option<Vec<u8>>,
}

struct House {
    faults: Faults,
    did: Arc<Mutex<Did>>,
    peers: HashMap<usize, Peer>,
    rooms: HashMap<String, Room>,
}

impl House {
    fn run(&mut self, mut listener: TcpListener) {
        let mut poll = Poll::new().unwrap();
        let door = Token(usize::MAX);
        poll.registry()
            .register(&mut listener, door, Interest::READABLE)
            .unwrap();
        let mut events = Events::with_capacity(64);
        let mut next = 0;
        loop {
            poll.poll(&mut events, Some(std::time::Duration::from_millis(50)))
                .unwrap();
            if events.is_empty() {
                self.let_go();
            }
            for event in &events {
                if event.token() != door {
                    self.receive(event.token().0);
                    continue;
                }
                while let Ok((mut stream, _)) = listener.accept() {
                    poll.registry()
                        .register(&mut stream, Token(next), Interest::READABLE)
                        .unwrap();
                    let peer = Peer {
                        stream,
                        decoder: ws::Decoder::new(),
                        rest: Vec::new(),
                        room: None,
                    };
                    self.peers.insert(next, peer);
                    next += 1;
                }
            }
        }
    }

    fn receive(&mut self, index: usize) {
        loop {
            let Some(peer) = self.peers.get_mut(&index) else {
                return;
            };
            let mut part = [0; 4096];
            match peer.stream.read(&mut part) {
                Ok(0) => {
                    self.peers.remove(&index);
                    return;
                }
                Ok(count) => peer.rest.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.peers.remove(&index);
                    return;
                }
            }
            let texts = match &peer.room {
                Some(_) => peer.texts(),
                None => {
                    self.open(index);
                    continue;
                }
            };
            let room = peer.room.clone().unwrap();
            for text in texts {
                self.say(&room, index, &text);
            }
        }
    }

    fn open(&mut self, index: usize) {
        let peer = self.peers.get_mut(&index).unwrap();
        let rest = std::mem::take(&mut peer.rest);
        let Some((request, head_bytes)) = http::parse_request(&rest, &Limits::default()).unwrap()
        else {
            peer.rest = rest;
            return;
        };
        let accept = accept_key(request.headers.first("sec-websocket-key").unwrap());
        let fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", &*accept),
        ];
        let mut answer = Vec::new();
        http::encode_response_head(&mut answer, 101, &fields);
        peer.stream.write_all(&answer).unwrap();
        peer.rest = rest[head_bytes..].to_vec();
        peer.room = Some(request.path.to_owned());
        self.rooms
            .entry(request.path.to_owned())
            .or_default()
            .members
            .push(index);
    }

    fn say(&mut self, name: &str, from: usize, text: &[u8]) {
        let faults = self.faults;
        let mut did = self.did.lock().unwrap();
        let room = self.rooms.get_mut(name).unwrap();
        let number = room.said;
        room.said += 1;
        let readers = room
            .members
            .iter()
            .copied()
            .filter(|member| *member != from);
        let readers: Vec<usize> = readers
            .filter(|member| self.peers.contains_key(member))
            .collect();
        if number >= faults.silent_from {
            did.lost += readers.len() as u64;
            return;
        }
        let Some((first, others)) = readers.split_first() else {
            return;
        };
        let is = |every: u64| every > 0 && number % every == every - 1;
        let held = room.held.take();
        for other in others {
            send(&mut self.peers, *other, text);
        }
        // Held back while it was the one to be overtaken: so this one is sound, and goes first.
        if let Some(held) = held {
            send(&mut self.peers, *first, text);
            send(&mut self.peers, *first, &held);
            did.swapped += 1;
        } else if is(faults.swap_every) {
            room.held = Some(text.to_vec());
        } else if is(faults.lose_every) {
            did.lost += 1;
        } else if is(faults.change_every) {
            let mut changed = text.to_vec();
            *changed.last_mut().unwrap() ^= 1;
            send(&mut self.peers, *first, &changed);
            did.changed += 1;
        } else {
            send(&mut self.peers, *first, text);
            if is(faults.double_every) {
                send(&mut self.peers, *first, text);
                did.doubled += 1;
            }
        }
        let elsewhere = self.rooms.iter().find(|(other, _)| *other != name);
        if is(faults.stray_every)
            && let Some((_, room)) = elsewhere
        {
            send(&mut self.peers, *room.members.last().unwrap(), text);
            did.strayed += 1;
        }
    }

    /// Nothing overtakes what is held back any more.
    fn let_go(&mut self) {
        for room in self.rooms.values_mut() {
            if let Some(held) = room.held.take() {
                send(&mut self.peers, room.members[0], &held);
            }
        }
    }
}

impl Peer {
    fn texts(&mut self) -> Vec<Vec<u8>> {
        let settings = ws::Settings {
            role: Role::Server,
            message_bytes_max: 1 << 20,
            deflate: false,
        };
        let (mut done, mut texts) = (0, Vec::new());
        while done < self.rest.len() {
            let input = &mut self.rest[done..];
            let decoded = self
                .decoder
                .decode(&settings, input, &mut Inflater::new())
                .unwrap();
            if decoded.consumed == 0 {
                break;
            }
            done += decoded.consumed;
            if let Some(ws::Event::Text(text)) = decoded.event {
                texts.push(text.into_owned().into_bytes());
            }
        }
        self.rest.drain(..done);
        texts
    }
}

fn send(peers: &mut HashMap<usize, Peer>, to: usize, text: &[u8]) {
    let mut frame = Vec::new();
    ws::encode_frame(&mut frame, true, false, Opcode::Text, text, None);
    if let Some(peer) = peers.get_mut(&to) {
        peer.stream.write_all(&frame).unwrap();
    }
}
