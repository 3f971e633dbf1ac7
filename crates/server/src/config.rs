//! What a server is told before it starts: plain values with their units and defaults.
//!
//! Nothing here reads files, flags or the environment: the `taut` binary does, and hands the result in.

use std::path::PathBuf;
use std::sync::Arc;

use taut_auth::{Auth, Network};
use taut_gate::http::{EngineDialect, EnginePath};
use taut_hub::Policies;

use crate::application::Application;
use crate::hooks::Webhook;
use crate::limits::RateLimits;
use crate::listen::Listen;
use crate::metrics::MetricsConfig;
use crate::tls::TlsConfig;

/// Everything a [`Server`](crate::Server) is told before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// The addresses to listen on. An empty list is refused by [`Server::bind`](crate::Server::bind).
    pub listeners: Vec<Listen>,
    /// Threads that serve Conns, 1 to 64; 0 takes as many as the process may use.
    pub cores: usize,
    /// Serve a public address although nobody is asked who they are.
    pub open: bool,
    /// How it is asked who somebody is; `None` for a server that asks nobody and lets everybody do everything.
    pub auth: Option<Arc<Auth>>,
    /// Where the application is asked before messages are taken: at most [`HOOKS_MAX`](crate::HOOKS_MAX), the first that covers a room counts.
    pub webhooks: Vec<Webhook>,
    /// The proxies that may say on whose behalf they connect, on `proxy://` listeners.
    pub proxies: Arc<Vec<Network>>,
    /// The cookie that may hold a token; empty for none. Default: `taut_token`.
    pub cookie: String,
    /// The file where revocations are kept; `None`: they end with the server.
    pub revocations: Option<PathBuf>,
    /// Host names, besides the loopback ones, by which requests may address this server.
    pub hosts: Vec<String>,
    /// Origins (`https://app.example`) whose pages may open sockets here, besides the server's own.
    pub origins: Vec<String>,
    /// Offer permessage-deflate (RFC 7692) to WebSockets. Off by default: it costs more CPU than it saves on small messages.
    pub compression: bool,
    /// What rooms keep, allow and do to slow readers, by name pattern.
    pub policies: Arc<Policies>,
    /// Budgets of the hub, over all cores.
    pub hub: taut_hub::Limits,
    /// Budgets and clocks of connections.
    pub limits: Limits,
    /// Where `/metrics` is answered for. Default: nowhere.
    pub metrics: Option<MetricsConfig>,
    /// The folder that holds the store's files, whose size `/metrics` tells.
    pub store_dir: Option<PathBuf>,
    /// A folder that answers HTTP requests where no door does.
    pub files: Option<FilesConfig>,
    /// Certificates, and what they are for. Default: none, and no TLS.
    pub tls: TlsConfig,
    /// Where Engine.IO is spoken. Default: Socket.IO at `/socket.io/`.
    pub engines: Vec<EnginePath>,
    /// What recovery of sessions is sealed with. The same key takes the sessions of an earlier run back; without one they end with the server.
    pub seal_key: Option<[u8; 32]>,
    /// Who speaks behind the Socket.IO door in the place of rooms. Default: nobody, rooms.
    pub application: Option<Arc<dyn Application>>,
}

/// A folder that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesConfig {
    /// The folder. It stays this one when something else gets its name.
    pub root: PathBuf,
    /// Show what is in a folder that has no `index.html`; otherwise it is not there.
    pub listing: bool,
}

/// Budgets and clocks of connections. Each default stands in the design with its reason.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections over all cores; 0 derives it from the open-file limit. More are closed as they come.
    pub conns_max: usize,
    /// Bytes of one inbound message (a WebSocket message, a line, a datagram, a POST body), after inflation. Default 64 KiB. The Socket.IO door
    /// has [`EngineLimits::payload_bytes_max`] instead.
    pub message_bytes_max: usize,
    /// Milliseconds for a handshake or a request, from its first byte. Default 10,000.
    pub handshake_ms_max: u64,
    /// Milliseconds a connection may stay open without ever sending a byte. Default 300,000, since browsers open sockets ahead of need.
    pub untouched_ms_max: u64,
    /// Milliseconds a kept-alive HTTP connection may rest between requests. Default 75,000.
    pub keep_alive_ms_max: u64,
    /// Milliseconds between two pings (WebSocket) or comments (SSE). Default 25,000.
    pub ping_ms: u64,
    /// Milliseconds within which a pong must come. Default 10,000.
    pub pong_ms_max: u64,
    /// Milliseconds a long poll may ask to wait. Default 60,000.
    pub wait_ms_max: u64,
    /// Milliseconds a graceful shutdown may take. Default 30,000.
    pub drain_ms_max: u64,
    /// Bytes of a datagram that is sent; longer messages are announced and fetched. Default 1,200.
    pub datagram_bytes_max: usize,
    /// Datagram peers that may be Conns, per core. Default 10,000.
    pub datagram_peers_max: usize,
    /// Milliseconds that the proof of a datagram peer's address holds after its last datagram. Default 60,000.
    pub proof_ms_max: u64,
    /// Bytes of own answers that may wait for a Conn that does not read; beyond it, its requests are not read either. Default 256 KiB.
    pub answers_bytes_max: usize,
    /// Of Engine.IO.
    pub engine: EngineLimits,
    /// How fast strangers may do things.
    pub rates: RateLimits,
}

/// Budgets and clocks of Engine.IO sessions; the defaults are those of its reference server, which clients are used to.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    /// Milliseconds between two pings. Default 25,000.
    pub ping_ms: u64,
    /// Milliseconds within which a pong must come. Default 20,000.
    pub pong_ms_max: u64,
    /// Bytes of one WebSocket message, and of the body of a POST, also of all attachments of one packet. Default 1,000,000.
    pub payload_bytes_max: usize,
    /// Milliseconds within which a client enters its first namespace. Default 45,000.
    pub connect_ms_max: u64,
    /// Milliseconds that moving from polling to a WebSocket may take. Default 10,000.
    pub upgrade_ms_max: u64,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            ping_ms: 25_000,
            pong_ms_max: 20_000,
            payload_bytes_max: 1_000_000,
            connect_ms_max: 45_000,
            upgrade_ms_max: 10_000,
        }
    }
}

impl Limits {
    /// Bytes of the largest message that any door takes.
    #[must_use]
    pub fn widest_message_bytes(&self) -> usize {
        self.message_bytes_max.max(self.engine.payload_bytes_max)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            conns_max: 0,
            message_bytes_max: 64 << 10,
            handshake_ms_max: 10_000,
            untouched_ms_max: 300_000,
            keep_alive_ms_max: 75_000,
            ping_ms: 25_000,
            pong_ms_max: 10_000,
            wait_ms_max: 60_000,
            drain_ms_max: 30_000,
            datagram_bytes_max: taut_gate::datagram::DATAGRAM_BYTES_MAX_DEFAULT,
            datagram_peers_max: 10_000,
            proof_ms_max: 60_000,
            answers_bytes_max: 256 << 10,
            engine: EngineLimits::default(),
            rates: RateLimits::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: Listen::defaults(),
            cores: 0,
            open: false,
            auth: None,
            webhooks: Vec::new(),
            proxies: Arc::default(),
            cookie: "taut_token".to_owned(),
            revocations: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            compression: false,
            policies: Arc::new(Policies::default()),
            hub: taut_hub::Limits::default(),
            limits: Limits::default(),
            metrics: None,
            store_dir: None,
            files: None,
            tls: TlsConfig::default(),
            engines: vec![EnginePath {
                path: "/socket.io/".to_owned(),
                dialect: EngineDialect::SocketIo,
            }],
            seal_key: None,
            application: None,
        }
    }
}
