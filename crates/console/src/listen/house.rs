//! What all clients of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::clients::Clients;
use super::plan::Plan;
use super::process::Processes;
use super::report::Report;

/// What all clients of a server share.
#[derive(Debug)]
pub(super) struct House {
    pub(super) plan: Plan,
    pub(super) report: Report,
    pub(super) clients: Arc<Clients>,
    pub(super) processes: Processes,
    pub(super) files: Option<Arc<taut_files::Files>>,
    /// Whether the one client of `--once` has come.
    is_taken: AtomicBool,
    stage: watch::Sender<Stage>,
}

/// How far the server's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// Nobody else is let in.
    Closing,
    /// Everything is done.
    Finished,
}

impl House {
    pub(super) fn new(plan: Plan, report: Report, files: Option<Arc<taut_files::Files>>) -> Self {
        Self {
            clients: Arc::new(Clients::new(plan.clients_max)),
            processes: Processes::new(),
            plan,
            report,
            files,
            is_taken: AtomicBool::new(false),
            stage: watch::Sender::new(Stage::Open),
        }
    }

    /// Whether a newcomer may come in; with `--once` only the first, after whom the doors close.
    pub(super) fn admit(&self) -> bool {
        if !self.plan.once {
            return true;
        }
        let is_first = !self.is_taken.swap(true, Ordering::Relaxed);
        if is_first {
            self.advance(Stage::Closing);
        }
        is_first
    }

    /// With `--once`: the client is served, and the command ends.
    pub(super) fn served(&self) {
        if self.plan.once {
            self.advance(Stage::Finished);
        }
    }

    /// The server ends: connections on which nothing is under way end too.
    pub(super) fn end(&self) {
        self.advance(Stage::Finished);
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let is_later = to > *stage;
            *stage = to.max(*stage);
            is_later
        });
    }

    /// Waits until nobody else is to be let in.
    pub(super) async fn closing(&self) {
        self.reached(Stage::Closing).await;
    }

    /// Waits until all is done.
    pub(super) async fn finished(&self) {
        self.reached(Stage::Finished).await;
    }

    async fn reached(&self, wanted: Stage) {
        let mut stage = self.stage.subscribe();
        let _ = stage.wait_for(|stage| *stage >= wanted).await;
    }
}
