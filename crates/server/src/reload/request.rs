//! Who asks for the configuration to be read again, and what is told to it: a signal, or the server API.
//!
//! Requests wait in one short line for whoever reads configuration, which takes all that wait at once: one reload answers them all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};

use taut_gate::http::Problem;
use taut_hub::ConnId;

use crate::core::Alert;

/// Requests that may wait.
const WAITING_MAX: usize = 16;

/// What came of a reload.
#[derive(Debug, Clone, Default)]
pub struct Reloaded {
    /// What is other than before and in force.
    pub changed: Vec<String>,
    /// What is other than before and waits for a restart.
    pub waiting: Vec<String>,
    /// What is wrong with the configuration. Where there is anything, nothing has changed.
    pub problems: Vec<String>,
}

/// Who asked, and what came of it.
pub(crate) type Answered = (ConnId, Reloaded);

/// One who asks. What it asked for is answered through it.
#[derive(Debug)]
pub struct ReloadRequest(Option<Asker>);

#[derive(Debug)]
struct Asker {
    conn: ConnId,
    answers: Sender<Answered>,
    alert: Arc<Alert>,
}

impl ReloadRequest {
    pub(super) fn of_nobody() -> Self {
        Self(None)
    }

    pub(crate) fn of(conn: ConnId, answers: Sender<Answered>, alert: Arc<Alert>) -> Self {
        Self(Some(Asker {
            conn,
            answers,
            alert,
        }))
    }

    /// Says what came of it.
    pub fn answer(self, outcome: Reloaded) {
        let Some(asker) = self.0 else {
            return;
        };
        if asker.answers.send((asker.conn, outcome)).is_ok() {
            asker.alert.raise();
        }
    }
}

/// The near end of the line.
#[derive(Debug, Clone)]
pub(crate) struct ReloadLine(SyncSender<ReloadRequest>);

/// The far end: for whoever reads the configuration. Where nobody takes it there is nothing to reload.
#[derive(Debug)]
pub struct ReloadRequests(Receiver<ReloadRequest>);

impl ReloadLine {
    pub(crate) fn open() -> (Self, ReloadRequests) {
        let (near, far) = sync_channel(WAITING_MAX);
        (Self(near), ReloadRequests(far))
    }

    pub(crate) fn ask(&self, request: ReloadRequest) -> Result<(), Problem> {
        self.0.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => Problem {
                retry_s: Some(1),
                ..Problem::new(503, "full", "too many reloads are asked for; try again")
            },
            TrySendError::Disconnected(_) => {
                let detail = "this server was given its configuration by a program, which does not reload it";
                Problem::new(503, "unavailable", detail)
            }
        })
    }
}

impl ReloadRequests {
    /// Waits for requests: all that are there, at least one. `None` when the server has ended.
    #[must_use]
    pub fn next(&self) -> Option<Vec<ReloadRequest>> {
        let first = self.0.recv().ok()?;
        Some(std::iter::once(first).chain(self.0.try_iter()).collect())
    }
}
