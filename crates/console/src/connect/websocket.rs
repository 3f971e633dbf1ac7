//! A WebSocket: a message for each line, and a line for each message.

use std::io;
use std::time::Duration;

use taut_dial::{Opening, Stream, broken, open, open_websocket};
use taut_wire::ws::deflate::{Deflater, Inflater, Params};
use taut_wire::ws::{
    CloseCode, CloseFrame, Decoder, Event, Follower, Opcode, Role, Settings, encode_close,
    encode_frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, sleep_until};

use super::args::Patience;
use super::frames::meaning;
use super::output::Goes;
use super::story::preview;
use super::{Over, Session, failure};
use crate::show::Rendering;
use crate::{Code, Ended};

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// How long nothing may come after the end of stdin.
const QUIET: Duration = Duration::from_secs(1);
/// How long the peer may take to answer our Close.
const FAREWELL: Duration = Duration::from_secs(2);
/// Below so many bytes compression would not spare a packet.
const DEFLATE_BYTES_MIN: usize = 128;

/// A WebSocket that is open.
struct Socket {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    settings: Settings,
    decoder: Decoder,
    inflater: Inflater,
    deflater: Option<(Deflater, Params)>,
    /// What came and is no whole unit yet.
    input: Vec<u8>,
    /// What is on its way to the peer.
    sending: Vec<u8>,
    sent: usize,
    coming: Follower,
    going: Follower,
    /// We have said Close, and why we want no more.
    closing: Option<Over>,
}

/// Opens the WebSocket and serves both directions until one end closes it.
pub(super) async fn run(session: &mut Session) -> Result<Over, Ended> {
    let (scenes, printing) = session.narrator.scenes();
    let opened = async {
        let mut opened = open(&session.url, &session.settings, &scenes).await?;
        let opening = Opening {
            protocols: session.args.subprotocols.clone(),
            origin: session.args.origin.clone(),
            headers: session.args.headers.clone(),
            deflate: session.args.compress,
            answer_ms_max: session.answer_ms_max(),
        };
        let (agreed, rest) =
            open_websocket(&mut opened.stream, &session.url, &opening, &scenes).await?;
        Ok((opened, agreed, rest))
    }
    .await;
    drop(scenes);
    let _ = printing.await;
    let (opened, agreed, rest) = opened.map_err(|error| failure::ended(&error))?;
    let fields = serde_json::json!({ "local": opened.local, "peer": opened.peer, "subprotocol": agreed.protocol });
    session.output.event("open", fields).await?;
    let protocol = match &agreed.protocol {
        Some(protocol) => format!("; subprotocol {}", preview(protocol.as_bytes())),
        None => String::new(),
    };
    session
        .narrator
        .tell('*', &format!("the WebSocket is open{protocol}"))
        .await?;
    let (reader, writer) = split(opened.stream);
    let mut socket = Socket {
        reader,
        writer,
        settings: Settings {
            role: Role::Client,
            message_bytes_max: session.args.max_bytes,
            deflate: agreed.deflate.is_some(),
        },
        decoder: Decoder::new(),
        inflater: Inflater::new(),
        deflater: agreed.deflate.map(|params| (Deflater::new(), params)),
        input: Vec::new(),
        sending: Vec::new(),
        sent: 0,
        coming: Follower::new(),
        going: Follower::new(),
        closing: None,
    };
    socket.serve(session, rest).await
}

impl Socket {
    async fn serve(&mut self, session: &mut Session, rest: Vec<u8>) -> Result<Over, Ended> {
        let screen = session.output.screen.clone();
        let mut buffer = vec![0; READ_BYTES];
        let mut whole = Vec::new();
        let mut deadline = session.is_typed_out.then(|| deadline_of(session)).flatten();
        let mut ping = session.args.ping_ms.map(every);
        if let Some(over) = self.take(session, &rest).await? {
            return self.end(over).await;
        }
        if self.closing.is_some() {
            // All that was asked for came with the handshake.
            deadline = Some(Instant::now() + FAREWELL);
        }
        loop {
            let is_sending = self.sent < self.sending.len();
            tokio::select! {
                read = self.reader.read(&mut buffer) => {
                    let count = read.map_err(|error| self.lost(session, &error))?;
                    if count == 0 {
                        return self.cut_short();
                    }
                    let was_closing = self.closing.is_some();
                    if let Some(over) = self.take(session, &buffer[..count]).await? {
                        return self.end(over).await;
                    }
                    if self.closing.is_some() && !was_closing {
                        deadline = Some(Instant::now() + FAREWELL);
                    } else if deadline.is_some() && !was_closing && session.args.wait.is_none() {
                        deadline = deadline_of(session);
                    }
                }
                written = self.writer.write(&self.sending[self.sent..]), if is_sending => {
                    let count = written.map_err(|error| self.lost(session, &error))?;
                    self.sent += count;
                    self.writer.flush().await.map_err(|error| self.lost(session, &error))?;
                }
                typed = session.next_typed(), if !is_sending && !session.is_typed_out && self.closing.is_none() => {
                    match typed? {
                        Some(typed) if session.args.whole => {
                            whole.extend_from_slice(&typed);
                            if whole.len() > session.args.max_bytes {
                                return Err(Ended::new(Code::Usage, format!("stdin is longer than {} bytes (--max-bytes)", session.args.max_bytes)));
                            }
                        }
                        Some(typed) => self.say(session, &typed).await?,
                        None => {
                            if session.args.whole {
                                self.say(session, &std::mem::take(&mut whole)).await?;
                            }
                            deadline = deadline_of(session);
                        }
                    }
                }
                () = until(ping.as_mut()), if ping.is_some() && !is_sending => {
                    self.frame(session, Opcode::Ping, b"", false).await?;
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && (!is_sending || self.closing.is_some()) => {
                    if let Some(over) = self.closing {
                        session.narrator.tell('*', "the peer did not answer our close in time").await?;
                        return Ok(over);
                    }
                    self.close(session, CloseCode::NORMAL, Over::ByUs).await?;
                    deadline = Some(Instant::now() + FAREWELL);
                }
                gone = screen.gone() => return Err(gone.into()),
            }
        }
    }

    /// Takes bytes that came; `Some` when the connection is over.
    async fn take(&mut self, session: &mut Session, bytes: &[u8]) -> Result<Option<Over>, Ended> {
        session.narrator.raw('<', bytes).await?;
        if session.narrator.is_telling() {
            let mut seen = Vec::new();
            self.coming.follow(bytes, |frame| seen.push(frame));
            for frame in seen {
                session.narrator.frame('<', &frame).await?;
            }
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut used = 0;
        let mut over = None;
        while over.is_none() {
            let decoded =
                self.decoder
                    .decode(&self.settings, &mut input[used..], &mut self.inflater);
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(violation) => return Err(self.violated(session, &violation).await),
            };
            used += decoded.consumed;
            match decoded.event.map(Event::into_owned) {
                Some(event) => over = self.event(session, event).await?,
                None if decoded.consumed == 0 => break,
                None => {}
            }
        }
        input.drain(..used.min(input.len()));
        self.input = input;
        Ok(over)
    }

    async fn event(
        &mut self,
        session: &mut Session,
        event: Event<'static>,
    ) -> Result<Option<Over>, Ended> {
        match event {
            Event::Text(text) => self.print(session, text.as_bytes(), true).await,
            Event::Binary(bytes) => self.print(session, &bytes, false).await,
            Event::Ping(payload) => {
                session
                    .output
                    .event("ping", serde_json::json!({ "bytes": payload.len() }))
                    .await?;
                self.frame(session, Opcode::Pong, &payload, false).await?;
                Ok(None)
            }
            Event::Pong(payload) => {
                session
                    .output
                    .event("pong", serde_json::json!({ "bytes": payload.len() }))
                    .await?;
                Ok(None)
            }
            Event::Close(close) => self.closed(session, close).await.map(Some),
        }
    }

    async fn print(
        &mut self,
        session: &mut Session,
        bytes: &[u8],
        is_text: bool,
    ) -> Result<Option<Over>, Ended> {
        if self.closing.is_some() {
            return Ok(None);
        }
        if session.output.message(bytes, is_text).await? == Goes::Enough {
            session
                .narrator
                .tell('*', "as many messages came as were asked for")
                .await?;
            self.close(session, CloseCode::NORMAL, Over::ByUs).await?;
        }
        Ok(None)
    }

    /// The peer said Close.
    async fn closed(
        &mut self,
        session: &mut Session,
        close: Option<CloseFrame<'static>>,
    ) -> Result<Over, Ended> {
        let code = close.as_ref().map(|close| close.code);
        let reason = close
            .map(|close| close.reason.into_owned())
            .unwrap_or_default();
        let fields = serde_json::json!({
            "by": if self.closing.is_some() { "us" } else { "peer" },
            "code": code.map(|code| code.0),
            "reason": reason,
        });
        session.output.event("close", fields).await?;
        if let Some(over) = self.closing {
            session
                .narrator
                .tell(
                    '*',
                    "the peer answered our close: the WebSocket is closed cleanly",
                )
                .await?;
            return Ok(over);
        }
        session
            .narrator
            .tell(
                '*',
                "the peer closes first; its close is answered with the same code",
            )
            .await?;
        self.close(session, code.unwrap_or(CloseCode::NO_STATUS), Over::ByPeer)
            .await?;
        match code {
            None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS) => {
                Ok(Over::ByPeer)
            }
            Some(code) => {
                // Politeness first: our answer goes out before we say that we are unhappy.
                self.drain().await;
                let reason = match reason.as_str() {
                    "" => String::new(),
                    reason => format!(": {}", preview(reason.as_bytes())),
                };
                let kind = if matches!(code.0, 1012 | 1013) {
                    Code::Unreachable
                } else {
                    Code::Refused
                };
                Err(Ended::new(
                    kind,
                    format!(
                        "the peer closed the WebSocket with {} ({}){reason}",
                        code.0,
                        meaning(code)
                    ),
                ))
            }
        }
    }

    /// Queues one message.
    async fn say(&mut self, session: &Session, bytes: &[u8]) -> Result<(), Ended> {
        let is_binary =
            session.args.binary || matches!(session.rendering, Rendering::Hex | Rendering::Base64);
        if is_binary {
            return self.frame(session, Opcode::Binary, bytes, true).await;
        }
        if std::str::from_utf8(bytes).is_err() {
            return Err(Ended::new(
                Code::Usage,
                "a line of stdin is not UTF-8, and a text message must be",
            )
            .hint("use --binary to send binary messages"));
        }
        self.frame(session, Opcode::Text, bytes, true).await
    }

    /// Queues one frame.
    async fn frame(
        &mut self,
        session: &Session,
        opcode: Opcode,
        payload: &[u8],
        may_compress: bool,
    ) -> Result<(), Ended> {
        let mask = Some(random()?);
        let mut frame = Vec::with_capacity(payload.len() + 14);
        let mut compressed = Vec::new();
        let is_compressed = match &mut self.deflater {
            Some((deflater, params)) if may_compress && payload.len() >= DEFLATE_BYTES_MIN => {
                deflater.deflate(payload, params.window_bits, &mut compressed)
            }
            _ => false,
        };
        let body = if is_compressed { &compressed } else { payload };
        encode_frame(&mut frame, true, is_compressed, opcode, body, mask);
        self.queue(session, &frame).await
    }

    /// Says Close.
    async fn close(&mut self, session: &Session, code: CloseCode, over: Over) -> Result<(), Ended> {
        self.closing = Some(over);
        let mut frame = Vec::new();
        encode_close(&mut frame, code, "", Some(random()?));
        self.queue(session, &frame).await
    }

    async fn queue(&mut self, session: &Session, frame: &[u8]) -> Result<(), Ended> {
        if self.sent == self.sending.len() {
            self.sending.clear();
            self.sent = 0;
        }
        self.sending.extend_from_slice(frame);
        session.narrator.raw('>', frame).await?;
        if session.narrator.is_telling() {
            let mut seen = Vec::new();
            self.going.follow(frame, |frame| seen.push(frame));
            for frame in seen {
                session.narrator.frame('>', &frame).await?;
            }
        }
        Ok(())
    }

    /// Lets the last frames go, as far as the peer takes them.
    async fn drain(&mut self) {
        let all = async {
            self.writer.write_all(&self.sending[self.sent..]).await?;
            self.writer.shutdown().await
        };
        // Whoever has closed need not listen.
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }

    async fn end(&mut self, over: Over) -> Result<Over, Ended> {
        self.drain().await;
        Ok(over)
    }

    async fn violated(&mut self, session: &Session, violation: &taut_wire::ws::Violation) -> Ended {
        let (code, hint) = match violation.code {
            CloseCode::TOO_BIG => (Code::Flood, Some("--max-bytes takes longer ones")),
            _ => (Code::Violation, None),
        };
        let _ = self.close(session, violation.code, Over::ByUs).await;
        self.drain().await;
        let ended = Ended::new(
            code,
            format!("the peer broke the WebSocket protocol: {violation}"),
        );
        match hint {
            Some(hint) => ended.hint(hint),
            None => ended,
        }
    }

    fn cut_short(&self) -> Result<Over, Ended> {
        match self.closing {
            Some(over) => Ok(over),
            None if self.input.is_empty() && self.decoder.is_idle() => Err(Ended::new(
                Code::CutShort,
                "the peer ended the connection without a close frame",
            )),
            None => Err(Ended::new(
                Code::CutShort,
                "the peer ended the connection in the middle of a message",
            )),
        }
    }

    fn lost(&self, session: &Session, error: &io::Error) -> Ended {
        let mut ended = failure::ended(&broken(
            error,
            &session.url.to_string(),
            "the WebSocket was open",
        ));
        if ended.code == Code::Unreachable {
            ended.code = Code::CutShort;
        }
        ended
    }
}

fn every(ms: u64) -> tokio::time::Interval {
    let period = Duration::from_millis(ms.max(1));
    tokio::time::interval_at(Instant::now() + period, period)
}

async fn until(ping: Option<&mut tokio::time::Interval>) {
    if let Some(ping) = ping {
        ping.tick().await;
    }
}

/// When to say Close; asked again whenever something has come.
fn deadline_of(session: &Session) -> Option<Instant> {
    match session.args.wait {
        Some(Patience::Ms(ms)) => Some(Instant::now() + Duration::from_millis(ms)),
        Some(Patience::Forever) => None,
        None if session.output.is_counting() => None,
        None => Some(Instant::now() + QUIET),
    }
}

/// A masking key (RFC 6455 §5.3).
fn random() -> Result<[u8; 4], Ended> {
    let mut key = [0; 4];
    getrandom::fill(&mut key)
        .map_err(|error| Ended::new(Code::Failure, format!("no random numbers: {error}")))?;
    Ok(key)
}
