//! A stream: what is typed goes, what comes is printed, byte by byte.

use std::io;
use std::time::Duration;

use taut_dial::{Stream, broken, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, sleep_until};

use super::args::Patience;
use super::output::Goes;
use super::{Over, Session, failure};
use crate::Ended;

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// How long to listen for why a peer takes nothing more.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A stream that is open.
struct Wire {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    /// What is on its way to the peer.
    sending: Vec<u8>,
    sent: usize,
    /// Our half is closed, or is to be as soon as `sending` is out.
    is_finishing: bool,
    is_finished: bool,
}

/// Opens the stream and serves both directions until one end has enough.
pub(super) async fn run(session: &mut Session) -> Result<Over, Ended> {
    let (scenes, printing) = session.narrator.scenes();
    let opened = open(&session.url, &session.settings, &scenes).await;
    drop(scenes);
    let _ = printing.await;
    let opened = opened.map_err(|error| failure::ended(&error))?;
    session.tell_open(&opened.local, &opened.peer).await?;
    let (reader, writer) = split(opened.stream);
    let mut wire = Wire {
        reader,
        writer,
        sending: Vec::new(),
        sent: 0,
        is_finishing: session.is_typed_out,
        is_finished: false,
    };
    let over = wire.serve(session).await;
    session.output.end().await?;
    over
}

impl Wire {
    async fn serve(&mut self, session: &mut Session) -> Result<Over, Ended> {
        let screen = session.output.screen.clone();
        let mut buffer = vec![0; READ_BYTES];
        let mut deadline = None;
        loop {
            let is_sending = self.sent < self.sending.len();
            if self.is_finishing && !is_sending && !self.is_finished {
                self.finish(session).await?;
                deadline = deadline_of(session);
            }
            tokio::select! {
                read = self.reader.read(&mut buffer) => {
                    let count = match read {
                        Ok(count) => count,
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            // So many servers do it that it cannot be a failure, and so it must be said.
                            session.narrator.tell('*', "the peer ended TLS without close_notify: whether this was all it had to say, nobody can know").await?;
                            0
                        }
                        Err(error) => return Err(lost(session, &error)),
                    };
                    if count == 0 {
                        session.narrator.tell('<', "FIN: the peer sends no more, so we are done").await?;
                        session.output.event("close", serde_json::json!({ "by": "peer" })).await?;
                        return Ok(Over::ByPeer);
                    }
                    session.narrator.bytes('<', &buffer[..count]).await?;
                    if session.output.piece(&buffer[..count]).await? == Goes::Enough {
                        session.narrator.tell('*', "as many lines came as were asked for").await?;
                        return Ok(Over::ByUs);
                    }
                }
                written = self.writer.write(&self.sending[self.sent..]), if is_sending => {
                    let count = match written {
                        Ok(count) => count,
                        Err(error) => return Err(self.why(session, error).await),
                    };
                    session.narrator.bytes('>', &self.sending[self.sent..self.sent + count]).await?;
                    self.sent += count;
                    // TLS keeps what it was given until it is told to let go.
                    self.writer.flush().await.map_err(|error| lost(session, &error))?;
                }
                typed = session.next_typed(), if !is_sending && !self.is_finishing => {
                    match typed? {
                        Some(typed) => self.send(typed),
                        None => self.is_finishing = true,
                    }
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    session.narrator.tell('*', "nothing more is waited for (--wait)").await?;
                    return Ok(Over::ByUs);
                }
                gone = screen.gone() => return Err(gone.into()),
            }
        }
    }

    /// Why nothing more can be sent: the peer may have said so before it closed, such as that it wants a certificate.
    async fn why(&mut self, session: &Session, error: io::Error) -> Ended {
        let mut buffer = [0; 1_024];
        let said = tokio::time::timeout(LAST_WORDS, self.reader.read(&mut buffer)).await;
        match said {
            Ok(Err(said)) if said.kind() == io::ErrorKind::InvalidData => lost(session, &said),
            _ => lost(session, &error),
        }
    }

    fn send(&mut self, typed: Vec<u8>) {
        self.sending = typed;
        self.sent = 0;
    }

    /// Closes our half: the peer sees the end of what we send, and may still answer.
    async fn finish(&mut self, session: &Session) -> Result<(), Ended> {
        self.is_finished = true;
        session
            .narrator
            .tell(
                '>',
                "FIN: stdin has ended, so we send no more; what comes is still printed",
            )
            .await?;
        match self.writer.shutdown().await {
            // The peer is gone already; reading will tell how.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other.map_err(|error| lost(session, &error)),
        }
    }
}

/// When a peer that says nothing more is left alone.
fn deadline_of(session: &Session) -> Option<Instant> {
    match session.args.wait {
        Some(Patience::Ms(ms)) => Some(Instant::now() + Duration::from_millis(ms)),
        // Lines that are counted are waited for.
        _ => None,
    }
}

fn lost(session: &Session, error: &io::Error) -> Ended {
    failure::ended(&broken(
        error,
        &session.url.to_string(),
        "bytes were on their way",
    ))
}
