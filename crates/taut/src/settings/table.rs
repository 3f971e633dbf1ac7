//! The one table of settings: it makes the flags, the environment variables, the keys of the file, their help, and what
//! `taut check` prints. A setting that is not here does not exist.
//!
//! Names are the keys of the file. The environment variable is the name in capitals after `TAUT_`, the flag the name with
//! hyphens: `limits.ping_ms`, `TAUT_LIMITS_PING_MS`, `--limits-ping-ms`.

use taut_auth::Network;
use taut_server::{Config, Endpoint, FilesConfig, Listen};

use super::auth::AuthValues;
use super::value::{Kind, Value, bounds};

/// Everything that can be set, but rooms (see [`super::rooms`]).
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) files: Folder,
    pub(crate) storage: Storage,
    pub(crate) auth: AuthValues,
    pub(crate) tls: super::tls::Tls,
    pub(crate) metrics: Metrics,
}

/// Where `/metrics` is; nowhere where no address is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) listen: String,
    pub(crate) key_file: String,
}

/// Where rooms are kept.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    /// The folder; empty for the default one.
    pub(crate) data: String,
    pub(crate) memory: bool,
    pub(crate) disk_bytes_max: u64,
    pub(crate) rooms_max: u32,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data: String::new(),
            memory: false,
            disk_bytes_max: 4 << 30,
            rooms_max: 1_000_000,
        }
    }
}

/// The folder that is served; its path is empty for none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    pub(crate) path: String,
    pub(crate) listing: bool,
}

impl Folder {
    /// As the server is told.
    pub(crate) fn config(&self) -> Option<FilesConfig> {
        (!self.path.is_empty()).then(|| FilesConfig {
            root: self.path.clone().into(),
            listing: self.listing,
        })
    }
}

/// How the server logs.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: "text".into(),
        }
    }
}

/// One setting.
pub(crate) struct Setting {
    /// Its key in the file.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One sentence for the help, without its unit and default, which the table knows.
    pub(crate) doc: &'static str,
    /// Where its value lives.
    place: fn(&mut Values) -> Place<'_>,
}

/// A field of [`Values`].
enum Place<'a> {
    Switch(&'a mut bool),
    U32(&'a mut u32),
    U64(&'a mut u64),
    Usize(&'a mut usize),
    Hosts(&'a mut Vec<String>),
    Origins(&'a mut Vec<String>),
    Words(&'a mut Vec<String>),
    Files(&'a mut Vec<String>),
    Listeners(&'a mut Vec<Listen>),
    Networks(&'a mut Vec<Network>),
    Text(&'a mut String),
    Address(&'a mut String),
}

impl Setting {
    /// The name of its environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("TAUT_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// Its flag, without the hyphens before it.
    pub(crate) fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// The table of the file that it stands in; empty for the top.
    pub(crate) fn section(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// Sets it. The error says what would be allowed.
    pub(crate) fn set(&self, values: &mut Values, value: Value) -> Result<(), String> {
        let too_great = |number: u64| format!("`{number}` is too great for this machine");
        match ((self.place)(values), value) {
            (Place::Switch(place), Value::Switch(switch)) => *place = switch,
            (Place::U32(place), Value::Number(number)) => {
                *place = u32::try_from(number).map_err(|_| too_great(number))?;
            }
            (Place::Usize(place), Value::Number(number)) => {
                *place = usize::try_from(number).map_err(|_| too_great(number))?;
            }
            (Place::U64(place), Value::Number(number)) => *place = number,
            (Place::Hosts(place), Value::List(items)) => {
                items.iter().try_for_each(|host| check_host(host))?;
                *place = items;
            }
            (Place::Origins(place), Value::List(items)) => {
                items.iter().try_for_each(|origin| check_origin(origin))?;
                *place = items;
            }
            (Place::Words(place), Value::List(items)) => *place = items,
            (Place::Files(place), Value::List(items)) => *place = items,
            (Place::Text(place), Value::Text(text)) => *place = text,
            (Place::Networks(place), Value::List(items)) => {
                let networks = items.iter().map(|item| item.parse::<Network>());
                *place = networks
                    .collect::<Result<_, _>>()
                    .map_err(|error| error.to_string())?;
            }
            (Place::Address(place), Value::Text(text)) => {
                check_address(&text)?;
                *place = text;
            }
            (Place::Listeners(place), Value::List(items)) => {
                let listeners = items.iter().map(|item| item.parse::<Listen>());
                let listeners: Vec<_> = listeners
                    .collect::<Result<_, _>>()
                    .map_err(|error| error.to_string())?;
                if listeners.is_empty() {
                    return Err("an empty list is not allowed; name at least one address, for example 127.0.0.1:8080".into());
                }
                *place = listeners;
            }
            _ => return Err(format!("use {}", self.kind.allowed())),
        }
        Ok(())
    }

    /// Its value, written as the file would have it.
    pub(crate) fn show(&self, values: &Values) -> String {
        self.kind.show(&self.value(values))
    }

    /// Gives `to` the value that it has in `from`.
    pub(crate) fn copy(&self, from: &Values, to: &mut Values) {
        // It was allowed there, so it is here.
        let _ = self.set(to, self.value(from));
    }

    /// Its value.
    pub(crate) fn value(&self, values: &Values) -> Value {
        // `place` gives exclusive places, which spares a second accessor per setting; a copy costs nothing here.
        let mut values = values.clone();
        match (self.place)(&mut values) {
            Place::Switch(place) => Value::Switch(*place),
            Place::U32(place) => Value::Number(u64::from(*place)),
            Place::U64(place) => Value::Number(*place),
            Place::Usize(place) => Value::Number(*place as u64),
            Place::Hosts(place)
            | Place::Origins(place)
            | Place::Words(place)
            | Place::Files(place) => Value::List(std::mem::take(place)),
            Place::Text(place) | Place::Address(place) => Value::Text(std::mem::take(place)),
            Place::Networks(place) => Value::List(place.iter().map(Network::to_string).collect()),
            Place::Listeners(place) => Value::List(place.iter().map(Listen::to_string).collect()),
        }
    }
}

/// One TCP address without a scheme, or nothing.
fn check_address(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let listen: Listen = text.parse().map_err(|error| format!("{error}"))?;
    match listen.endpoint {
        Endpoint::Tcp(_) if !text.contains("://") => Ok(()),
        _ => Err(format!(
            "`{text}` is not allowed; use HOST:PORT, for example 127.0.0.1:9464"
        )),
    }
}

/// A host that could never be one would silently allow nothing.
fn check_host(host: &str) -> Result<(), String> {
    let is_name = !host.is_empty() && !host.contains(['/', '@', '?', '*']) && host.is_ascii();
    if is_name && (!host.contains(':') || host.starts_with('[')) {
        return Ok(());
    }
    Err(format!(
        "`{host}` is not allowed; use a host name without scheme and port, for example chat.example"
    ))
}

/// The same for an origin: scheme, host and port, as browsers send it.
fn check_origin(origin: &str) -> Result<(), String> {
    let authority = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    match authority {
        Some(authority)
            if !authority.is_empty() && !authority.contains(['/', '?', '#', '*', '@']) =>
        {
            Ok(())
        }
        _ => Err(format!(
            "`{origin}` is not allowed; use an origin as browsers send it, without a path, for example https://app.example"
        )),
    }
}

/// Looks a setting up by its name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

const DAY_MS: u64 = 86_400_000;

/// Every setting, in the order in which `--help` and `taut check` show them.
pub(crate) static TABLE: &[Setting] = &[
    Setting {
        name: "listen",
        kind: Kind::List,
        doc: "Addresses to listen on: HOST:PORT for every protocol on one port, text://HOST:PORT for text that greets at once, tls://HOST:PORT for TLS only, udp://HOST:PORT for JSON datagrams, unix:PATH (unix:PATH?mode=660) for a Unix socket. Port 0 lets the system choose",
        place: |values| Place::Listeners(&mut values.config.listeners),
    },
    Setting {
        name: "open",
        kind: Kind::Switch,
        doc: "Serve a public address although nobody is asked who they are",
        place: |values| Place::Switch(&mut values.config.open),
    },
    Setting {
        name: "hosts",
        kind: Kind::List,
        doc: "Host names, besides localhost, by which requests may address this server",
        place: |values| Place::Hosts(&mut values.config.hosts),
    },
    Setting {
        name: "origins",
        kind: Kind::List,
        doc: "Origins (https://app.example) whose pages may use this server, besides its own",
        place: |values| Place::Origins(&mut values.config.origins),
    },
    Setting {
        name: "files",
        kind: Kind::Folder,
        doc: "A folder to serve over HTTP at /, where no door answers",
        place: |values| Place::Text(&mut values.files.path),
    },
    Setting {
        name: "files_listing",
        kind: Kind::Switch,
        doc: "Show what is in a folder that has no index.html",
        place: |values| Place::Switch(&mut values.files.listing),
    },
    Setting {
        name: "data",
        kind: Kind::Folder,
        doc: "The folder to keep rooms in; by default one for the address under $XDG_STATE_HOME/taut, that is ~/.local/state/taut",
        place: |values| Place::Text(&mut values.storage.data),
    },
    Setting {
        name: "memory",
        kind: Kind::Switch,
        doc: "Keep rooms in memory only: they end with the server",
        place: |values| Place::Switch(&mut values.storage.memory),
    },
    Setting {
        name: "compression",
        kind: Kind::Switch,
        doc: "Offer compression (permessage-deflate) to WebSockets; costs more CPU than it saves on small messages",
        place: |values| Place::Switch(&mut values.config.compression),
    },
    Setting {
        name: "cores",
        kind: Kind::Count(bounds(0..=64)),
        doc: "Threads that serve connections; 0 takes as many as the process may use",
        place: |values| Place::Usize(&mut values.config.cores),
    },
    Setting {
        name: "auth.secret",
        kind: Kind::Secret,
        doc: "The secret that tokens are signed with (HS256), at least 32 bytes; better in the environment or a file, since others see the command line",
        place: |values| Place::Text(&mut values.auth.secret),
    },
    Setting {
        name: "auth.secret_file",
        kind: Kind::File,
        doc: "A file with the secret",
        place: |values| Place::Text(&mut values.auth.secret_file),
    },
    Setting {
        name: "auth.secret_algorithm",
        kind: Kind::Word(&["HS256", "HS384", "HS512"]),
        doc: "What the secret signs with",
        place: |values| Place::Text(&mut values.auth.secret_algorithm),
    },
    Setting {
        name: "auth.keys",
        kind: Kind::List,
        doc: "Public keys that tokens are signed with, as PEM: ALGORITHM:FILE, or ALGORITHM:FILE#KID, with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA",
        place: |values| Place::Words(&mut values.auth.keys),
    },
    Setting {
        name: "auth.jwks_file",
        kind: Kind::File,
        doc: "A file with a key set (JWKS)",
        place: |values| Place::Text(&mut values.auth.jwks_file),
    },
    Setting {
        name: "auth.jwks_url",
        kind: Kind::Text("a URL"),
        doc: "Where a key set (JWKS) is fetched from, and again when a token names a key that is not in it",
        place: |values| Place::Text(&mut values.auth.jwks_url),
    },
    Setting {
        name: "auth.cookie",
        kind: Kind::Text("the name of a cookie"),
        doc: "The cookie that may hold a token, for requests that no foreign page can have caused; empty for none",
        place: |values| Place::Text(&mut values.config.cookie),
    },
    Setting {
        name: "auth.issuers",
        kind: Kind::List,
        doc: "Who may have made a token (its iss); anybody with a key, if empty",
        place: |values| Place::Words(&mut values.auth.issuers),
    },
    Setting {
        name: "auth.audiences",
        kind: Kind::List,
        doc: "For whom a token must be (its aud); if empty, tokens with an aud are refused",
        place: |values| Place::Words(&mut values.auth.audiences),
    },
    Setting {
        name: "auth.leeway_ms",
        kind: Kind::Milliseconds(bounds(0..=600_000)),
        doc: "How far clocks may differ, in whole seconds",
        place: |values| Place::U64(&mut values.auth.leeway_ms),
    },
    Setting {
        name: "auth.life_ms_max",
        kind: Kind::Milliseconds(bounds(60_000..=10 * 365 * DAY_MS)),
        doc: "How far the end of a token may be from now and from its iat; so long revocations are remembered",
        place: |values| Place::U64(&mut values.auth.life_ms_max),
    },
    Setting {
        name: "auth.user_claim",
        kind: Kind::Text("the name of a claim"),
        doc: "Which claim names the user",
        place: |values| Place::Text(&mut values.auth.user_claim),
    },
    Setting {
        name: "auth.roles",
        kind: Kind::List,
        doc: "Roles of everybody who comes with a token",
        place: |values| Place::Words(&mut values.auth.roles),
    },
    Setting {
        name: "auth.anonymous",
        kind: Kind::List,
        doc: "Roles of who comes without one; nobody may do anything, if empty",
        place: |values| Place::Words(&mut values.auth.anonymous),
    },
    Setting {
        name: "auth.api_keys",
        kind: Kind::List,
        doc: "Hashes of the keys of the server API, as `taut token key` prints them",
        place: |values| Place::Words(&mut values.auth.api_keys),
    },
    Setting {
        name: "auth.certificates",
        kind: Kind::Switch,
        doc: "Take the name in a client's certificate as its user, where tls.client_ca has such checked",
        place: |values| Place::Switch(&mut values.auth.certificates),
    },
    Setting {
        name: "auth.certificate_roles",
        kind: Kind::List,
        doc: "Roles of who comes with a certificate",
        place: |values| Place::Words(&mut values.auth.certificate_roles),
    },
    Setting {
        name: "auth.proxies",
        kind: Kind::List,
        doc: "Addresses of proxies, such as 10.0.0.0/8: whose X-Forwarded-For, Forwarded and auth.proxy_header count, and who may use proxy:// listeners",
        place: |values| Place::Words(&mut values.auth.proxies),
    },
    Setting {
        name: "auth.proxy_header",
        kind: Kind::Text("the name of a header"),
        doc: "The header in which those proxies name the user; they must take it out of what clients send",
        place: |values| Place::Text(&mut values.auth.proxy_header),
    },
    Setting {
        name: "auth.proxy_roles",
        kind: Kind::List,
        doc: "Roles of who comes by such a proxy",
        place: |values| Place::Words(&mut values.auth.proxy_roles),
    },
    Setting {
        name: "log.level",
        kind: Kind::Filter,
        doc: "What is logged to stderr: error, warn, info, debug, trace, off, or a filter like info,taut_server=debug",
        place: |values| Place::Text(&mut values.log.level),
    },
    Setting {
        name: "log.format",
        kind: Kind::Word(&["text", "json"]),
        doc: "How log lines are written: text, or json with an object a line",
        place: |values| Place::Text(&mut values.log.format),
    },
    Setting {
        name: "metrics.listen",
        kind: Kind::Text("HOST:PORT"),
        doc: "An address that answers for /metrics, for Prometheus; one that others can reach needs metrics.key_file",
        place: |values| Place::Address(&mut values.metrics.listen),
    },
    Setting {
        name: "metrics.key_file",
        kind: Kind::File,
        doc: "A file with the key that scrapes show as `Authorization: Bearer KEY`",
        place: |values| Place::Text(&mut values.metrics.key_file),
    },
    Setting {
        name: "tls.cert",
        kind: Kind::List,
        doc: "Certificates to show, a PEM file each with its chain; a client that names a host gets the first that is for it. Read again when they change",
        place: |values| Place::Files(&mut values.tls.certs),
    },
    Setting {
        name: "tls.key",
        kind: Kind::List,
        doc: "Their keys, in the same order; none where each stands in its certificate's file",
        place: |values| Place::Files(&mut values.tls.keys),
    },
    Setting {
        name: "tls.self_signed",
        kind: Kind::Switch,
        doc: "Make a certificate that no client trusts by itself, for development; kept beside the rooms",
        place: |values| Place::Switch(&mut values.tls.self_signed),
    },
    Setting {
        name: "tls.required",
        kind: Kind::Switch,
        doc: "Refuse clear text on every TCP address, and open no UDP address by default",
        place: |values| Place::Switch(&mut values.config.tls.required),
    },
    Setting {
        name: "tls.client_ca",
        kind: Kind::File,
        doc: "Ask clients for certificates: a PEM file of the authorities that vouch for them",
        place: |values| Place::Text(&mut values.tls.client_ca),
    },
    Setting {
        name: "tls.clients",
        kind: Kind::Word(&["optional", "required"]),
        doc: "Whether a client may come in without a certificate, where tls.client_ca asks for one",
        place: |values| Place::Text(&mut values.tls.clients),
    },
    Setting {
        name: "tls.reload_ms",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time between two looks at the files of certificates and keys",
        place: |values| Place::U64(&mut values.config.tls.reload_ms),
    },
    Setting {
        name: "limits.conns_max",
        kind: Kind::Count(bounds(0..=10_000_000)),
        doc: "Open connections; 0 derives it from the open-file limit",
        place: |values| Place::Usize(&mut values.config.limits.conns_max),
    },
    Setting {
        name: "limits.message_bytes_max",
        kind: Kind::Bytes(bounds(128..=1 << 30)),
        doc: "One inbound message, after inflation",
        place: |values| Place::Usize(&mut values.config.limits.message_bytes_max),
    },
    Setting {
        name: "limits.handshake_ms_max",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time for a handshake or a request, from its first byte",
        place: |values| Place::U64(&mut values.config.limits.handshake_ms_max),
    },
    Setting {
        name: "limits.untouched_ms_max",
        kind: Kind::Milliseconds(bounds(1_000..=DAY_MS)),
        doc: "Time that a connection may stay open without ever sending a byte",
        place: |values| Place::U64(&mut values.config.limits.untouched_ms_max),
    },
    Setting {
        name: "limits.keep_alive_ms_max",
        kind: Kind::Milliseconds(bounds(0..=DAY_MS)),
        doc: "Time that an HTTP connection may rest between requests",
        place: |values| Place::U64(&mut values.config.limits.keep_alive_ms_max),
    },
    Setting {
        name: "limits.ping_ms",
        kind: Kind::Milliseconds(bounds(1_000..=DAY_MS)),
        doc: "Time between two pings (WebSocket) or comments (SSE)",
        place: |values| Place::U64(&mut values.config.limits.ping_ms),
    },
    Setting {
        name: "limits.pong_ms_max",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time within which a pong must come",
        place: |values| Place::U64(&mut values.config.limits.pong_ms_max),
    },
    Setting {
        name: "limits.wait_ms_max",
        kind: Kind::Milliseconds(bounds(0..=DAY_MS)),
        doc: "Time that a long poll may ask to wait",
        place: |values| Place::U64(&mut values.config.limits.wait_ms_max),
    },
    Setting {
        name: "limits.drain_ms_max",
        kind: Kind::Milliseconds(bounds(0..=DAY_MS)),
        doc: "Time that a graceful shutdown may take",
        place: |values| Place::U64(&mut values.config.limits.drain_ms_max),
    },
    Setting {
        name: "limits.answers_bytes_max",
        kind: Kind::Bytes(bounds(4_096..=1 << 30)),
        doc: "Answers that may wait for a connection that does not read; beyond it, its requests are not read either",
        place: |values| Place::Usize(&mut values.config.limits.answers_bytes_max),
    },
    Setting {
        name: "limits.datagram_bytes_max",
        kind: Kind::Bytes(bounds(512..=65_507)),
        doc: "One datagram that is sent; longer messages are announced, to be fetched",
        place: |values| Place::Usize(&mut values.config.limits.datagram_bytes_max),
    },
    Setting {
        name: "limits.datagram_peers_max",
        kind: Kind::Count(bounds(1..=10_000_000)),
        doc: "Datagram peers that may be connections, per core",
        place: |values| Place::Usize(&mut values.config.limits.datagram_peers_max),
    },
    Setting {
        name: "limits.proof_ms_max",
        kind: Kind::Milliseconds(bounds(1_000..=DAY_MS)),
        doc: "How long the proof of a datagram peer's address holds after its last datagram",
        place: |values| Place::U64(&mut values.config.limits.proof_ms_max),
    },
    Setting {
        name: "limits.memory_bytes_max",
        kind: Kind::Bytes(bounds(0..=1 << 50)),
        doc: "Memory of the server from which on nobody new is let in; 0 is 90 % of what the machine, or its control group, has",
        place: |values| Place::U64(&mut values.config.limits.rates.memory_bytes_max),
    },
    Setting {
        name: "limits.exempt",
        kind: Kind::List,
        doc: "Addresses and networks (10.0.0.0/8) to which neither [limits.conn] nor [limits.address] applies: by default this machine itself, and always Unix sockets; [limits.user] applies to all",
        place: |values| Place::Networks(&mut values.config.limits.rates.exempt),
    },
    Setting {
        name: "limits.conn.messages_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Messages a second that one connection may say; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.messages.per_s),
    },
    Setting {
        name: "limits.conn.messages_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.messages.burst),
    },
    Setting {
        name: "limits.conn.bytes_per_s",
        kind: Kind::Bytes(bounds(0..=1_000_000_000)),
        doc: "Bytes of them a second; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.bytes.per_s),
    },
    Setting {
        name: "limits.conn.bytes_burst",
        kind: Kind::Bytes(bounds(1..=1 << 34)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.bytes.burst),
    },
    Setting {
        name: "limits.conn.joins_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Rooms a second that one connection may join; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.joins.per_s),
    },
    Setting {
        name: "limits.conn.joins_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.joins.burst),
    },
    Setting {
        name: "limits.conn.reads_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Looks at history, state and who is there that one connection may take a second; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.reads.per_s),
    },
    Setting {
        name: "limits.conn.reads_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.conn.reads.burst),
    },
    Setting {
        name: "limits.address.conns_max",
        kind: Kind::Count(bounds(0..=10_000_000)),
        doc: "Open connections of one address (of IPv6: of its network of 64 bits); 0 is no limit",
        place: |values| Place::U32(&mut values.config.limits.rates.address.conns_max),
    },
    Setting {
        name: "limits.address.opens_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Connections a second that one address may open; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.address.opens.per_s),
    },
    Setting {
        name: "limits.address.opens_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.address.opens.burst),
    },
    Setting {
        name: "limits.address.messages_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Messages a second that all connections of one address may say; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.address.messages.per_s),
    },
    Setting {
        name: "limits.address.messages_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.address.messages.burst),
    },
    Setting {
        name: "limits.address.bytes_per_s",
        kind: Kind::Bytes(bounds(0..=1_000_000_000)),
        doc: "Bytes of them a second; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.address.bytes.per_s),
    },
    Setting {
        name: "limits.address.bytes_burst",
        kind: Kind::Bytes(bounds(1..=1 << 34)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.address.bytes.burst),
    },
    Setting {
        name: "limits.address.joins_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Rooms a second that they may join; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.address.joins.per_s),
    },
    Setting {
        name: "limits.address.joins_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.address.joins.burst),
    },
    Setting {
        name: "limits.address.reads_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Looks at history, state and who is there that all connections of one address may take a second; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.address.reads.per_s),
    },
    Setting {
        name: "limits.address.reads_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.address.reads.burst),
    },
    Setting {
        name: "limits.user.conns_max",
        kind: Kind::Count(bounds(0..=10_000_000)),
        doc: "Open connections of one verified user, wherever they come from; 0 is no limit",
        place: |values| Place::U32(&mut values.config.limits.rates.user.conns_max),
    },
    Setting {
        name: "limits.user.opens_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Connections a second that may begin to be one user's; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.user.opens.per_s),
    },
    Setting {
        name: "limits.user.opens_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.user.opens.burst),
    },
    Setting {
        name: "limits.user.rooms_max",
        kind: Kind::Count(bounds(0..=10_000_000)),
        doc: "Rooms that all connections of one user may be in, counted for each of them; 0 is no limit",
        place: |values| Place::U32(&mut values.config.limits.rates.user.rooms_max),
    },
    Setting {
        name: "limits.user.messages_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Messages a second that all connections of one user may say; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.user.messages.per_s),
    },
    Setting {
        name: "limits.user.messages_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.user.messages.burst),
    },
    Setting {
        name: "limits.user.bytes_per_s",
        kind: Kind::Bytes(bounds(0..=1_000_000_000)),
        doc: "Bytes of them a second; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.user.bytes.per_s),
    },
    Setting {
        name: "limits.user.bytes_burst",
        kind: Kind::Bytes(bounds(1..=1 << 34)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.user.bytes.burst),
    },
    Setting {
        name: "limits.user.joins_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Rooms a second that they may join; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.user.joins.per_s),
    },
    Setting {
        name: "limits.user.joins_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.user.joins.burst),
    },
    Setting {
        name: "limits.user.reads_per_s",
        kind: Kind::Count(bounds(0..=1_000_000_000)),
        doc: "Looks at history, state and who is there that they may take a second; 0 is no limit",
        place: |values| Place::U64(&mut values.config.limits.rates.user.reads.per_s),
    },
    Setting {
        name: "limits.user.reads_burst",
        kind: Kind::Count(bounds(1..=1_000_000_000)),
        doc: "The same at once, after a rest",
        place: |values| Place::U64(&mut values.config.limits.rates.user.reads.burst),
    },
    Setting {
        name: "socketio.ping_ms",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time between two pings of a Socket.IO session",
        place: |values| Place::U64(&mut values.config.limits.engine.ping_ms),
    },
    Setting {
        name: "socketio.pong_ms_max",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time within which a pong must come",
        place: |values| Place::U64(&mut values.config.limits.engine.pong_ms_max),
    },
    Setting {
        name: "socketio.payload_bytes_max",
        kind: Kind::Bytes(bounds(128..=1 << 30)),
        doc: "One inbound message, or the body of a POST, with all attachments",
        place: |values| Place::Usize(&mut values.config.limits.engine.payload_bytes_max),
    },
    Setting {
        name: "socketio.connect_ms_max",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time within which a session enters its first namespace",
        place: |values| Place::U64(&mut values.config.limits.engine.connect_ms_max),
    },
    Setting {
        name: "socketio.upgrade_ms_max",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        doc: "Time that moving from polling to a WebSocket may take",
        place: |values| Place::U64(&mut values.config.limits.engine.upgrade_ms_max),
    },
    Setting {
        name: "store.disk_bytes_max",
        kind: Kind::Bytes(bounds(1 << 20..=1 << 44)),
        doc: "What all kept rooms take on the disk; near it the oldest messages of rooms that have been silent longest go, at it publishes are refused",
        place: |values| Place::U64(&mut values.storage.disk_bytes_max),
    },
    Setting {
        name: "store.rooms_max",
        kind: Kind::Count(bounds(1..=100_000_000)),
        doc: "Rooms that may be kept",
        place: |values| Place::U32(&mut values.storage.rooms_max),
    },
    Setting {
        name: "hub.rooms_max",
        kind: Kind::Count(bounds(1..=10_000_000)),
        doc: "Rooms that may exist at a time; a new one evicts the least used room without members",
        place: |values| Place::U32(&mut values.config.hub.rooms_max),
    },
    Setting {
        name: "hub.rooms_per_conn_max",
        kind: Kind::Count(bounds(1..=65_536)),
        doc: "Rooms that one connection may be in",
        place: |values| Place::U32(&mut values.config.hub.rooms_per_conn_max),
    },
    Setting {
        name: "hub.history_bytes_max",
        kind: Kind::Bytes(bounds(0..=1 << 40)),
        doc: "What all rooms together remember; above it the least used rooms forget their oldest",
        place: |values| Place::U64(&mut values.config.hub.history_bytes_max),
    },
    Setting {
        name: "hub.eviction_steps_max",
        kind: Kind::Count(bounds(1..=1_000_000)),
        doc: "Rooms that one publish above that budget looks at for something to forget",
        place: |values| Place::U32(&mut values.config.hub.eviction_steps_max),
    },
    Setting {
        name: "hub.ids_per_room_max",
        kind: Kind::Count(bounds(0..=10_000_000)),
        doc: "Idempotency ids that one room remembers",
        place: |values| Place::U32(&mut values.config.hub.ids_per_room_max),
    },
    Setting {
        name: "hub.id_window_ms",
        kind: Kind::Milliseconds(bounds(0..=DAY_MS)),
        doc: "Time for which an idempotency id is remembered",
        place: |values| Place::U64(&mut values.config.hub.id_window_ms),
    },
    Setting {
        name: "hub.label_bytes_max",
        kind: Kind::Bytes(bounds(16..=255)),
        doc: "The longest event name, key, id or display name",
        place: |values| Place::U32(&mut values.config.hub.label_bytes_max),
    },
    Setting {
        name: "hub.presence_data_bytes_max",
        kind: Kind::Bytes(bounds(0..=65_536)),
        doc: "What a user may say of itself",
        place: |values| Place::U32(&mut values.config.hub.presence_data_bytes_max),
    },
    Setting {
        name: "hub.roster_listed_max",
        kind: Kind::Count(bounds(0..=100_000)),
        doc: "Members that the answer to who lists, in about 128 KiB; its counts are always whole",
        place: |values| Place::U32(&mut values.config.hub.roster_listed_max),
    },
    Setting {
        name: "hub.presence_listed_max",
        kind: Kind::Count(bounds(0..=10_000)),
        doc: "Changes that one presence event lists; above that it only says the counts",
        place: |values| Place::U32(&mut values.config.hub.presence_listed_max),
    },
    Setting {
        name: "hub.presence_at_once_max",
        kind: Kind::Count(bounds(0..=10_000)),
        doc: "Below so many connections in a room presence is said at once",
        place: |values| Place::U32(&mut values.config.hub.presence_at_once_max),
    },
    Setting {
        name: "hub.presence_interval_ms",
        kind: Kind::Milliseconds(bounds(1..=60_000)),
        doc: "From so many on it is said in batches, at most one in this time",
        place: |values| Place::U64(&mut values.config.hub.presence_interval_ms),
    },
    Setting {
        name: "hub.ghosts_max",
        kind: Kind::Count(bounds(0..=100_000)),
        doc: "Vanished users per room whose leave waits for its grace; 100 times as many in all rooms of a core",
        place: |values| Place::U32(&mut values.config.hub.ghosts_max),
    },
    Setting {
        name: "hub.chunk_messages_max",
        kind: Kind::Count(bounds(1..=65_536)),
        doc: "Messages that one step of catching up brings",
        place: |values| Place::U32(&mut values.config.hub.chunk_messages_max),
    },
    Setting {
        name: "hub.chunk_bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 30)),
        doc: "Bytes that one step of catching up brings",
        place: |values| Place::U64(&mut values.config.hub.chunk_bytes_max),
    },
    Setting {
        name: "hub.tail_messages_max",
        kind: Kind::Count(bounds(1..=1_000_000)),
        doc: "Messages of a kept room that memory holds too, the newest",
        place: |values| Place::U32(&mut values.config.hub.tail_messages_max),
    },
    Setting {
        name: "hub.tail_bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 40)),
        doc: "Bytes of the same",
        place: |values| Place::U64(&mut values.config.hub.tail_bytes_max),
    },
    Setting {
        name: "hub.block_messages",
        kind: Kind::Count(bounds(1..=65_536)),
        doc: "Messages that one read of the disk brings, for all readers that need some of them",
        place: |values| Place::U32(&mut values.config.hub.block_messages),
    },
    Setting {
        name: "hub.blocks_bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 40)),
        doc: "Messages read back from the disk that are held for the next reader, per core",
        place: |values| Place::U64(&mut values.config.hub.blocks_bytes_max),
    },
    Setting {
        name: "hub.pending_bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 40)),
        doc: "Messages on their way to the disk, per core; above it no further requests are read",
        place: |values| Place::U64(&mut values.config.hub.pending_bytes_max),
    },
    Setting {
        name: "hub.parked_max",
        kind: Kind::Count(bounds(1..=100_000_000)),
        doc: "Requests that may wait for one room to be read from the disk; further ones are refused",
        place: |values| Place::U32(&mut values.config.hub.parked_max),
    },
    Setting {
        name: "hub.page_messages_max",
        kind: Kind::Count(bounds(1..=1_000_000)),
        doc: "Messages on one page of history",
        place: |values| Place::U32(&mut values.config.hub.page_messages_max),
    },
    Setting {
        name: "hub.page_bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 30)),
        doc: "Bytes on one page of history",
        place: |values| Place::U64(&mut values.config.hub.page_bytes_max),
    },
    Setting {
        name: "hub.latest_keys_max",
        kind: Kind::Count(bounds(1..=1_000_000)),
        doc: "Keys of which the lane `latest` of a room holds the newest for who cannot take it yet; beyond it the oldest goes",
        place: |values| Place::U32(&mut values.config.hub.latest_keys_max),
    },
    Setting {
        name: "hub.latest_bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 30)),
        doc: "Bytes of the same",
        place: |values| Place::U64(&mut values.config.hub.latest_bytes_max),
    },
    Setting {
        name: "hub.latest_bytes_all_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 40)),
        doc: "What the lanes `latest` of all rooms hold, per core; above it a room holds nothing for who is slow",
        place: |values| Place::U64(&mut values.config.hub.latest_bytes_all_max),
    },
    Setting {
        name: "hub.conflated_max",
        kind: Kind::Count(bounds(1..=1_000_000)),
        doc: "Messages that conflation leaves a slow reader",
        place: |values| Place::U32(&mut values.config.hub.conflated_max),
    },
    Setting {
        name: "hub.tick_rooms_max",
        kind: Kind::Count(bounds(1..=1_000_000)),
        doc: "Rooms that one tick looks after",
        place: |values| Place::U32(&mut values.config.hub.tick_rooms_max),
    },
];
