//! Taking back what was granted, from any thread, and for who asks the server API.
//!
//! The disk is written, so no core does it. One thread does it for all of the API's requests, which wait in one line with a bound; all that wait are written
//! together, so that thousands cost few writes.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};

use taut_auth::{Full, Revocation, Unfit};
use taut_gate::http::Problem;
use taut_hub::ConnId;

use super::{Doorman, RecordError};
use crate::core::{Alert, Revoked};

/// Requests that may wait. Each is a connection's, which waits for it.
const WAITING_MAX: usize = 4_096;
/// Revocations that are written together: so long nobody who shows a token is judged.
pub(super) const TOGETHER_MAX: usize = 256;

/// Takes users, tokens, or everything issued before a moment back. It may be cloned and used from any thread; it blocks while the disk is written,
/// so never from a core.
#[derive(Clone)]
pub struct Revoker(pub(crate) Arc<Doorman>);

/// Why a revocation is not, or not for good.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// It would take back nothing, or what nobody means.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// There is no space for more.
    #[error(transparent)]
    Full(#[from] Full),
    /// It is in force until the server ends, and would be forgotten then.
    #[error("this is revoked until the server restarts, and could not be kept: {0}")]
    NotKept(#[from] RecordError),
}

impl Revoker {
    /// Takes something back. When this returns `Ok`, it is on the disk (where the server has a folder), and live Conns that it concerns end with
    /// [`taut_gate::Close::Revoked`] within the next turn of their cores.
    ///
    /// # Errors
    /// See [`RevokeError`]; after `NotKept` it is in force nevertheless.
    pub fn revoke(&self, revocation: &Revocation) -> Result<(), RevokeError> {
        let outcomes = self.0.revoke(std::slice::from_ref(revocation));
        outcomes.into_iter().collect()
    }

    /// How many users and tokens are remembered as taken back.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.revoked_count()
    }

    /// Has something taken back for a request of the API; its core hears what came of it.
    pub(crate) fn ask(&self, revoking: Revoking) -> Result<(), Problem> {
        let mut line = self.0.revoke_line();
        let near = match line.take() {
            Some(near) => near,
            None => self.begin().map_err(|error| unavailable(&error))?,
        };
        let sent = near.try_send(revoking);
        if let Err(TrySendError::Disconnected(_)) = sent {
            return Err(unavailable(&"whoever revokes has ended"));
        }
        *line = Some(near);
        sent.map_err(|_| Problem {
            retry_s: Some(1),
            ..Problem::new(503, "full", "too many revocations are asked for; try again")
        })
    }

    /// Begins the line, and the thread at its end, which ends with the server.
    fn begin(&self) -> std::io::Result<SyncSender<Revoking>> {
        let (near, far) = sync_channel(WAITING_MAX);
        let doorman = Arc::downgrade(&self.0);
        std::thread::Builder::new()
            .name("taut-revoke".to_owned())
            .spawn(move || work(&far, &doorman))?;
        Ok(near)
    }
}

fn unavailable(why: &dyn fmt::Display) -> Problem {
    Problem::new(503, "unavailable", why.to_string())
}

/// One that is asked for, and who asks.
#[derive(Debug)]
pub(crate) struct Revoking {
    pub(crate) revocation: Revocation,
    pub(crate) conn: ConnId,
    pub(crate) answers: Sender<Revoked>,
    pub(crate) alert: Arc<Alert>,
}

fn work(far: &Receiver<Revoking>, doorman: &Weak<Doorman>) {
    while let Ok(first) = far.recv() {
        let Some(doorman) = doorman.upgrade() else {
            return;
        };
        let all = std::iter::once(first).chain(far.try_iter());
        let asked: Vec<Revoking> = all.take(TOGETHER_MAX).collect();
        let revocations: Vec<Revocation> = asked.iter().map(|one| one.revocation.clone()).collect();
        for (one, outcome) in asked.into_iter().zip(doorman.revoke(&revocations)) {
            let outcome = outcome.map_err(|error| error.to_string());
            if one.answers.send((one.conn, outcome)).is_ok() {
                one.alert.raise();
            }
        }
    }
}

impl fmt::Debug for Revoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoker")
    }
}
