//! Certificate files that change while the server runs: looked at every few seconds, read again when they have come to rest.
//!
//! A file that was replaced is seen by its inode, size and times, so a renewal is not read in every round. A pair whose halves are replaced one after
//! the other is taken when two looks find the same. What cannot be used leaves the old certificates in force, and the log says why.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustls::server::ProducesTickets;

use super::config::{CertificateSource, ClientCertificates, TlsConfig};
use super::current::Current;
use super::paper::CertificateFacts;
use super::papers::{Papers, tickets};
use crate::core::unix_ms;

/// From so many seconds before its end on, each reading of a certificate warns of it.
const WARN_S: i64 = 7 * 86_400;

/// What one look tells of a file.
pub(crate) type Look = Option<(u64, u64, u64, i64, i64, i64)>;

/// See the [module](self).
pub(crate) struct Watch {
    tls: TlsConfig,
    current: Arc<Current>,
    tickets: Arc<dyn ProducesTickets>,
    paths: Vec<PathBuf>,
    /// What the configuration in force was read from, or what was last tried.
    tried: Vec<Look>,
    /// Ends the watch.
    bell: Arc<Bell>,
}

/// Tells the watch to end.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_all();
    }

    /// Waits; true when it was rung.
    fn wait(&self, pause: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .condition
            .wait_timeout_while(rung, pause, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Watch {
    /// Watches the files of what has just been read.
    pub(crate) fn new(
        tls: TlsConfig,
        looks: Vec<Look>,
        current: Arc<Current>,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Self {
        Self {
            paths: paths(&tls),
            tried: looks,
            tls,
            current,
            tickets,
            bell: Arc::default(),
        }
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Looks until it is told to end.
    pub(crate) fn run(mut self) {
        let pause = Duration::from_millis(self.tls.reload_ms.max(1));
        let mut before = self.tried.clone();
        while !self.bell.wait(pause) {
            let now = looks(&self.paths);
            if now != self.tried && now == before {
                self.read_again();
                self.tried.clone_from(&now);
            }
            before = now;
        }
    }

    fn read_again(&mut self) {
        let tickets = if self.tls.clients == ClientCertificates::Unasked {
            Arc::clone(&self.tickets)
        } else {
            // A ticket holds the client's certificate as judged when it was given: other authorities may judge otherwise.
            match tickets() {
                Ok(tickets) => tickets,
                Err(error) => return tracing::warn!("certificates were not read again: {error}"),
            }
        };
        match Papers::read(&self.tls, tickets, unix_s()) {
            Ok(papers) => {
                self.current.replace(papers.config);
                for facts in &papers.facts {
                    tracing::info!(
                        file = facts.file,
                        names = facts.names.join(", "),
                        until = facts.until,
                        "a certificate was read again"
                    );
                }
                warn_of_end(&papers.facts);
            }
            Err(error) => {
                tracing::error!(
                    "the changed certificates cannot be used, those before stay in force: {error}"
                );
            }
        }
    }
}

/// Warns of certificates that end soon.
pub(crate) fn warn_of_end(facts: &[CertificateFacts]) {
    let now_unix_s = unix_s();
    for facts in facts {
        if facts.until_unix_s - now_unix_s < WARN_S {
            tracing::warn!(
                file = facts.file,
                until = facts.until,
                "a certificate ends soon; renew it"
            );
        }
    }
}

/// All files that the configuration names.
pub(crate) fn paths(tls: &TlsConfig) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for source in &tls.certificates {
        if let CertificateSource::Files { chain, key } = source {
            paths.extend([chain.clone(), key.clone()]);
        }
    }
    match &tls.clients {
        ClientCertificates::Unasked => {}
        ClientCertificates::Optional(path) | ClientCertificates::Required(path) => {
            paths.push(path.clone());
        }
    }
    paths
}

/// One look at all of them.
pub(crate) fn looks(paths: &[PathBuf]) -> Vec<Look> {
    paths.iter().map(|path| look(path)).collect()
}

fn look(path: &Path) -> Look {
    let found = std::fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime_nsec(),
    ))
}

pub(crate) fn unix_s() -> i64 {
    i64::try_from(unix_ms() / 1_000).unwrap_or(i64::MAX)
}
