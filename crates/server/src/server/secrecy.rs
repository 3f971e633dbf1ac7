//! What shakes hands and looks after certificates, where there are any.

use std::sync::Arc;

use mio::Poll;
use rustls::server::ProducesTickets;

use super::bind::system;
use crate::acceptor::Intake;
use crate::core::{Alert, Core};
use crate::error::StartError;
#[cfg(feature = "http2")]
use crate::http2::{Front, Fronts};
use crate::stop::Stop;
use crate::tls::{
    self, CertificateFacts, Current, Destination, Handshakes, Papers, Shaker, TlsConfig, Watch,
};

/// What shakes hands and looks after certificates.
pub(super) struct Secrecy {
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) shakers: Vec<Shaker>,
    pub(super) alerts: Vec<Arc<Alert>>,
    pub(super) watch: Watch,
    pub(super) facts: Vec<CertificateFacts>,
    #[cfg(feature = "http2")]
    pub(super) fronts: (Arc<Fronts>, Vec<Front>),
}

/// Certificates as read, and how their files looked before that.
pub(super) struct Read {
    papers: Papers,
    tickets: Arc<dyn ProducesTickets>,
    watch: Vec<tls::Look>,
}

/// Reads the certificates, where there are any.
pub(super) fn read_papers(tls: &TlsConfig) -> Result<Option<Read>, StartError> {
    if !tls.has_certificates() {
        // Says what asks for one, where something does.
        tls.check()?;
        return Ok(None);
    }
    let watch = tls::looks(&tls::paths(tls));
    let tickets = tls::tickets()?;
    let papers = Papers::read(tls, Arc::clone(&tickets), tls::unix_s())?;
    Ok(Some(Read {
        papers,
        tickets,
        watch,
    }))
}

impl Secrecy {
    pub(super) fn open(
        read: Read,
        config: TlsConfig,
        stop: &Arc<Stop>,
        cores: &mut [Core],
        destinations: Vec<Destination>,
        #[cfg(feature = "http2")] fronts: (Arc<Fronts>, Vec<Front>),
    ) -> Result<Self, StartError> {
        let mut polls = Vec::new();
        for _ in 0..tls::threads_for(cores.len()) {
            let poll =
                Poll::new().map_err(|source| system("an event queue cannot be made", source))?;
            let waker = mio::Waker::new(poll.registry(), tls::ALERT)
                .map_err(|source| system("a thread cannot be made wakeable", source))?;
            polls.push((poll, Alert::new(waker)));
        }
        #[cfg_attr(not(feature = "http2"), expect(unused_mut))]
        let mut alerts: Vec<_> = polls.iter().map(|(_, alert)| Arc::clone(alert)).collect();
        #[cfg(feature = "http2")]
        alerts.extend(fronts.1.iter().map(Front::alert));
        let handshake_ms_max = cores.first().map_or(0, |core| core.limits.handshake_ms_max);
        let current = Arc::new(Current::new(Arc::clone(&read.papers.config)));
        let (handshakes, shakers) = Handshakes::open(tls::Parts {
            polls,
            current: Arc::clone(&current),
            destinations,
            stop: Arc::clone(stop),
            handshake_ms_max,
            #[cfg(feature = "http2")]
            fronts: Arc::clone(&fronts.0),
        });
        for core in cores {
            core.handshakes = Some(Arc::clone(&handshakes));
        }
        Ok(Self {
            handshakes,
            shakers,
            alerts,
            facts: read.papers.facts.clone(),
            watch: Watch::new(config, read.watch, read.papers, current, read.tickets),
            #[cfg(feature = "http2")]
            fronts,
        })
    }
}

/// Where the cores take in what comes of TLS.
pub(super) fn destinations(cores: &mut [Core], intakes: &[Intake]) -> Vec<Destination> {
    let mut destinations = Vec::new();
    for (core, intake) in cores.iter_mut().zip(intakes) {
        let (secured, taken_in) = std::sync::mpsc::channel();
        core.secured = Some(taken_in);
        destinations.push(Destination {
            secured,
            alert: Arc::clone(&intake.alert),
            conns: Arc::clone(&intake.conns),
        });
    }
    destinations
}
