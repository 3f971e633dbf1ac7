//! How a running server is told to end.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use crate::core::Alert;

/// What all threads look at: 0 serve, 1 drain, 2 end at once.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    level: AtomicU8,
    alerts: OnceLock<Vec<Arc<Alert>>>,
}

impl Stop {
    pub(crate) fn is_stopping(&self) -> bool {
        self.level.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.level.load(Ordering::Acquire) > 1
    }

    /// Whom to wake; set once, before the first thread runs.
    pub(crate) fn wakes(&self, alerts: Vec<Arc<Alert>>) {
        // A second call would come from the same start-up and bring the same alerts.
        let _ = self.alerts.set(alerts);
    }
}

/// Ends a [`Server`](crate::Server) from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(pub(crate) Arc<Stop>);

impl Stopper {
    /// Begins the graceful shutdown: no new connections, everybody is told to come back, then they are closed in batches.
    ///
    /// A second call ends the server at once.
    pub fn stop(&self) {
        let _ = self
            .0
            .level
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |level| {
                Some(level.saturating_add(1))
            });
        for alert in self.0.alerts.get().into_iter().flatten() {
            alert.raise();
        }
    }
}
