//! Our side of Autobahn's fuzzing server: opens a connection per case and echoes whatever comes.
//!
//! `cargo run -p taut-client --example autobahn_client -- ws://127.0.0.1:9001`, while `wstest -m fuzzingserver` listens there.
//! The verdict is in the reports that Autobahn writes, not in this program's output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use taut_wire::http::{Limits, Method, parse_response};
use taut_wire::ws::deflate::{Deflater, Inflater, Params};
use taut_wire::ws::handshake::{Opening, check_response, encode_request};
use taut_wire::ws::{
    CloseCode, Decoder, Event, Opcode, Role, Settings, encode_close, encode_frame,
};

const AGENT: &str = "taut";
const MESSAGE_BYTES_MAX: usize = 16 << 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ws://127.0.0.1:9001".into());
    let host = url
        .strip_prefix("ws://")
        .unwrap_or(&url)
        .trim_end_matches('/')
        .to_owned();
    let cases: u32 = match Socket::open(&host, "/getCaseCount")?.next_message()? {
        Some(Message { payload, .. }) => std::str::from_utf8(&payload)?.trim().parse()?,
        None => return Err("the fuzzing server did not say how many cases it has".into()),
    };
    for case in 1..=cases {
        // A case that ends by our failing the connection is as good as any other: the report tells.
        if let Err(error) = echo(&host, &format!("/runCase?case={case}&agent={AGENT}")) {
            println!("case {case} of {cases}: {error}");
        }
    }
    Socket::open(&host, &format!("/updateReports?agent={AGENT}"))?.next_message()?;
    println!("{cases} cases done");
    Ok(())
}

fn echo(host: &str, path: &str) -> Result<()> {
    let mut socket = Socket::open(host, path)?;
    while let Some(message) = socket.next_message()? {
        socket.send(&message)?;
    }
    Ok(())
}

struct Message {
    opcode: Opcode,
    payload: Vec<u8>,
}

struct Socket {
    stream: TcpStream,
    settings: Settings,
    decoder: Decoder,
    inflater: Inflater,
    deflate: Option<(Deflater, Params)>,
    input: Vec<u8>,
    used: usize,
}

impl Socket {
    fn open(host: &str, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| error.to_string())?;
        let opening = Opening {
            host,
            path_and_query: path,
            key: &key,
            protocols: &[],
            origin: None,
            headers: &[],
            deflate: true,
        };
        let mut request = Vec::new();
        encode_request(&mut request, &opening)?;
        stream.write_all(&request)?;
        let mut input = Vec::new();
        let agreed = loop {
            let limits = Limits::default();
            if let Some((response, head_bytes)) = parse_response(&input, &limits, &Method::Get)
                .map_err(|error| error.violation.to_string())?
            {
                let agreed = check_response(&response, &opening)
                    .map_err(|violation| violation.to_string())?;
                input.drain(..head_bytes);
                break agreed;
            }
            if !fill(&mut stream, &mut input)? {
                return Err("the server hung up during the handshake".into());
            }
        };
        Ok(Self {
            stream,
            settings: Settings {
                role: Role::Client,
                message_bytes_max: MESSAGE_BYTES_MAX,
                deflate: agreed.deflate.is_some(),
            },
            decoder: Decoder::new(),
            inflater: Inflater::new(),
            deflate: agreed.deflate.map(|params| (Deflater::new(), params)),
            input,
            used: 0,
        })
    }

    /// The next message, or `None` after the closing handshake. Pings are answered on the way.
    fn next_message(&mut self) -> Result<Option<Message>> {
        loop {
            let mut out = Vec::new();
            let input = &mut self.input[self.used..];
            let decoded = match self
                .decoder
                .decode(&self.settings, input, &mut self.inflater)
            {
                Ok(decoded) => decoded,
                Err(violation) => {
                    encode_close(&mut out, violation.code, "", Some(mask()?));
                    self.stream.write_all(&out)?;
                    return Err(violation.into());
                }
            };
            let consumed = decoded.consumed;
            let message = match decoded.event {
                Some(Event::Text(text)) => Some(Message {
                    opcode: Opcode::Text,
                    payload: text.into_owned().into_bytes(),
                }),
                Some(Event::Binary(bytes)) => Some(Message {
                    opcode: Opcode::Binary,
                    payload: bytes.into_owned(),
                }),
                Some(Event::Ping(payload)) => {
                    encode_frame(&mut out, true, false, Opcode::Pong, &payload, Some(mask()?));
                    None
                }
                Some(Event::Close(close)) => {
                    let code = close.map_or(CloseCode::NO_STATUS, |close| close.code);
                    encode_close(&mut out, code, "", Some(mask()?));
                    self.stream.write_all(&out)?;
                    // The server closes the connection first (RFC 6455 §7.1.1); how it does is its own affair.
                    while matches!(self.stream.read(&mut [0; 1_024]), Ok(count) if count > 0) {}
                    return Ok(None);
                }
                Some(Event::Pong(_)) | None => None,
            };
            self.used += consumed;
            self.stream.write_all(&out)?;
            if message.is_some() {
                return Ok(message);
            }
            if consumed == 0 {
                self.input.drain(..self.used);
                self.used = 0;
                if !fill(&mut self.stream, &mut self.input)? {
                    return Ok(None);
                }
            }
        }
    }

    fn send(&mut self, message: &Message) -> Result<()> {
        let mut out = Vec::new();
        let mut compressed = Vec::new();
        let is_compressed = match &mut self.deflate {
            Some((deflater, params)) => {
                deflater.deflate(&message.payload, params.window_bits, &mut compressed)
            }
            None => false,
        };
        let payload = if is_compressed {
            &compressed
        } else {
            &message.payload
        };
        encode_frame(
            &mut out,
            true,
            is_compressed,
            message.opcode,
            payload,
            Some(mask()?),
        );
        self.stream.write_all(&out)?;
        Ok(())
    }
}

fn fill(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<bool> {
    let start = input.len();
    input.resize(start + (64 << 10), 0);
    let read = stream.read(&mut input[start..]);
    input.truncate(start + read.as_ref().unwrap_or(&0));
    Ok(read? > 0)
}

fn mask() -> Result<[u8; 4]> {
    let mut key = [0; 4];
    getrandom::fill(&mut key).map_err(|error| error.to_string())?;
    Ok(key)
}
