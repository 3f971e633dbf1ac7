//! The bare program under a comparison: it reads and writes the same bytes over as many sockets as the server does, and nothing else.
//!
//! It knows no rooms and keeps no history; its handshake answers every request alike, and its publisher is who asks for
//! [`PUBLISHER_PATH`]. It trusts whoever talks to it, so it listens on loopback and ends with its publisher.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use mio::{Events, Interest, Poll, Token};
use taut_wire::http::{self, Limits};
use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::handshake::accept_key;
use taut_wire::ws::{self, Opcode, Role};

use crate::failure::Failure;
use crate::subject::Floor;

/// The path that the publisher asks for, and that of everybody else.
pub(crate) const PUBLISHER_PATH: &str = "/publisher";
pub(crate) const MEMBER_PATH: &str = "/member";

/// Bytes that one read may bring.
const READ_BYTES: usize = 128 << 10;
const EVENTS: usize = 1_024;

const SETTINGS: ws::Settings = ws::Settings {
    role: Role::Server,
    message_bytes_max: READ_BYTES,
    deflate: false,
};

/// Runs until the publisher, or everybody, has gone.
pub(crate) fn serve(floor: Floor, port: u16, members: usize) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    match floor {
        Floor::Joined => fan_out(&listener, members, true),
        Floor::Each => fan_out(&listener, members, false),
        Floor::Echo => echo(&listener, members),
        Floor::Idle => hold(&listener),
    }
}

/// Waits for one connection and its request; `None` when the peer only looked whether somebody listens.
fn welcome(listener: &TcpListener) -> Result<Option<(TcpStream, String)>, Failure> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    loop {
        match stream.read(&mut part)? {
            0 => return Ok(None),
            count => head.extend_from_slice(&part[..count]),
        }
        let parsed = http::parse_request(&head, &Limits::default()).map_err(Failure::violation)?;
        let Some((request, _)) = parsed else {
            continue;
        };
        let key = request
            .headers
            .first("sec-websocket-key")
            .unwrap_or_default();
        let accept = accept_key(key);
        let fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", &accept),
        ];
        let mut answer = Vec::new();
        http::encode_response_head(&mut answer, 101, &fields);
        stream.write_all(&answer)?;
        let target = request.path.to_owned();
        return Ok(Some((stream, target)));
    }
}

/// Writes what each read of the publisher brought to every member, until the publisher ends.
fn fan_out(listener: &TcpListener, count: usize, joined: bool) -> Result<(), Failure> {
    let mut members = Vec::with_capacity(count);
    let mut publisher = None;
    while members.len() < count || publisher.is_none() {
        match welcome(listener)? {
            Some((stream, path)) if path == PUBLISHER_PATH => publisher = Some(stream),
            Some((stream, _)) => {
                stream.set_nonblocking(true)?;
                members.push(stream);
            }
            None => {}
        }
    }
    let Some(mut publisher) = publisher else {
        return Ok(());
    };
    let mut ear = Ear::default();
    let mut pending = Vec::new();
    while let Some(units) = ear.hear(&mut publisher, &mut pending)? {
        let bytes_max = if joined {
            pending.len().max(1)
        } else {
            (pending.len() / units.max(1)).max(1)
        };
        for bytes in pending.chunks(bytes_max) {
            for member in &mut members {
                write(member, bytes)?;
            }
        }
        pending.clear();
    }
    Ok(())
}

/// Sends back to each what it said.
fn echo(listener: &TcpListener, count: usize) -> Result<(), Failure> {
    let mut poll = Poll::new()?;
    let mut peers = Vec::with_capacity(count);
    while peers.len() < count {
        if let Some((stream, _)) = welcome(listener)? {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let token = Token(peers.len());
            poll.registry()
                .register(&mut stream, token, Interest::READABLE)?;
            peers.push((stream, Ear::default()));
        }
    }
    let mut events = Events::with_capacity(EVENTS);
    let mut pending = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let (stream, ear) = &mut peers[event.token().0];
            if ear.hear(stream, &mut pending)?.is_none() {
                return Ok(());
            }
            if !pending.is_empty() {
                write(stream, &pending)?;
                pending.clear();
            }
        }
    }
}

/// Keeps whoever comes.
fn hold(listener: &TcpListener) -> Result<(), Failure> {
    let mut kept = Vec::new();
    loop {
        if let Some((stream, _)) = welcome(listener)? {
            kept.push(stream);
        }
    }
}

/// Unfinished frames of one peer.
#[derive(Default)]
struct Ear {
    decoder: ws::Decoder,
    rest: Vec<u8>,
}

thread_local! {
    /// One buffer for all peers.
    static BUFFER: std::cell::RefCell<(Vec<u8>, Inflater)> =
        std::cell::RefCell::new((vec![0; READ_BYTES], Inflater::new()));
}

impl Ear {
    /// One read; appends the frames to send, and says how many. `None` when the peer has ended.
    fn hear(&mut self, peer: &mut impl Read, out: &mut Vec<u8>) -> Result<Option<usize>, Failure> {
        BUFFER.with_borrow_mut(|(buffer, inflater)| {
            let kept = self.rest.len();
            buffer[..kept].copy_from_slice(&self.rest);
            let filled = match peer.read(&mut buffer[kept..]) {
                Ok(0) => return Ok(None),
                Ok(count) => kept + count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(0)),
                // The generator went without a word.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let (mut done, mut units) = (0, 0);
            while done < filled {
                let input = &mut buffer[done..filled];
                let decoded = self.decoder.decode(&SETTINGS, input, inflater);
                let decoded = decoded.map_err(Failure::violation)?;
                if decoded.consumed == 0 {
                    break;
                }
                done += decoded.consumed;
                match decoded.event {
                    Some(ws::Event::Text(text)) => {
                        ws::encode_frame(out, true, false, Opcode::Text, text.as_bytes(), None);
                        units += 1;
                    }
                    Some(ws::Event::Close(_)) => return Ok(None),
                    _ => {}
                }
            }
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[done..filled]);
            Ok(Some(units))
        })
    }
}

/// The loops never have more under way than a socket's buffer takes, so a short write is a broken run.
fn write(peer: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    if peer.write(bytes)? == bytes.len() {
        return Ok(());
    }
    Err(Failure::violation("a peer took only a part"))
}
