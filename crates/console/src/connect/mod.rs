//! `taut connect`: any socket, from a terminal or a pipe.
//!
//! Data flows: stdin → [`keyboard`](crate::keyboard) → one of `stream`, `websocket`, `datagram`, `http` → the peer, and back through `output`. `story` tells what happens.
//!
//! Invariants that a reader could break:
//!
//! - The peer is read no faster than stdout takes it, and stdin no faster than the peer: nothing piles up.
//! - What a peer says reaches stderr escaped, and stdout escaped where that is a terminal.
//! - However a connection ends, who ended it decides the exit code; see [`Code`].

mod args;
mod datagram;
mod failure;
mod frames;
mod http;
mod output;
mod story;
mod stream;
mod token;
mod websocket;

use std::time::{Duration, Instant};

use taut_dial::{Family, Proxy, Scheme, Settings, Tls, Url};

pub use args::{AFTER_HELP, ConnectArgs, Patience};

use crate::keyboard::{Keyboard, Typed, Unit};
use crate::screen::Screen;
use crate::show::Rendering;
use crate::{Code, Ended};
use output::Output;
use story::Narrator;

/// Milliseconds to connect where nothing else is asked for.
const CONNECT_MS_MAX: u64 = 10_000;
/// Milliseconds to answer a request where nothing else is asked for: a long poll may take its time.
const ANSWER_MS_MAX: u64 = 60_000;
/// Milliseconds of the first pause before coming back; each further one is twice as long.
const PAUSE_MS: u64 = 500;
/// The longest pause.
const PAUSE_MS_MAX: u64 = 30_000;
/// A connection that lasted so long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(5);

/// How a connection ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The peer ended it.
    ByPeer,
    /// We have what we wanted.
    ByUs,
}

/// What the parts of a connection share.
struct Session {
    url: Url,
    args: ConnectArgs,
    settings: Settings,
    rendering: Rendering,
    keyboard: Keyboard,
    /// Stdin has ended.
    is_typed_out: bool,
    output: Output,
    narrator: Narrator,
}

/// Runs the command until the peer or the person ends it.
///
/// # Errors
/// An [`Ended`] with the exit code and the text for stderr.
pub async fn run(args: ConnectArgs) -> Result<(), Ended> {
    let url: Url = args
        .url
        .parse()
        .map_err(|error| Ended::new(Code::Usage, error))?;
    let unit = unit(&url, &args);
    let opened = if matches!(url.scheme, Scheme::Http | Scheme::Https) {
        Screen::plain().map(|screen| (Keyboard::none(), screen))
    } else {
        Keyboard::open(unit, "> ")
    };
    let (keyboard, screen) =
        opened.map_err(|error| Ended::new(Code::Failure, format!("cannot read stdin: {error}")))?;
    run_on(args, url, keyboard, screen).await
}

/// The same with another stdin and stdout.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    args: ConnectArgs,
    url: Url,
    keyboard: Keyboard,
    screen: Screen,
) -> Result<(), Ended> {
    let args = token::carry(args, &url)?;
    let settings = settings(&args)?;
    let started = Instant::now();
    let rendering = rendering(&args);
    let mut session = Session {
        url,
        settings,
        rendering,
        keyboard,
        is_typed_out: false,
        output: Output::new(screen.clone(), rendering, args.json, args.count, started),
        narrator: Narrator::new(screen.clone(), args.verbose, args.quiet, started),
        args,
    };
    let result = session.run().await;
    if let Err(ended) = &result {
        let fields = serde_json::json!({ "text": ended.text, "code": ended.code as u8 });
        // Where stdout is gone the exit code has to do.
        let _ = session.output.event("error", fields).await;
    }
    // What was printed must be out before the process is.
    let _ = screen.flush().await;
    result
}

/// How stdin is cut: a message a line, or bytes as they come.
fn unit(url: &Url, args: &ConnectArgs) -> Unit {
    let has_messages = url.scheme.is_websocket() || url.scheme == Scheme::Udp;
    if (has_messages && !args.whole) || args.hex || args.base64 {
        Unit::Lines
    } else {
        Unit::Chunks
    }
}

fn rendering(args: &ConnectArgs) -> Rendering {
    match (args.hex, args.base64, args.binary) {
        (true, ..) => Rendering::Hex,
        (_, true, _) => Rendering::Base64,
        (_, _, true) => Rendering::Raw,
        _ => Rendering::of_stdout(),
    }
}

fn settings(args: &ConnectArgs) -> Result<Settings, Ended> {
    let proxy = match &args.proxy {
        Some(proxy) => Some(
            proxy
                .parse::<Proxy>()
                .map_err(|error| Ended::new(Code::Usage, error))?,
        ),
        None => None,
    };
    Ok(Settings {
        family: match (args.ipv4, args.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        },
        connect_ms_max: args.timeout_ms.unwrap_or(CONNECT_MS_MAX),
        tls: Tls {
            authorities: args.ca.clone(),
            identity: args.cert.clone().zip(args.key.clone()),
            insecure: args.insecure,
            server_name: args.server_name.clone(),
            ..Tls::default()
        },
        proxy,
        ..Settings::default()
    })
}

impl Session {
    /// Connects, and where it was asked for, comes back.
    async fn run(&mut self) -> Result<(), Ended> {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let result = self.once().await;
            self.narrator.sum().await?;
            let may_return = match &result {
                Ok(Over::ByPeer) => true,
                Ok(Over::ByUs) => false,
                Err(ended) => matches!(
                    ended.code,
                    Code::Unreachable | Code::Silent | Code::CutShort
                ),
            };
            if !self.args.reconnect || !may_return {
                return result.map(|_| ());
            }
            if began.elapsed() > GOOD {
                attempt = 0;
            }
            let pause_ms = pause_ms(attempt)?;
            attempt += 1;
            let why = match result {
                Ok(_) => "the peer ended the connection".to_owned(),
                Err(ended) => ended.text,
            };
            let seconds = pause_ms as f64 / 1_000.0;
            self.narrator
                .note(&format!("{why}; coming back in {seconds:.1} s"))
                .await?;
            let fields = serde_json::json!({ "text": why, "pause_ms": pause_ms });
            self.output.event("reconnect", fields).await?;
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    async fn once(&mut self) -> Result<Over, Ended> {
        match self.url.scheme {
            Scheme::Udp => datagram::run(self).await,
            Scheme::Http | Scheme::Https => http::run(self).await,
            Scheme::Ws | Scheme::Wss => websocket::run(self).await,
            Scheme::Tcp | Scheme::Tls | Scheme::Unix => stream::run(self).await,
        }
    }

    /// Tells that the socket is open.
    async fn tell_open(&self, local: &str, peer: &str) -> Result<(), Ended> {
        let fields = serde_json::json!({ "local": local, "peer": peer });
        self.output.event("open", fields).await
    }

    /// What a typed line means in the mode that was asked for.
    fn parse(&self, typed: Vec<u8>) -> Result<Vec<u8>, Ended> {
        match self.rendering {
            Rendering::Hex | Rendering::Base64 => self
                .rendering
                .parse(&String::from_utf8_lossy(&typed))
                .map_err(|error| Ended::new(Code::Usage, error)),
            _ => Ok(typed),
        }
    }

    /// The next unit of stdin; `None` at its end.
    ///
    /// # Errors
    /// Ctrl-C at the editor, or a stdin that cannot be read.
    async fn next_typed(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        match self.keyboard.next().await {
            Typed::Data(data) => self.parse(data).map(Some),
            Typed::End => {
                self.is_typed_out = true;
                Ok(None)
            }
            Typed::Interrupted => Err(Ended::new(Code::Interrupted, "")),
            Typed::Failed(text) => Err(Ended::new(Code::Failure, text)),
        }
    }

    /// How long to wait for an answer to a handshake or a request.
    fn answer_ms_max(&self) -> u64 {
        self.args.timeout_ms.unwrap_or(ANSWER_MS_MAX)
    }
}

/// A pause between half and the whole of its step, so that a crowd does not come back in one wave.
fn pause_ms(attempt: u32) -> Result<u64, Ended> {
    let step = PAUSE_MS
        .saturating_mul(1 << attempt.min(16))
        .min(PAUSE_MS_MAX);
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Ended::new(Code::Failure, format!("no random numbers: {error}")))?;
    Ok(step / 2 + u64::from_le_bytes(random) % (step / 2))
}
