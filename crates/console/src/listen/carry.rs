//! One connection's two directions: what waits for a client goes out beside whatever hears it.
//!
//! Invariants that a reader could break:
//!
//! - A client whose side ended gets all that waits for it before ours ends.
//! - Our end is not a reset while something of ours is under way (RFC 9293 §3.10.4): after it we read on for a while.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::clients::{Client, Inbox, Out};
use super::house::House;
use super::report::{bytes, preview};

/// Bytes of a read.
pub(super) const READ_BYTES_MAX: usize = 64 << 10;
/// Bytes that are gathered for a write.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// How long we wait for a client's end after ours, so that what we sent last is not lost by a reset.
const LINGER: Duration = Duration::from_secs(2);

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

/// Reads on after our end until the client's, for a while.
pub(super) async fn linger(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4 << 10];
    let drain = async { while matches!(reader.read(&mut buffer).await, Ok(1..)) {} };
    let _ = timeout(LINGER, drain).await;
}
