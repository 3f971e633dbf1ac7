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
use taut_wire::ws::{self, CloseCode, Opcode, Role};

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
        Floor::Churn => let_through(listener),
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
        if let Some((answer, path)) = answer(&head)? {
            stream.write_all(&answer)?;
            let path = path.to_owned();
            return Ok(Some((stream, path)));
        }
    }
}

/// The answer to an opening request, and its path; `None` when more of it is to come.
fn answer(head: &[u8]) -> Result<Option<(Vec<u8>, &str)>, Failure> {
    let parsed = http::parse_request(head, &Limits::default()).map_err(Failure::violation)?;
    let Some((request, _)) = parsed else {
        return Ok(None);
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
    Ok(Some((answer, request.path)))
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

/// Lets in whoever comes, answers when they close, and closes.
fn let_through(listener: TcpListener) -> Result<(), Failure> {
    const LISTENER: Token = Token(usize::MAX);
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut guests: Vec<Option<Guest>> = Vec::new();
    let mut free = Vec::new();
    let mut events = Events::with_capacity(EVENTS);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let index = event.token().0;
                if let Some(guest) = &mut guests[index]
                    && guest.attend()?.is_none()
                {
                    guests[index] = None;
                    free.push(index);
                }
                continue;
            }
            while let Some(mut guest) = Guest::welcome(&listener)? {
                let index = free.pop().unwrap_or(guests.len());
                let stream = &mut guest.stream;
                poll.registry()
                    .register(stream, Token(index), Interest::READABLE)?;
                if index == guests.len() {
                    guests.push(None);
                }
                guests[index] = Some(guest);
            }
        }
    }
}

/// Who comes and goes.
struct Guest {
    stream: mio::net::TcpStream,
    /// What there is of the request, until it is answered.
    head: Option<Vec<u8>>,
    ear: Ear,
}

impl Guest {
    /// The next one, if there is one.
    fn welcome(listener: &mio::net::TcpListener) -> Result<Option<Self>, Failure> {
        match listener.accept() {
            Ok((stream, _)) => Ok(Some(Self {
                stream,
                head: Some(Vec::new()),
                ear: Ear::default(),
            })),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Answers the request, or the close; `None` when this one has gone.
    fn attend(&mut self) -> Result<Option<()>, Failure> {
        let Some(head) = &mut self.head else {
            let mut out = Vec::new();
            if self.ear.hear(&mut self.stream, &mut out)?.is_some() {
                return Ok(Some(()));
            }
            ws::encode_close(&mut out, CloseCode::NORMAL, "", None);
            // Who went without a word does not hear it.
            let _ = self.stream.write(&out);
            return Ok(None);
        };
        let mut part = [0; 1024];
        match self.stream.read(&mut part) {
            Ok(0) => return Ok(None),
            Ok(count) => head.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(())),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if let Some((answer, _)) = answer(head)? {
            write(&mut self.stream, &answer)?;
            self.head = None;
        }
        Ok(Some(()))
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
