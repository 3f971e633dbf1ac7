//! Certificate files that change while the server runs: looked at every few seconds, read again when they have come to rest.
//!
//! A file that was replaced is seen by its inode, size and times, so a renewal is not read in every round. A pair whose halves are replaced one after
//! the other is taken when two looks find the same. What cannot be used leaves the old certificates in force, and the log says why.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::ProducesTickets;

use super::config::{CertificateSource, ClientCertificates, TlsConfig};
use super::current::Current;
use super::error::TlsError;
use super::paper::CertificateFacts;
use super::papers::{Papers, tickets};
use crate::core::unix_ms;

/// From so many seconds before its end on, each reading of a certificate warns of it.
const WARN_S: i64 = 7 * 86_400;

/// What one look tells of a file.
pub(crate) type Look = Option<(u64, u64, u64, i64, i64, i64)>;

/// See the [module](self).
pub(crate) struct Watch {
    renewal: Arc<Renewal>,
    /// Ends the watch.
    bell: Arc<Bell>,
}

/// What is watched, and where it goes when it has changed.
pub(crate) struct Renewal {
    current: Arc<Current>,
    tickets: Arc<dyn ProducesTickets>,
    watched: Mutex<Watched>,
}

struct Watched {
    tls: TlsConfig,
    /// What the configuration in force was read from, or what was last tried.
    tried: Vec<Look>,
}

/// Another configuration of TLS, read and found good.
pub(crate) struct Prepared {
    papers: Papers,
    watched: Watched,
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
            renewal: Arc::new(Renewal {
                current,
                tickets,
                watched: Mutex::new(Watched { tls, tried: looks }),
            }),
            bell: Arc::default(),
        }
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    pub(crate) fn renewal(&self) -> Arc<Renewal> {
        Arc::clone(&self.renewal)
    }

    /// Looks until it is told to end.
    pub(crate) fn run(self) {
        let mut before = self.renewal.watched().tried.clone();
        loop {
            let pause = self.renewal.watched().tls.reload_ms.max(1);
            if self.bell.wait(Duration::from_millis(pause)) {
                return;
            }
            before = self.renewal.look(&before);
        }
    }
}

impl Renewal {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One round: reads files again that have changed and look as they did in the round before. How they look now.
    fn look(&self, before: &[Look]) -> Vec<Look> {
        let mut watched = self.watched();
        let now = looks(&paths(&watched.tls));
        if now != watched.tried && now == before {
            match self.read(&watched.tls) {
                Ok(papers) => self.take(papers),
                Err(error) => tracing::error!(
                    "the changed certificates cannot be used, those before stay in force: {error}"
                ),
            }
            watched.tried.clone_from(&now);
        }
        now
    }

    /// Reads what another configuration names; `None` where nothing is other than what is in force.
    pub(crate) fn prepare(&self, tls: &TlsConfig) -> Result<Option<Prepared>, TlsError> {
        let tried = looks(&paths(tls));
        {
            let watched = self.watched();
            if watched.tls == *tls && watched.tried == tried {
                return Ok(None);
            }
        }
        Ok(Some(Prepared {
            papers: self.read(tls)?,
            watched: Watched {
                tls: tls.clone(),
                tried,
            },
        }))
    }

    /// Handshakes go by this from now on.
    pub(crate) fn apply(&self, prepared: Prepared) {
        *self.watched() = prepared.watched;
        self.take(prepared.papers);
    }

    fn read(&self, tls: &TlsConfig) -> Result<Papers, TlsError> {
        let tickets = if tls.clients == ClientCertificates::Unasked {
            Arc::clone(&self.tickets)
        } else {
            // A ticket holds the client's certificate as judged when it was given: other authorities may judge otherwise.
            tickets()?
        };
        Papers::read(tls, tickets, unix_s())
    }

    fn take(&self, papers: Papers) {
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
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewal")
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
