//! Clients of tcp:// and unix:.
//!
//! Invariants that a reader could break:
//!
//! - One future reads, another writes from the client's queue: a client that does not read never keeps us from reading, but for what its own bytes
//!   would have been answered with.
//! - A client whose side ended gets all that waits for it before ours ends, and reads the end of file after it: the connection is not reset while
//!   something is under way (RFC 9293 §3.10.4).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout};

use super::clients::{Client, Inbox, Out, Outbox};
use super::cutter::{Cutter, STANDSTILL, without_end};
use super::house::House;
use super::plan::Mode;
use super::process::Process;
use super::report::{Unit, bytes, preview};
use crate::show::{Renderer, Rendering};

/// Bytes of a read.
pub(super) const READ_BYTES_MAX: usize = 64 << 10;
/// Bytes that are gathered for a write.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// How long we wait for a client's end after ours, so that what we sent last is not lost by a reset.
const LINGER: Duration = Duration::from_secs(2);
/// How long a process may be silent once its client's side has ended: whether the client still listens cannot be known.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes both ways, and why it ended.
#[derive(Debug, Default)]
pub(super) struct Course {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    why: Mutex<String>,
}

impl Course {
    /// The course of a client that is gone.
    pub(super) fn ended(why: String, bytes_in: u64, bytes_out: u64) -> Self {
        Self {
            bytes_in: bytes_in.into(),
            bytes_out: bytes_out.into(),
            why: why.into(),
        }
    }

    pub(super) fn received(&self, count: usize) {
        self.bytes_in.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn sent(&self, count: usize) {
        self.bytes_out.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn end(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn end_if_open(&self, text: &str) {
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if why.is_empty() {
            text.clone_into(&mut why);
        }
    }

    pub(super) fn into_parts(self) -> (String, u64, u64) {
        let why = self
            .why
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (why, self.bytes_in.into_inner(), self.bytes_out.into_inner())
    }
}

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

/// Carries what waits for the client out to it, beside the future that hears it and that tells why it ends; gives whether all of it went out.
///
/// `form` appends something to the bytes for the socket and says whether nothing comes after it.
pub(super) async fn carry(
    house: &House,
    client: &Client,
    (mut inbox, mut writer): (Inbox, impl AsyncWrite + Unpin),
    form: impl FnMut(&mut Vec<u8>, &Out) -> bool,
    course: &Course,
    inward: impl Future<Output = String>,
) -> bool {
    let outbox = inbox.outbox();
    let stalled = inbox.stalled();
    let inward = async {
        let why = inward.await;
        course.end(why);
        outbox.end();
        // What ends the client is the end of the other direction.
        std::future::pending::<()>().await;
    };
    let outward = write_out(house, client, &mut inbox, &mut writer, form, course);
    tokio::select! {
        () = inward => false,
        written = outward => {
            match &written {
                Ok(()) => course.end_if_open("the server ended"),
                Err(error) => course.end(format!("writing to it failed: {error}")),
            }
            written.is_ok()
        }
        () = stalled => {
            house.report.wrong(client.number, "does not read what is sent to it: dropped").await;
            course.end("it did not read".to_owned());
            false
        }
    }
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

/// Lets a process talk to the client; gives why it ended.
async fn bridge(
    house: &House,
    client: &Client,
    reader: &mut (impl AsyncRead + Unpin),
    outbox: &Outbox,
    course: &Course,
    mut process: Process,
) -> String {
    let mut stdin = process.stdin.take();
    let stdout = process.stdout.take();
    // When the client's side ended: from then on silence counts.
    let (ended, client_end) = tokio::sync::watch::channel(None);
    let input = async {
        let mut renderer = house.report.renderer();
        let mut buffer = vec![0; READ_BYTES_MAX];
        let failed = loop {
            match reader.read(&mut buffer).await {
                Ok(0) => break None,
                Err(error) => break Some(format!("reading from it failed: {error}")),
                Ok(count) => {
                    let piece = &buffer[..count];
                    course.received(count);
                    let told = || format!("< {} {}", bytes(count), preview(piece));
                    house.report.tell(client.number, told).await;
                    if house.report.shows() {
                        house
                            .report
                            .piece(client.number, &mut renderer, piece)
                            .await;
                    }
                    // A process that reads no more may still write.
                    if let Some(pipe) = &mut stdin
                        && pipe.write_all(piece).await.is_err()
                    {
                        stdin = None;
                    }
                }
            }
        };
        house.report.piece_end(&mut renderer).await;
        stdin = None;
        match failed {
            Some(failed) => failed,
            None => {
                ended.send_replace(Some(Instant::now()));
                std::future::pending().await
            }
        }
    };
    let output = async {
        if let Some(stdout) = stdout
            && copy_out(stdout, outbox, client_end).await.is_err()
        {
            return "its side ended, and the command said nothing more".to_owned();
        }
        match process.ended().await {
            Ok(()) => "the command ended".to_owned(),
            Err(text) => {
                house.report.wrong(client.number, &text).await;
                text
            }
        }
    };
    tokio::select! {
        why = input => why,
        why = output => why,
    }
}

/// Copies what a process writes, until it ends, or until it has been silent for too long after the client's side ended.
async fn copy_out(
    mut stdout: ChildStdout,
    outbox: &Outbox,
    mut client_end: tokio::sync::watch::Receiver<Option<Instant>>,
) -> Result<(), Silent> {
    let mut buffer = vec![0; READ_BYTES_MAX];
    let mut last = Instant::now();
    loop {
        let ended = *client_end.borrow_and_update();
        let silence = async {
            match ended {
                Some(ended) => tokio::time::sleep_until(ended.max(last) + SILENCE).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = stdout.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(count) => {
                    last = Instant::now();
                    if !outbox.send(Out::Raw(buffer[..count].to_vec())).await {
                        return Ok(());
                    }
                }
            },
            () = silence => return Err(Silent),
            changed = client_end.changed() => if changed.is_err() {
                return Ok(());
            },
        }
    }
}

struct Silent;

/// Writes what waits for the client until `form` says that it was the last, and ends our side.
async fn write_out(
    house: &House,
    client: &Client,
    inbox: &mut Inbox,
    writer: &mut (impl AsyncWrite + Unpin),
    mut form: impl FnMut(&mut Vec<u8>, &Out) -> bool,
    course: &Course,
) -> io::Result<()> {
    loop {
        let first = inbox.next().await;
        let mut batch = Vec::new();
        let mut is_last = form(&mut batch, &first);
        let mut taken = vec![first];
        while !is_last && batch.len() < WRITE_BYTES_MAX {
            let Some(more) = inbox.next_now() else { break };
            is_last = form(&mut batch, &more);
            taken.push(more);
        }
        if !batch.is_empty() {
            let told = || format!("> {} {}", bytes(batch.len()), preview(&batch));
            house.report.tell(client.number, told).await;
            writer.write_all(&batch).await?;
            writer.flush().await?;
            course.sent(batch.len());
        }
        for out in &taken {
            inbox.sent(out);
        }
        if is_last {
            return writer.shutdown().await;
        }
    }
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

/// Reads on after our end until the client's, for a while.
pub(super) async fn linger(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4 << 10];
    let drain = async { while matches!(reader.read(&mut buffer).await, Ok(1..)) {} };
    let _ = timeout(LINGER, drain).await;
}
