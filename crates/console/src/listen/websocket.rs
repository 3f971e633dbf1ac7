//! Clients of ws://, the server's role of RFC 6455.
//!
//! Any path, any Origin and any offered subprotocol is accepted; the first one offered is chosen.
//!
//! Invariants that a reader could break:
//!
//! - Nothing follows our close frame.
//! - A violation ends the connection with the close code that RFC 6455 §7.4 has for it, and is told on stderr.
//! - A message larger than `--max-bytes` is refused before it is read.
//!
//! Absent on purpose: compression, which this tool's messages do not need, and pings of our own: a client that is gone is found when it is written to.

use std::time::Duration;

use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::{
    CloseCode, Decoder, Event, Opcode, Role, Settings, Violation, encode_close, encode_frame,
};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::carry::{Course, READ_BYTES_MAX, carry, linger};
use super::clients::{Client, Out, Outbox};
use super::house::House;
use super::opening::shake_hands;
use super::plan::Mode;
use super::process::Process;
use super::report::{Unit, bytes, preview};
use super::stream::environment;
use super::web::Wire;

/// How long a client may take to answer our close frame.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// Serves one client until one of both ends it.
pub(super) async fn serve(
    house: &House,
    client: &Client,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Course {
    let mut wire = Wire::new(stream);
    if let Err(why) = shake_hands(house, client, &mut wire).await {
        return Course::ended(why, 0, 0);
    }
    let (stream, input) = wire.into_parts();
    let (mut reader, writer) = tokio::io::split(stream);
    let hears_all = matches!(house.plan.mode, Mode::Converse | Mode::Chat);
    let inbox = client.inbox(hears_all);
    let outbox = inbox.outbox();
    let course = Course::default();
    let inward = talk(house, client, &mut reader, input, &outbox, &course);
    let mut is_closed = false;
    let form = |batch: &mut Vec<u8>, out: &Out| append(batch, out, &mut is_closed);
    if carry(house, client, (inbox, writer), form, &course, inward).await {
        linger(&mut reader).await;
    }
    course
}

/// Appends what is to be sent as frames; gives whether that is all.
fn append(batch: &mut Vec<u8>, out: &Out, is_closed: &mut bool) -> bool {
    match out {
        Out::End => return true,
        _ if *is_closed => {}
        Out::Say(payload) => batch.extend_from_slice(&frame(None, payload)),
        Out::Raw(frame) => {
            *is_closed = frame
                .first()
                .is_some_and(|first| first & 0x0f == Opcode::Close as u8);
            batch.extend_from_slice(frame);
        }
        Out::Farewell => {
            *is_closed = true;
            encode_close(batch, CloseCode::GOING_AWAY, "the server ends", None);
        }
    }
    false
}

/// One message; `None` makes it text where it is UTF-8.
fn frame(opcode: Option<Opcode>, payload: &[u8]) -> Vec<u8> {
    let opcode = opcode.unwrap_or_else(|| {
        if std::str::from_utf8(payload).is_ok() {
            Opcode::Text
        } else {
            Opcode::Binary
        }
    });
    let mut out = Vec::new();
    encode_frame(&mut out, true, false, opcode, payload, None);
    out
}

async fn close(outbox: &Outbox, code: CloseCode, reason: &str) {
    let mut out = Vec::new();
    encode_close(&mut out, code, reason, None);
    outbox.send(Out::Raw(out)).await;
}

/// Says the greeting and does what the mode wants; gives why it ended.
async fn talk(
    house: &House,
    client: &Client,
    reader: &mut (impl AsyncRead + Unpin),
    input: Vec<u8>,
    outbox: &Outbox,
    course: &Course,
) -> String {
    if let Some(greeting) = &house.plan.greeting {
        outbox
            .send(Out::Raw(frame(Some(Opcode::Text), greeting.as_bytes())))
            .await;
    }
    let mut ear = Ear {
        house,
        client,
        outbox,
        course,
        stdin: None,
    };
    match &house.plan.mode {
        Mode::Greet => {
            close(outbox, CloseCode::NORMAL, "").await;
            let _ = timeout(CLOSE_TIME_MAX, ear.hear(reader, input)).await;
            "it was greeted".to_owned()
        }
        Mode::Exec { command } => match house.processes.start(command, environment(client)) {
            Ok(process) => bridge(ear, reader, input, process).await,
            Err(text) => {
                house.report.wrong(client.number, &text).await;
                close(outbox, CloseCode::TRY_AGAIN, &text).await;
                let _ = timeout(CLOSE_TIME_MAX, ear.hear(reader, input)).await;
                text
            }
        },
        _ => ear.hear(reader, input).await,
    }
}

/// What is done with what arrives.
struct Ear<'a> {
    house: &'a House,
    client: &'a Client,
    outbox: &'a Outbox,
    course: &'a Course,
    /// Where a process reads.
    stdin: Option<ChildStdin>,
}

impl Ear<'_> {
    /// Hears the client until one of both closes; gives why.
    async fn hear(&mut self, reader: &mut (impl AsyncRead + Unpin), mut input: Vec<u8>) -> String {
        let settings = Settings {
            role: Role::Server,
            message_bytes_max: self.house.plan.bytes_max,
            deflate: false,
        };
        let mut decoder = Decoder::new();
        let mut inflater = Inflater::new();
        loop {
            let mut at = 0;
            loop {
                let event = match decoder.decode(&settings, &mut input[at..], &mut inflater) {
                    Ok(decoded) if decoded.consumed == 0 => break,
                    Ok(decoded) => {
                        at += decoded.consumed;
                        decoded.event
                    }
                    Err(violation) => return self.violated(&violation).await,
                };
                if let Some(event) = event
                    && let Some(why) = self.event(event).await
                {
                    return why;
                }
            }
            input.drain(..at);
            input.reserve(READ_BYTES_MAX);
            match reader.read_buf(&mut input).await {
                Ok(0) => return "it went without a close frame".to_owned(),
                Ok(count) => self.course.received(count),
                Err(error) => return format!("reading from it failed: {error}"),
            }
        }
    }

    async fn violated(&self, violation: &Violation) -> String {
        let text = violation.to_string();
        self.house.report.wrong(self.client.number, &text).await;
        close(self.outbox, violation.code, &text).await;
        text
    }

    /// Does what one event wants; gives why it was the last, if it was.
    async fn event(&mut self, event: Event<'_>) -> Option<String> {
        let number = self.client.number;
        let report = &self.house.report;
        match event {
            Event::Text(text) => self.message(Opcode::Text, text.as_bytes()).await,
            Event::Binary(payload) => self.message(Opcode::Binary, &payload).await,
            Event::Ping(payload) => {
                report
                    .tell(number, || format!("< ping {}", preview(&payload)))
                    .await;
                self.outbox
                    .send(Out::Raw(frame(Some(Opcode::Pong), &payload)))
                    .await;
            }
            Event::Pong(payload) => {
                report
                    .tell(number, || format!("< pong {}", preview(&payload)))
                    .await;
            }
            Event::Close(frame) => {
                let (code, reason) = match &frame {
                    Some(frame) => (frame.code, &*frame.reason),
                    None => (CloseCode::NO_STATUS, ""),
                };
                close(self.outbox, code, "").await;
                let between = if reason.is_empty() { "" } else { ": " };
                return Some(match frame {
                    None => "it closed without a code".to_owned(),
                    Some(_) => format!("it closed with {}{between}{reason}", code.0),
                });
            }
        }
        None
    }

    async fn message(&mut self, opcode: Opcode, payload: &[u8]) {
        let number = self.client.number;
        let report = &self.house.report;
        let (unit, kind) = match opcode {
            Opcode::Text => (Unit::Text, "text"),
            _ => (Unit::Binary, "binary"),
        };
        let told = || format!("< {kind}, {} {}", bytes(payload.len()), preview(payload));
        report.tell(number, told).await;
        report.unit(number, unit, payload).await;
        match &self.house.plan.mode {
            Mode::Echo { prefix } => {
                let echo = frame(Some(opcode), &[prefix, payload].concat());
                self.outbox.send(Out::Raw(echo)).await;
            }
            Mode::Chat => {
                let mut said = format!("{}: ", self.client.name()).into_bytes();
                match opcode {
                    Opcode::Text => said.extend_from_slice(payload),
                    _ => said.extend_from_slice(format!("<{}>", bytes(payload.len())).as_bytes()),
                }
                self.house.clients.say(Some(number), &said).await;
            }
            Mode::Exec { .. } => {
                let line = [payload, b"\n"].concat();
                // A process that reads no more may still write.
                if let Some(stdin) = &mut self.stdin
                    && stdin.write_all(&line).await.is_err()
                {
                    self.stdin = None;
                }
            }
            _ => {}
        }
    }
}

/// Lets a process talk to the client, a line for each message; gives why it ended.
async fn bridge(
    mut ear: Ear<'_>,
    reader: &mut (impl AsyncRead + Unpin),
    input: Vec<u8>,
    mut process: Process,
) -> String {
    let (house, outbox) = (ear.house, ear.outbox);
    ear.stdin = process.stdin.take();
    let stdout = process.stdout.take();
    let output = async {
        if let Some(stdout) = stdout {
            lines_out(stdout, outbox, house.plan.bytes_max).await;
        }
        let (code, text) = match process.ended().await {
            Ok(()) => (CloseCode::NORMAL, "the command ended".to_owned()),
            Err(text) => (CloseCode::INTERNAL, text),
        };
        close(outbox, code, &text).await;
        text
    };
    let mut hearing = std::pin::pin!(ear.hear(reader, input));
    let why = tokio::select! {
        why = &mut hearing => return why,
        why = output => why,
    };
    let _ = timeout(CLOSE_TIME_MAX, hearing).await;
    why
}

/// Sends each line that a process writes, until it ends. A line longer than `line_bytes_max` is cut there.
async fn lines_out(stdout: ChildStdout, outbox: &Outbox, line_bytes_max: usize) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut stdout).take(line_bytes_max as u64);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = super::cutter::without_end(&line);
                if !outbox.send(Out::Raw(frame(None, text))).await {
                    return;
                }
            }
        }
    }
}
