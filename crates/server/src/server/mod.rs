//! A server: every address bound and every thread made ready before the first connection is taken (`bind.rs`), then run (`run.rs`).

mod bind;
mod cores;
mod descriptors;
mod run;
mod secrecy;

use std::net::SocketAddr;
use std::sync::Arc;

use taut_hub::Store;

use crate::acceptor::Acceptor;
use crate::core::Core;
use crate::files::Desk;
use crate::health::Health;
use crate::hooks::Hooks;
use crate::identity::{Doorman, Revoker};
use crate::keeper::Keeper;
use crate::listen::{Address, Bound};
use crate::metrics::Scrapes;
use crate::reload::{ReloadRequests, Reloader};
use crate::stop::{Stop, Stopper};
use crate::tls::CertificateFacts;

pub(crate) use cores::share_of;
pub(crate) use descriptors::{conns_max, sockets_max};
pub(crate) use run::{ask_for, fetch_keys};
use secrecy::Secrecy;

/// A server that is bound and not yet running.
pub struct Server {
    bound: Vec<Bound>,
    acceptor: Acceptor,
    cores: Vec<Core>,
    /// Where files are read, when a folder is served.
    desk: Option<Arc<Desk>>,
    /// Where the application is asked.
    hooks: Arc<Hooks>,
    /// Where rooms are kept, when there is a store.
    kept: Option<(Arc<Keeper>, Box<dyn Store>)>,
    health: Arc<Health>,
    /// What answers for `/metrics`, and where.
    scrapes: Option<(Scrapes, SocketAddr)>,
    reloader: Reloader,
    /// Who asks for a reload, until somebody takes it.
    requests: Option<ReloadRequests>,
    doorman: Arc<Doorman>,
    /// What shakes hands and looks after certificates, when there are any.
    secrecy: Option<Secrecy>,
    stop: Arc<Stop>,
}

impl Server {
    /// Where it listens: port 0 has become a real one.
    #[must_use]
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// The TCP addresses among them.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let of_tcp = |bound: &Bound| match bound.address {
            Address::Tcp(address) => Some(address),
            _ => None,
        };
        self.bound.iter().filter_map(of_tcp).collect()
    }

    /// Whether it can do its work, to be asked from anywhere.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Where it answers for `/metrics`, if anywhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.scrapes.as_ref().map(|(_, address)| *address)
    }

    /// Changes the configuration while the server runs, from another thread.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Who asks for the configuration to be read again, through the server API and [`Reloader::request`]: for whoever has it. Only the first call has it.
    #[must_use]
    pub fn reload_requests(&mut self) -> Option<ReloadRequests> {
        self.requests.take()
    }

    /// Takes back what was granted, from any thread.
    #[must_use]
    pub fn revoker(&self) -> Revoker {
        Revoker(Arc::clone(&self.doorman))
    }

    /// What its certificates say; empty without TLS.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateFacts] {
        self.secrecy.as_ref().map_or(&[], |secrecy| &secrecy.facts)
    }

    /// Ends the server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }
}
