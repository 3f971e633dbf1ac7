//! Clients of tcp:// and unix:.
//!
//! Invariants that a reader could break:
//!
//! - One future reads, another writes from the client's queue: a client that does not read never keeps us from reading, but for what its own bytes
//!   would have been answered with.
//! - A client whose side ended gets all that waits for it before ours ends, and reads the end of file after it: the connection is not reset while
//!   something is under way (RFC 9293 §3.10.4).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::timeout;

use super::bridge::bridge;
use super::carry::{Course, READ_BYTES_MAX, carry, linger};
use super::clients::{Client, Out, Outbox};
use super::cutter::{Cutter, STANDSTILL, without_end};
use super::house::House;
use super::plan::Mode;
use super::report::{Unit, bytes, preview};
use crate::show::{Renderer, Rendering};

/// Serves one client until one of both ends it.
pub(super) async fn serve(
    house: &House,
    client: &Client,
    stream: impl AsyncRead + AsyncWrite,
) -> Course {
    let (mut reader, writer) = tokio::io::split(stream);
    let hears_all = matches!(house.plan.mode, Mode::Converse | Mode::Chat);
    let inbox = client.inbox(hears_all);
    let outbox = inbox.outbox();
    let course = Course::default();
    let inward = talk(house, client, &mut reader, &outbox, &course);
    if carry(house, client, (inbox, writer), append, &course, inward).await {
        linger(&mut reader).await;
    }
    course
}

/// Says the greeting and does what the mode wants; gives why it ended.
async fn talk(
    house: &House,
    client: &Client,
    reader: &mut (impl AsyncRead + Unpin),
    outbox: &Outbox,
    course: &Course,
) -> String {
    if let Some(greeting) = &house.plan.greeting {
        outbox.send(Out::Raw(line(greeting.as_bytes()))).await;
    }
    match &house.plan.mode {
        Mode::Greet => "it was greeted".to_owned(),
        Mode::Exec { command } => match house.processes.start(command, environment(client)) {
            Ok(process) => bridge(house, client, reader, outbox, course, process).await,
            Err(text) => {
                house.report.wrong(client.number, &text).await;
                text
            }
        },
        _ => hear(house, client, reader, outbox, course).await,
    }
}

/// Who the client is, for processes.
pub(super) fn environment(client: &Client) -> Vec<(String, std::ffi::OsString)> {
    let (host, port) = client.peer.rsplit_once(':').unwrap_or((&client.peer, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    [
        ("TAUT_CLIENT", client.number.to_string()),
        ("REMOTE_ADDR", host.to_owned()),
        ("REMOTE_PORT", port.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into()
}

/// What is done with what arrives.
struct Ear<'a> {
    house: &'a House,
    client: &'a Client,
    outbox: &'a Outbox,
    renderer: Renderer,
    cutter: Cutter,
    is_by_line: bool,
}

/// Hears the client until its side ends.
async fn hear(
    house: &House,
    client: &Client,
    reader: &mut (impl AsyncRead + Unpin),
    outbox: &Outbox,
    course: &Course,
) -> String {
    let is_by_line = match &house.plan.mode {
        Mode::Chat => true,
        Mode::Echo { prefix } => !prefix.is_empty(),
        _ => false,
    };
    let mut ear = Ear {
        house,
        client,
        outbox,
        renderer: house.report.renderer(),
        cutter: Cutter::default(),
        is_by_line,
    };
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        let read = if ear.cutter.is_unfinished() {
            match timeout(STANDSTILL, reader.read(&mut buffer)).await {
                Ok(read) => read,
                Err(_) => {
                    ear.finish_line().await;
                    continue;
                }
            }
        } else {
            reader.read(&mut buffer).await
        };
        match read {
            Ok(0) => {
                ear.end().await;
                return "it closed its side".to_owned();
            }
            Ok(count) => {
                course.received(count);
                ear.arrived(&buffer[..count]).await;
            }
            Err(error) => {
                ear.end().await;
                return format!("reading from it failed: {error}");
            }
        }
    }
}

impl Ear<'_> {
    async fn arrived(&mut self, piece: &[u8]) {
        let report = &self.house.report;
        let number = self.client.number;
        report
            .tell(number, || {
                format!("< {} {}", bytes(piece.len()), preview(piece))
            })
            .await;
        if report.shows() && !report.is_by_line() {
            report.piece(number, &mut self.renderer, piece).await;
        }
        if self.is_by_line || (report.shows() && report.is_by_line()) {
            for line in self.cutter.cut(piece) {
                self.line(&line).await;
            }
        }
        if let Mode::Echo { prefix } = &self.house.plan.mode
            && prefix.is_empty()
        {
            self.outbox.send(Out::Raw(piece.to_vec())).await;
        }
    }

    async fn finish_line(&mut self) {
        if let Some(line) = self.cutter.finish() {
            self.line(&line).await;
        }
    }

    async fn line(&mut self, line: &[u8]) {
        let report = &self.house.report;
        if report.shows() && report.is_by_line() {
            report.unit(self.client.number, Unit::Line, line).await;
        }
        match &self.house.plan.mode {
            Mode::Chat => {
                let said = said(&self.client.name(), without_end(line));
                self.house
                    .clients
                    .say(Some(self.client.number), &said)
                    .await;
            }
            Mode::Echo { prefix } if !prefix.is_empty() => {
                self.outbox.send(Out::Raw([prefix, line].concat())).await;
            }
            _ => {}
        }
    }

    async fn end(&mut self) {
        self.finish_line().await;
        self.house.report.piece_end(&mut self.renderer).await;
    }
}

/// What a client said, as others read it on their terminals.
pub(super) fn said(name: &str, text: &[u8]) -> Vec<u8> {
    let mut said = format!("{name}: ").into_bytes();
    Rendering::Escaped.message(&mut said, text);
    said
}

/// Appends the bytes of what is to be sent; gives whether that is all.
fn append(batch: &mut Vec<u8>, out: &Out) -> bool {
    match out {
        Out::Say(text) => {
            batch.extend_from_slice(text);
            batch.push(b'\n');
        }
        Out::Raw(bytes) => batch.extend_from_slice(bytes),
        Out::Farewell | Out::End => return true,
    }
    false
}

/// `text` with a newline, unless it ends in one.
pub(super) fn line(text: &[u8]) -> Vec<u8> {
    let mut line = text.to_vec();
    if line.last() != Some(&b'\n') {
        line.push(b'\n');
    }
    line
}
