//! One client connection: the words to be let in, heartbeats, and what goes out. Nothing here blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use mio::net::TcpStream;
use taut_wire::http::{self, Method};
use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::{self, CloseCode, Opcode};

use crate::dialect::{Carrier, Dialect, Word};
use crate::failure::{Failure, Kind};
use crate::reader::{Gone, Reader, Said, UNIT_BYTES_MAX};

const MASK: [u8; 4] = [0x3b, 0x91, 0x5c, 0xe7];

/// Who hears the units that come once a connection is ready.
pub(crate) type Hear<'h> = dyn FnMut(&Dialect, &[u8]) + 'h;

/// What all connections share: where bytes are read to.
pub(crate) struct Scratch {
    buffer: Vec<u8>,
    inflater: Inflater,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; 256 << 10],
            inflater: Inflater::new(),
        }
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The socket, or the answer to the opening request, is awaited.
    Opening,
    /// This word is next.
    Word(usize),
    Ready,
}

/// See the [module](self).
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    connected: bool,
    reader: Reader,
    /// The unfinished rest of what came.
    rest: Vec<u8>,
    mouth: Mouth,
}

/// The half that speaks.
struct Mouth {
    dialect: Rc<Dialect>,
    authority: Rc<str>,
    phase: Phase,
    /// What the kernel has not taken. Its bound is the generator's: whoever publishes looks at it first.
    pending: Vec<u8>,
}

impl Conn {
    /// A connection whose socket is on its way; what opens it goes out as soon as it can.
    pub(crate) fn new(
        stream: TcpStream,
        dialect: Rc<Dialect>,
        authority: Rc<str>,
    ) -> Result<Self, Failure> {
        let mut pending = Vec::new();
        let reader = Reader::open(dialect.carrier, &authority, &dialect.path, &mut pending)?;
        Ok(Self {
            stream,
            connected: false,
            reader,
            rest: Vec::new(),
            mouth: Mouth {
                dialect,
                authority,
                phase: Phase::Opening,
                pending,
            },
        })
    }

    /// Whether everything that opens it is done.
    pub(crate) fn is_ready(&self) -> bool {
        self.mouth.phase == Phase::Ready && self.mouth.pending.is_empty()
    }

    /// How it speaks.
    pub(crate) fn dialect(&self) -> &Dialect {
        &self.mouth.dialect
    }

    /// The socket can be written to.
    pub(crate) fn writable(&mut self) -> Result<(), Gone> {
        if !self.connected {
            if let Some(error) = self.stream.take_error().map_err(Failure::from)? {
                return Err(lost(error));
            }
            match self.stream.peer_addr() {
                Ok(_) => self.connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(lost(error)),
            }
            if matches!(self.mouth.dialect.carrier, Carrier::Lines | Carrier::Posts) {
                self.mouth.speak(0);
            }
        }
        self.flush()
    }

    /// Reads what there is and shows every unit that comes once the connection is ready.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut Scratch,
        hear: &mut Hear<'_>,
    ) -> Result<(), Gone> {
        let Scratch { buffer, inflater } = scratch;
        loop {
            let kept = self.rest.len();
            if buffer.len() < kept * 2 {
                buffer.resize(kept * 2, 0);
            }
            buffer[..kept].copy_from_slice(&self.rest);
            let filled = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err(Gone::Closed("the server ended the connection".into())),
                Ok(count) => kept + count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost(error)),
            };
            let mouth = &mut self.mouth;
            let mut tell = |said: Said<'_>| mouth.answer(said, hear);
            let done = self
                .reader
                .decode(&mut buffer[..filled], inflater, &mut tell)?;
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[done..filled]);
            if self.rest.len() > UNIT_BYTES_MAX {
                return Err(Gone::Failed(Failure::violation("a unit that does not end")));
            }
            if !self.mouth.pending.is_empty() {
                self.flush()?;
            }
            if filled < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Sends a unit, or as much of it as the kernel takes; the rest follows.
    pub(crate) fn say(&mut self, unit: &[u8]) -> Result<(), Gone> {
        self.mouth.say(unit);
        self.flush()
    }

    /// Begins to end the connection as its protocol has it; whether the server has a word to say to that.
    pub(crate) fn close(&mut self) -> Result<bool, Gone> {
        if self.mouth.dialect.carrier != Carrier::WebSocket {
            // A raw peer that only shuts its own side may still want to listen; a reset says that it does not.
            let socket = socket2::SockRef::from(&self.stream);
            socket.set_linger(Some(Duration::ZERO)).map_err(lost)?;
            return Ok(false);
        }
        ws::encode_close(&mut self.mouth.pending, CloseCode::NORMAL, "", Some(MASK));
        self.flush()?;
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Gone> {
        let pending = &mut self.mouth.pending;
        let mut sent = 0;
        while self.connected && sent < pending.len() {
            match self.stream.write(&pending[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
        pending.drain(..sent);
        Ok(())
    }
}

impl Mouth {
    /// One thing that was said: a word on the way in, a heartbeat, or something to hear.
    fn answer(&mut self, said: Said<'_>, hear: &mut Hear<'_>) -> Result<(), Failure> {
        let unit = match said {
            Said::Opened => {
                self.speak(0);
                return Ok(());
            }
            Said::Ping(bytes) => {
                let out = &mut self.pending;
                ws::encode_frame(out, true, false, Opcode::Pong, bytes, Some(MASK));
                return Ok(());
            }
            Said::Unit(unit) => unit,
        };
        match self.dialect.heartbeat {
            Some((question, answer)) if unit == question => {
                self.say(answer);
                return Ok(());
            }
            _ => {}
        }
        if self.dialect.refuses(unit) {
            let unit = String::from_utf8_lossy(unit);
            return Err(Failure::new(
                Kind::Refused,
                format!("the server said {unit}"),
            ));
        }
        match self.phase {
            Phase::Ready => hear(&self.dialect, unit),
            Phase::Word(next) if self.dialect.awaits(next, unit) => self.speak(next + 1),
            Phase::Opening | Phase::Word(_) => {}
        }
        Ok(())
    }

    /// Says the words from the one numbered `next`, up to one that is awaited.
    fn speak(&mut self, mut next: usize) {
        let dialect = self.dialect.clone();
        while let Some(Word::Say(unit)) = dialect.words.get(next) {
            self.say(unit);
            next += 1;
        }
        self.phase = match dialect.words.get(next) {
            Some(_) => Phase::Word(next),
            None => Phase::Ready,
        };
    }

    fn say(&mut self, unit: &[u8]) {
        let out = &mut self.pending;
        match self.dialect.carrier {
            Carrier::WebSocket => {
                ws::encode_frame(out, true, false, Opcode::Text, unit, Some(MASK));
            }
            Carrier::Lines => {
                out.extend_from_slice(unit);
                out.push(b'\n');
            }
            Carrier::Posts | Carrier::Events => {
                let length = unit.len().to_string();
                let fields = [("Content-Type", "text/plain"), ("Content-Length", &length)];
                let path = &self.dialect.path;
                http::encode_request(out, &Method::Post, path, &self.authority, &fields);
                out.extend_from_slice(unit);
            }
        }
    }
}

fn lost(error: io::Error) -> Gone {
    Gone::Failed(Failure::new(Kind::Unreachable, error))
}
