//! Another implementation agrees: tungstenite reads what we write and the other way round, and where a stream is
//! broken it never says more than we do, except for what it is known to let pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ws_streams;

use std::io::{self, Read, Write};

use proptest::prelude::*;
use taut_wire::ws::{CloseCode, CloseFrame, Event, Role, Settings};
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Message, WebSocket};
use ws_streams::{CLIENT, SERVER, Saying, decode_whole, encode, sayings};

/// A socket on which everything has arrived, and that keeps what is written.
#[derive(Debug, Default)]
struct Pipe {
    arrived: io::Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.arrived.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            bytes => Ok(bytes),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(role: Role, arrived: Vec<u8>) -> WebSocket<Pipe> {
    let role = match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(SERVER.message_bytes_max))
        .max_frame_size(Some(SERVER.message_bytes_max));
    let pipe = Pipe {
        arrived: io::Cursor::new(arrived),
        written: Vec::new(),
    };
    WebSocket::from_raw_socket(pipe, role, Some(config))
}

/// Tungstenite's events, and whether it found a violation.
fn read_all(role: Role, arrived: Vec<u8>) -> (Vec<Event<'static>>, bool) {
    let mut socket = open(role, arrived);
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => {
                let event = event_of(message);
                let is_close = matches!(event, Event::Close(_));
                events.push(event);
                if is_close {
                    return (events, false);
                }
            }
            Err(tungstenite::Error::Io(error)) => {
                return (events, error.kind() != io::ErrorKind::WouldBlock);
            }
            Err(_) => return (events, true),
        }
    }
}

fn event_of(message: Message) -> Event<'static> {
    match message {
        Message::Text(text) => Event::Text(text.as_str().to_owned().into()),
        Message::Binary(bytes) => Event::Binary(bytes.to_vec().into()),
        Message::Ping(bytes) => Event::Ping(bytes.to_vec().into()),
        Message::Pong(bytes) => Event::Pong(bytes.to_vec().into()),
        Message::Close(close) => Event::Close(close.map(|close| CloseFrame {
            code: CloseCode(close.code.into()),
            reason: close.reason.as_str().to_owned().into(),
        })),
        Message::Frame(_) => panic!("tungstenite reads no raw frames"),
    }
}

fn message_of(event: &Event<'_>) -> Message {
    match event {
        Event::Text(text) => Message::text(text.to_string()),
        Event::Binary(bytes) => Message::binary(bytes.to_vec()),
        Event::Ping(bytes) => Message::Ping(bytes.to_vec().into()),
        Event::Pong(bytes) => Message::Pong(bytes.to_vec().into()),
        Event::Close(close) => Message::Close(close.as_ref().map(|close| protocol::CloseFrame {
            code: close.code.0.into(),
            reason: close.reason.to_string().into(),
        })),
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    prop_oneof![Just(SERVER), Just(CLIENT)]
}

/// Without codes that tungstenite does not know: it answers those as violations.
fn known_sayings() -> impl Strategy<Value = Vec<Saying>> {
    sayings().prop_filter("tungstenite knows no code 1014", |sayings| {
        !sayings.iter().any(|saying| {
            matches!(&saying.event, Event::Close(Some(close)) if close.code == CloseCode(1014))
        })
    })
}

proptest! {
    #[test]
    fn tungstenite_reads_what_we_write(settings in settings(), sayings in known_sayings()) {
        let (stream, events) = encode(&settings, &sayings);
        prop_assert_eq!(read_all(settings.role, stream), (events, false));
    }

    #[test]
    fn we_read_what_tungstenite_writes(settings in settings(), sayings in known_sayings()) {
        let other = match settings.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let mut socket = open(other, Vec::new());
        let mut events = Vec::new();
        for saying in &sayings {
            socket.write(message_of(&saying.event)).unwrap();
            socket.flush().unwrap();
            events.push(saying.event.clone());
        }
        let stream = &socket.get_ref().written;
        prop_assert_eq!(decode_whole(&settings, stream), (events, None));
    }

    #[test]
    fn we_notice_whatever_tungstenite_notices(
        settings in settings(),
        sayings in known_sayings(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
    ) {
        let (mut stream, _) = encode(&settings, &sayings);
        prop_assume!(!stream.is_empty());
        for (at, bit) in flips {
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        compare_broken(&settings, &stream)?;
    }

    #[test]
    fn we_agree_about_any_bytes(
        settings in settings(),
        mut stream in prop::collection::vec(any::<u8>(), 2..200),
        first in prop::sample::select(vec![0x81_u8, 0x01, 0x82, 0x02, 0x88, 0x89]),
        length in 0..40_u8,
    ) {
        stream[0] = first;
        stream[1] = length | if settings.role == Role::Server { 0x80 } else { 0 };
        compare_broken(&settings, &stream)?;
    }
}

/// We are as strict as tungstenite, or stricter where RFC 6455 says so.
fn compare_broken(settings: &Settings, stream: &[u8]) -> Result<(), TestCaseError> {
    let (ours, violation) = decode_whole(settings, stream);
    let (theirs, theirs_violated) = read_all(settings.role, stream.to_vec());
    match violation {
        None => prop_assert_eq!((ours, false), (theirs, theirs_violated)),
        Some(violation) => {
            prop_assert!(theirs.starts_with(&ours), "{violation}");
            // Lengths that are not minimal pass; a bad close code is given as a close frame of its own making; and
            // what only a frame's beginning shows is judged when the frame is whole.
            let is_known = matches!(
                violation.violation.clause,
                "RFC 6455 §5.2" | "RFC 6455 §7.4"
            );
            prop_assert!(is_known || theirs.len() == ours.len(), "{violation}");
        }
    }
    Ok(())
}
