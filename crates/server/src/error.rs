//! Why a server did not start, or ended without being asked to.

use std::io;
use std::net::SocketAddr;

use crate::identity::RecordError;
use crate::listen::Address;
use crate::tls::TlsError;

/// Why a server did not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration names no address.
    #[error("no address to listen on; name one, for example `--listen 127.0.0.1:8080`")]
    NoListener,
    /// Another program has the port, or listens on the Unix socket.
    #[error("cannot listen on {address}: {}", taken(address))]
    AddressInUse {
        /// The address that is taken.
        address: Address,
    },
    /// The configuration names the address twice.
    #[error(
        "cannot listen on {address} twice: `listen` or `metrics.listen` names it already; leave one out, or choose another port"
    )]
    Twice {
        /// The address.
        address: Address,
    },
    /// A file stands where a Unix socket shall be, and it is no socket.
    #[error(
        "cannot listen on {address}: a file that is no socket stands there; remove it, or choose another path"
    )]
    NoSocket {
        /// The address that is taken.
        address: Address,
    },
    /// Anybody could reach the address, and nobody would be asked who they are.
    #[error(
        "refusing to listen on {address}: others can reach this address and no authentication is set up, so anybody could read and write every room; listen on 127.0.0.1, set up [auth], or pass `--open` (`open = true`) if that is what you want"
    )]
    PublicAddress {
        /// The public address.
        address: SocketAddr,
    },
    /// Others could reach the address of the metrics, and nobody would be asked for a key.
    #[error(
        "refusing to tell metrics on {address}: others can reach this address; name a file with a key in `metrics.key_file`, which scrapes show as `Authorization: Bearer KEY`, or listen on 127.0.0.1"
    )]
    PublicMetrics {
        /// The address.
        address: SocketAddr,
    },
    /// The host name of a listener has no address.
    #[error(
        "cannot listen on `{host}`: the name does not resolve ({source}); use an IP address, for example 127.0.0.1"
    )]
    Resolve {
        /// The name as configured.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The system refuses this address or port.
    #[error("cannot listen on {address}: {source}{}", advice(source, address))]
    Listen {
        /// The address asked for.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The folder whose files shall be served.
    #[error(
        "cannot serve files: {0}; name a folder that this user may read, for example `--files public`"
    )]
    Files(#[from] taut_files::OpenError),
    /// Its TLS cannot be as configured.
    #[error("cannot start: {0}")]
    Tls(#[from] TlsError),
    /// What was revoked cannot be read or kept.
    #[error(
        "cannot start: the revocations cannot be kept: {0}; without them people would come in again who were revoked"
    )]
    Revocations(#[from] RecordError),
    /// The system refuses something a server cannot do without.
    #[error("cannot start: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn taken(address: &Address) -> String {
    match address {
        Address::Tcp(at) => format!(
            "the port is in use by another program; stop that one, or choose another port, for example `--listen 127.0.0.1:{}`",
            at.port().saturating_add(1)
        ),
        Address::Udp(at) => format!(
            "the port is in use by another program; stop that one, or choose another port, for example `--listen udp://127.0.0.1:{}`",
            at.port().saturating_add(1)
        ),
        Address::Unix(_) => {
            "another program listens there; stop that one, or choose another path".to_owned()
        }
    }
}

fn advice(error: &io::Error, address: &Address) -> &'static str {
    match (error.kind(), address) {
        (io::ErrorKind::PermissionDenied, Address::Tcp(at) | Address::Udp(at))
            if at.port() < 1024 =>
        {
            "; ports below 1024 need privileges: use 8080, or grant CAP_NET_BIND_SERVICE"
        }
        (io::ErrorKind::PermissionDenied, Address::Unix(_)) => {
            "; the folder must be one that this user may write to"
        }
        (io::ErrorKind::NotFound, Address::Unix(_)) => "; make the folder first",
        (io::ErrorKind::AddrNotAvailable, _) => "; this machine has no such address",
        _ => "",
    }
}

/// The server's own failure: it ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A thread ended by a panic. The log holds where.
    #[error("a thread of the server ended by a panic ({thread}); please report it with the log")]
    Panicked {
        /// Which thread.
        thread: String,
    },
    /// The store of rooms could not be read.
    #[error("the rooms that are kept cannot be read: {text}")]
    Store {
        /// The store's words.
        text: String,
    },
    /// The event queue of a thread failed.
    #[error("the event queue of {thread} failed: {source}")]
    Poll {
        /// Which thread.
        thread: String,
        /// What the system said.
        source: io::Error,
    },
}
