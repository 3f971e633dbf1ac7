//! The desk where cores have files read for them: a core must never wait for a disk, so a few threads do.
//!
//! A core hands in a [`Job`] and gets a [`Done`] back over its own channel. Between the two the file belongs to the job, so nothing is kept here of a
//! Conn that has gone: its core drops what comes back.
//!
//! Bounds: [`JOBS_MAX`] requests wait, more are refused. The next chunk of an answer under way is always taken in; there is one at most for each Conn.
//! One chunk is at most [`CHUNK_BYTES`], and a Conn has one at a time: it asks for the next when the socket has taken the last.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use taut_files::{Answer, Conditions, Files, Method, Piece, Request};
use taut_hub::ConnId;

use crate::core::Alert;

/// Threads that read. More would only queue at the disk.
pub(crate) const READERS: usize = 2;
/// Requests that may wait.
const JOBS_MAX: usize = 256;
/// Bytes of a body that one job brings.
const CHUNK_BYTES: usize = 128 << 10;

/// What a core wants to have read.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) core: u16,
    pub(crate) conn: ConnId,
    pub(crate) work: Work,
}

/// See [`Job`].
#[derive(Debug)]
pub(crate) enum Work {
    /// The answer to a request.
    Answer(Box<Wanted>),
    /// The next chunk of a body.
    Read(Rest),
}

/// A request for a file.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) conditions: Conditions,
    pub(crate) now_unix_s: u64,
}

/// What is left of a body.
#[derive(Debug)]
pub(crate) struct Rest {
    pieces: VecDeque<Piece>,
    /// How much of the first piece is out.
    taken: u64,
}

/// What came of a [`Job`].
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) conn: ConnId,
    pub(crate) outcome: Outcome,
}

/// See [`Done`].
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The head of an answer, and the chunk that is behind it.
    Head {
        status: u16,
        fields: Vec<(&'static str, String)>,
        length: Option<u64>,
        chunk: Chunk,
    },
    /// A further chunk.
    Chunk(Chunk),
    /// The file cannot be read on, or has become shorter than the head says.
    Broken,
}

/// A part of a body.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// What is to be read behind it; `None` at the end.
    pub(crate) rest: Option<Rest>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Desk {
    files: Files,
    queue: Mutex<Queue>,
    /// Rings when there is something to do.
    bell: Condvar,
    outlets: Vec<Outlet>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The way back to a core.
#[derive(Debug)]
struct Outlet {
    sender: Sender<Done>,
    alert: Arc<Alert>,
}

/// A core's side of the desk.
#[derive(Debug)]
pub(crate) struct Counter {
    desk: Arc<Desk>,
    pub(crate) done: Receiver<Done>,
}

impl Desk {
    /// Opens the desk; `alerts[i]` wakes core i, which gets `counters[i]`.
    pub(crate) fn open(files: Files, alerts: &[Arc<Alert>]) -> (Arc<Self>, Vec<Counter>) {
        let (outlets, receivers): (Vec<_>, Vec<_>) = alerts
            .iter()
            .map(|alert| {
                let (sender, done) = channel();
                let alert = Arc::clone(alert);
                (Outlet { sender, alert }, done)
            })
            .unzip();
        let desk = Arc::new(Self {
            files,
            queue: Mutex::default(),
            bell: Condvar::new(),
            outlets,
        });
        let counters = receivers
            .into_iter()
            .map(|done| Counter {
                desk: Arc::clone(&desk),
                done,
            })
            .collect();
        (desk, counters)
    }

    /// Reads until the desk is closed. What one thread of [`READERS`] does.
    pub(crate) fn read(&self) {
        while let Some(job) = self.next() {
            let outcome = match job.work {
                Work::Answer(wanted) => self.answer(&wanted),
                Work::Read(rest) => rest.read().map_or(Outcome::Broken, Outcome::Chunk),
            };
            let Some(outlet) = self.outlets.get(usize::from(job.core)) else {
                continue;
            };
            // A core that has ended wants nothing any more.
            let conn = job.conn;
            if outlet.sender.send(Done { conn, outcome }).is_ok() {
                outlet.alert.raise();
            }
        }
    }

    /// Ends the threads that read, each after the job that it is at.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.bell.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self
                .bell
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answer(&self, wanted: &Wanted) -> Outcome {
        let request = Request {
            method: wanted.method,
            path: &wanted.path,
            query: wanted.query.as_deref(),
            conditions: &wanted.conditions,
        };
        let answer = self.files.answer(&request, wanted.now_unix_s);
        if let Some(fault) = &answer.fault {
            tell_often!(WARN, error = %fault, "a file could not be served");
        }
        let length = answer.content_length();
        let Answer {
            status,
            fields,
            body,
            ..
        } = answer;
        let rest = Rest {
            pieces: body.into(),
            taken: 0,
        };
        match rest.read() {
            Some(chunk) => Outcome::Head {
                status,
                fields,
                length,
                chunk,
            },
            None => Outcome::Broken,
        }
    }

    /// Nothing that holds the lock can panic half way, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter {
    /// Hands in a job; false when too many wait for it to be taken.
    pub(crate) fn hand_in(&self, job: Job) -> bool {
        let mut queue = self.desk.lock();
        let is_new = matches!(job.work, Work::Answer(_));
        if is_new && queue.jobs.len() >= JOBS_MAX {
            return false;
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.desk.bell.notify_one();
        true
    }
}

impl Rest {
    /// The next chunk; `None` when the file does not hold what was promised.
    fn read(mut self) -> Option<Chunk> {
        let mut bytes = Vec::new();
        while bytes.len() < CHUNK_BYTES
            && let Some(piece) = self.pieces.front()
        {
            let space = CHUNK_BYTES - bytes.len();
            let length = match piece {
                Piece::Bytes(all) => all.len() as u64,
                Piece::File { length, .. } => *length,
            };
            let left = length.saturating_sub(self.taken);
            let count = usize::try_from(left).map_or(space, |left| left.min(space));
            match piece {
                Piece::Bytes(all) => {
                    let from = usize::try_from(self.taken).ok()?;
                    bytes.extend_from_slice(all.get(from..from + count)?);
                }
                Piece::File { file, offset, .. } => {
                    let start = bytes.len();
                    bytes.resize(start + count, 0);
                    if let Err(error) = file.read_exact_at(&mut bytes[start..], offset + self.taken)
                    {
                        say_broken(&error);
                        return None;
                    }
                }
            }
            self.taken += count as u64;
            if self.taken >= length {
                self.pieces.pop_front();
                self.taken = 0;
            }
        }
        let rest = (!self.pieces.is_empty()).then_some(self);
        Some(Chunk { bytes, rest })
    }
}

fn say_broken(error: &io::Error) {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        tell_often!(
            WARN,
            "a file became shorter while it was sent; its connection ends"
        );
    } else {
        tell_often!(WARN, %error, "a file could not be read on; its connection ends");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn job(slot: u32, work: Work) -> Job {
        let conn = ConnId {
            slot,
            generation: 1,
        };
        let core = 0;
        Job { core, conn, work }
    }

    fn wanted() -> Work {
        Work::Answer(Box::new(Wanted {
            method: Method::Get,
            path: "/nothing".into(),
            query: None,
            conditions: Conditions::default(),
            now_unix_s: 0,
        }))
    }

    #[test]
    fn a_full_desk_refuses_requests_but_not_the_chunks_of_answers_under_way() {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), crate::core::ALERT).unwrap();
        let files = Files::open(&std::env::temp_dir(), taut_files::Settings::default()).unwrap();
        let (desk, counters) = Desk::open(files, &[Alert::new(waker)]);
        for slot in 0..256 {
            assert!(counters[0].hand_in(job(slot, wanted())));
        }
        assert!(!counters[0].hand_in(job(256, wanted())));
        let rest = Rest {
            pieces: VecDeque::new(),
            taken: 0,
        };
        assert!(counters[0].hand_in(job(257, Work::Read(rest))));
        // Closing empties it, and whoever reads goes home.
        desk.close();
        desk.read();
        assert!(counters[0].done.try_recv().is_err());
    }

    #[test]
    fn a_body_of_many_pieces_comes_in_chunks_without_a_gap() {
        let all: Vec<u8> = (0..600_000_u32)
            .map(|n| n.to_le_bytes()[n as usize % 3])
            .collect();
        let sizes = [1, CHUNK_BYTES - 2, 1, 3, CHUNK_BYTES, 2 * CHUNK_BYTES + 7];
        let mut pieces = VecDeque::new();
        let mut left = &all[..];
        for size in sizes {
            let (piece, behind) = left.split_at(size);
            pieces.push_back(Piece::Bytes(piece.to_vec()));
            left = behind;
        }
        pieces.push_back(Piece::Bytes(left.to_vec()));
        let mut rest = Some(Rest { pieces, taken: 0 });
        let mut read = Vec::new();
        while let Some(chunk) = rest.take().and_then(Rest::read) {
            assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= CHUNK_BYTES);
            read.extend_from_slice(&chunk.bytes);
            rest = chunk.rest;
        }
        assert!(read == all, "the chunks differ from the pieces");
    }
}
