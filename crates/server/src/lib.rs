//! The server: sockets, cores, timers. One thread per core, each with its own epoll loop and its own [`Shard`](taut_hub::Shard).
//!
//! Composed of the rooms (`taut-hub`), the translator (`taut-gate`) and the codecs (`taut-wire`); this crate owns everything that waits, and
//! nothing that decides. HTTP/1.1 is served by the cores themselves on every path, so that one strictness holds everywhere.

#[macro_use]
mod often;

mod acceptor;
mod application;
mod config;
mod core;
mod error;
mod files;
mod health;
mod hooks;
#[cfg(feature = "http2")]
mod http2;
mod identity;
mod keeper;
mod library;
mod limits;
mod listen;
mod metrics;
mod orders;
mod page;
mod reload;
mod server;
mod session;
mod stop;
mod talk;
mod timed;
mod tls;

pub use application::{Application, Heard, Say};
pub use config::{Config, EngineLimits, FilesConfig, Limits};
pub use error::{Fault, StartError};
pub use health::Health;
pub use hooks::{
    Authorities, AuthoritiesError, HOOKS_MAX, HookEvent, HookUrl, HookUrlError, OnFailure, Webhook,
};
pub use identity::{RecordError, RevokeError, Revoker, fetch_key_set};
pub use limits::{AddressRates, ConnRates, PerSecond, RateLimits, UserRates};
pub use listen::{
    Address, Bound, Endpoint, HostPort, Listen, ListenError, Speaks, UNIX_MODE_DEFAULT, is_loopback,
};
pub use metrics::MetricsConfig;
pub use reload::{ReloadRequest, ReloadRequests, Reloaded, Reloader};
pub use server::Server;
pub use stop::Stopper;
pub use taut_auth::Revocation;
pub use taut_gate::http::{EngineDialect, EnginePath};
pub use tls::{
    CertificateFacts, CertificateSource, ClientCertificates, SelfSigned, TlsConfig, TlsError,
};
