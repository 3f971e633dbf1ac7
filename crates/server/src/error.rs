//! Why a server did not start, or ended without being asked to.

use std::io;
use std::net::SocketAddr;

/// Why a server did not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration names no address.
    #[error("no address to listen on; name one, for example `--listen 127.0.0.1:8080`")]
    NoListener,
    /// Another program has the port.
    #[error(
        "cannot listen on {address}: the port is in use by another program; stop that one, or choose another port, for example `--listen 127.0.0.1:{}`", address.port().saturating_add(1)
    )]
    AddressInUse {
        /// The address that is taken.
        address: SocketAddr,
    },
    /// Anybody could reach the address, and nobody would be asked who they are.
    #[error(
        "refusing to listen on {address}: others can reach this address and no authentication is set up, so anybody could read and write every room; listen on 127.0.0.1, or pass `--open` (`open = true`) if that is what you want"
    )]
    PublicAddress {
        /// The public address.
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
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses something a server cannot do without.
    #[error("cannot start: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn advice(error: &io::Error, address: &SocketAddr) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "; ports below 1024 need privileges: use 8080, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
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
    /// The event queue of a thread failed.
    #[error("the event queue of {thread} failed: {source}")]
    Poll {
        /// Which thread.
        thread: String,
        /// What the system said.
        source: io::Error,
    },
}
