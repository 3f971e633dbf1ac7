//! Certificate files that change while the server runs: looked at every few seconds, read again when they have come to rest.
//!
//! A file that was replaced is seen by its inode, size and times, so a renewal is not read in every round. A pair whose halves are replaced one after
//! the other is taken when two looks find the same. What cannot be used leaves the old one in force, and the log says why; it is tried again now and then, since
//! the reason may lie elsewhere: a certificate that is valid in a minute only, a folder that nobody could read, no file descriptors.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::ProducesTickets;

use super::config::{CertificateSource, ClientCertificates, TlsConfig};
use super::current::Current;
use super::endings::Endings;
use super::error::TlsError;
use super::paper::CertificateFacts;
use super::papers::{Papers, tickets};
use crate::core::unix_ms;

/// Looks until what could not be used is tried again.
const TRY_AGAIN_LOOKS: u32 = 30;

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
    /// When the first certificate in force ends; how many have files that cannot be used. Beside the lock, which a slow disk may hold.
    ends_unix_s: AtomicI64,
    unusable: AtomicUsize,
}

struct Watched {
    tls: TlsConfig,
    /// What is in force.
    papers: Papers,
    /// What the configuration in force was read from, or what was last tried.
    tried: Vec<Look>,
    /// What could not be used of it, and how many looks ago it was tried.
    failed: Vec<TlsError>,
    waited: u32,
    endings: Endings,
}

/// Another configuration of TLS, read and found good.
pub(crate) struct Prepared(Watched);

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
        papers: Papers,
        current: Arc<Current>,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Self {
        let renewal = Renewal {
            current,
            tickets,
            watched: Mutex::new(Watched::new(tls, looks, papers)),
            ends_unix_s: AtomicI64::default(),
            unusable: AtomicUsize::default(),
        };
        renewal.tell(&mut renewal.watched());
        Self {
            renewal: Arc::new(renewal),
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
        let is_changed = now != watched.tried && now == before;
        if is_changed || watched.is_to_be_tried_again() {
            watched.tried.clone_from(&now);
            self.renew(&mut watched);
        }
        self.tell(&mut watched);
        now
    }

    /// Tells the log and the metrics how the certificates stand.
    fn tell(&self, watched: &mut Watched) {
        let Watched {
            papers, endings, ..
        } = watched;
        endings.tell(&papers.facts, unix_s());
        let ends = papers.facts.iter().map(|facts| facts.until_unix_s).min();
        self.ends_unix_s
            .store(ends.unwrap_or_default(), Ordering::Relaxed);
        self.unusable.store(watched.failed.len(), Ordering::Relaxed);
    }

    /// When the first of the certificates in force ends.
    pub(crate) fn ends_unix_s(&self) -> i64 {
        self.ends_unix_s.load(Ordering::Relaxed)
    }

    /// How many files cannot be used, so that what was in force before still is.
    pub(crate) fn unusable(&self) -> usize {
        self.unusable.load(Ordering::Relaxed)
    }

    fn renew(&self, watched: &mut Watched) {
        let fresh_tickets = || self.tickets_for(&watched.tls);
        let (renewed, failed) = watched.papers.renew(&watched.tls, fresh_tickets, unix_s());
        for error in &failed {
            // Each is tried again and again.
            if !watched.failed.contains(error) {
                tracing::error!(
                    "a changed certificate cannot be used, the one before stays in force: {error}"
                );
            }
        }
        watched.failed = failed;
        watched.waited = 0;
        if let Some(papers) = renewed {
            self.take(watched, papers);
        }
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
        let papers = Papers::read(tls, self.tickets_for(tls)?, unix_s())?;
        Ok(Some(Prepared(Watched::new(tls.clone(), tried, papers))))
    }

    /// Handshakes go by this from now on.
    pub(crate) fn apply(&self, Prepared(other): Prepared) {
        let mut watched = self.watched();
        self.current.replace(Arc::clone(&other.papers.config));
        // Other files may stand in the places of those before, so all are told.
        other.papers.facts.iter().for_each(tell_of_reading);
        *watched = other;
        self.tell(&mut watched);
    }

    fn tickets_for(&self, tls: &TlsConfig) -> Result<Arc<dyn ProducesTickets>, TlsError> {
        if tls.clients == ClientCertificates::Unasked {
            return Ok(Arc::clone(&self.tickets));
        }
        // A ticket holds the client's certificate as judged when it was given: other authorities may judge otherwise.
        tickets()
    }

    fn take(&self, watched: &mut Watched, papers: Papers) {
        self.current.replace(Arc::clone(&papers.config));
        papers
            .changed_since(&watched.papers)
            .for_each(tell_of_reading);
        watched.papers = papers;
    }
}

impl Watched {
    fn new(tls: TlsConfig, tried: Vec<Look>, papers: Papers) -> Self {
        Self {
            tls,
            papers,
            tried,
            failed: Vec::new(),
            waited: 0,
            endings: Endings::default(),
        }
    }

    fn is_to_be_tried_again(&mut self) -> bool {
        self.waited += u32::from(!self.failed.is_empty());
        self.waited >= TRY_AGAIN_LOOKS
    }
}

fn tell_of_reading(facts: &CertificateFacts) {
    tracing::info!(
        file = facts.file,
        names = facts.names.join(", "),
        until = facts.until,
        "a certificate was read again"
    );
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewal")
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
