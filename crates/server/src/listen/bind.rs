//! Binding the configured addresses: one socket each, so that a second server on the same address fails instead of sharing it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::judge::{judge, metrics_address};
use super::unix::{self, UnixFile};
use super::{Address, Bound, Endpoint, HostPort, Listen, Speaks, is_loopback};
use crate::config::Config;
use crate::core::Stream;
use crate::error::StartError;
use crate::hooks::Webhook;
use crate::tls::{TlsConfig, TlsError};

/// Connections the kernel may keep for us between two looks of the acceptor.
const BACKLOG: i32 = 4_096;

/// Everything that is bound.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// For the acceptor.
    pub(crate) listeners: Vec<Acceptable>,
    /// For the cores.
    pub(crate) datagrams: Vec<mio::net::UdpSocket>,
    /// What to tell.
    pub(crate) bound: Vec<Bound>,
}

/// A socket that connections come to, and what is spoken on them.
#[derive(Debug)]
pub(crate) struct Acceptable {
    pub(crate) listener: Listener,
    pub(crate) speaks: Speaks,
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(mio::net::TcpListener),
    /// With its file, which goes when the listener goes.
    Unix {
        listener: mio::net::UnixListener,
        _file: Option<UnixFile>,
    },
}

impl Listener {
    /// Takes the next connection that waits, and where it comes from; a Unix socket has no address.
    pub(crate) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => listener
                .accept()
                .map(|(stream, address)| (Stream::Tcp(stream), Some(address))),
            Self::Unix { listener, .. } => listener
                .accept()
                .map(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }
}

/// Binds every address of every listener.
///
/// A default address of a family that this machine does not have is left out, as long as another one could be bound; so is a default UDP
/// port that another program has.
pub(crate) fn bind_all(config: &Config) -> Result<Sockets, StartError> {
    judge(config)?;
    let mut sockets = Sockets::default();
    let by_default = config.listeners == Listen::defaults();
    for listen in &config.listeners {
        let Some(speaks) = secrecy(listen, &config.tls, by_default)? else {
            continue;
        };
        match &listen.endpoint {
            Endpoint::Unix { path, mode } => {
                let (listener, _file) = unix::bind(path, *mode)?;
                sockets.add(Listener::Unix { listener, _file }, speaks);
                sockets.tell(Address::Unix(path.clone()), speaks);
            }
            Endpoint::Tcp(at) => {
                for address in resolve(at, is_guarded(config))? {
                    match bind_tcp(address) {
                        Ok((listener, address)) => {
                            // Whether TLS is required is the acceptor's to know: it may change.
                            sockets.add(Listener::Tcp(listener), listen.speaks);
                            sockets.tell(Address::Tcp(address), speaks);
                        }
                        Err(error) => excuse(&Address::Tcp(address), error, by_default)?,
                    }
                }
            }
            Endpoint::Udp(at) => {
                for address in resolve(at, is_guarded(config))? {
                    match bind_udp(address) {
                        Ok((socket, address)) => {
                            sockets.datagrams.push(socket);
                            sockets.tell(Address::Udp(address), speaks);
                        }
                        Err(error) => excuse(&Address::Udp(address), error, by_default)?,
                    }
                }
            }
        }
    }
    Ok(sockets)
}

/// What is spoken there, with TLS as configured; `None` for a default address that has no place then.
pub(super) fn secrecy(
    listen: &Listen,
    tls: &TlsConfig,
    by_default: bool,
) -> Result<Option<Speaks>, TlsError> {
    match (&listen.endpoint, listen.speaks) {
        (Endpoint::Tcp(_), Speaks::Tls) if !tls.has_certificates() => {
            Err(TlsError::NoCertificate {
                by: format!("`{listen}`"),
            })
        }
        // Who reaches a Unix socket is on this machine, and has the file's permission.
        (Endpoint::Unix { .. }, speaks) => Ok(Some(speaks)),
        (_, speaks) if !tls.required => Ok(Some(speaks)),
        (Endpoint::Tcp(_), Speaks::Anything | Speaks::Tls) => Ok(Some(Speaks::Tls)),
        (Endpoint::Tcp(_), Speaks::Proxied) => Ok(Some(Speaks::ProxiedTls)),
        (Endpoint::Udp(_), _) if by_default => Ok(None),
        _ => Err(TlsError::ClearText {
            address: listen.to_string(),
        }),
    }
}

impl Sockets {
    fn add(&mut self, listener: Listener, speaks: Speaks) {
        self.listeners.push(Acceptable { listener, speaks });
    }

    fn tell(&mut self, address: Address, speaks: Speaks) {
        self.bound.push(Bound { address, speaks });
    }
}

/// Passes over what nobody asked for by name; the rest ends the start.
fn excuse(address: &Address, source: io::Error, by_default: bool) -> Result<(), StartError> {
    let is_v6 = matches!(address, Address::Tcp(at) | Address::Udp(at) if at.is_ipv6());
    let is_taken = source.kind() == io::ErrorKind::AddrInUse;
    if by_default && is_v6 && is_family_absent(&source) {
        tracing::warn!(%address, error = %source, "this machine has no IPv6 loopback; serving 127.0.0.1 only");
        return Ok(());
    }
    if by_default && is_taken && matches!(address, Address::Udp(_)) {
        tracing::warn!(%address, "another program has this UDP port; serving without it");
        return Ok(());
    }
    let address = address.clone();
    if is_taken {
        return Err(StartError::AddressInUse { address });
    }
    Err(StartError::Listen { address, source })
}

pub(super) fn resolve(at: &HostPort, open: bool) -> Result<Vec<SocketAddr>, StartError> {
    let mut addresses: Vec<SocketAddr> = (at.host.as_str(), at.port)
        .to_socket_addrs()
        .map_err(|source| StartError::Resolve {
            host: at.host.clone(),
            source,
        })?
        .collect();
    addresses.sort();
    addresses.dedup();
    match addresses.iter().find(|address| !is_loopback(address)) {
        Some(address) if !open => Err(StartError::PublicAddress { address: *address }),
        _ => Ok(addresses),
    }
}

/// Whether a public address may be served.
pub(super) fn is_guarded(config: &Config) -> bool {
    asks(config) || is_decided(config)
}

/// Whether somebody is asked who they are, or nobody on purpose.
pub(crate) fn asks(config: &Config) -> bool {
    let restricts = config.auth.as_ref().is_some_and(|auth| auth.is_restricted);
    config.open || restricts
}

/// Whether the application decides who comes in.
pub(crate) fn is_decided(config: &Config) -> bool {
    config.webhooks.iter().any(Webhook::decides)
}

/// Binds the address of the metrics.
pub(crate) fn bind_metrics(
    at: &HostPort,
    has_key: bool,
) -> Result<(mio::net::TcpListener, SocketAddr), StartError> {
    let address = metrics_address(at, has_key)?;
    bind_tcp(address).map_err(|source| {
        let address = Address::Tcp(address);
        match source.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
            _ => StartError::Listen { address, source },
        }
    })
}

fn bind_tcp(address: SocketAddr) -> io::Result<(mio::net::TcpListener, SocketAddr)> {
    let socket = bind(address, Type::STREAM, Protocol::TCP)?;
    prepare(&socket)?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((mio::net::TcpListener::from_std(listener), address))
}

/// What every connection gets: no delay for small writes, and probes that find a peer which vanished without a word. Linux hands a listener's
/// options down to what it accepts, which saves each connection four system calls.
fn prepare(listener: &Socket) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    listener.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(25))
            .with_interval(Duration::from_secs(10))
            .with_retries(3),
    )
}

fn bind_udp(address: SocketAddr) -> io::Result<(mio::net::UdpSocket, SocketAddr)> {
    let socket = std::net::UdpSocket::from(bind(address, Type::DGRAM, Protocol::UDP)?);
    let address = socket.local_addr()?;
    Ok((mio::net::UdpSocket::from_std(socket), address))
}

fn bind(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        kind.nonblocking().cloexec(),
        Some(protocol),
    )?;
    if protocol == Protocol::TCP {
        // Only lifts the wait after our own last run; two listeners at once still fail. Two UDP sockets would share the port.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        // Or [::]:8080 would also take 0.0.0.0:8080 and a listener for it would fail.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn is_family_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_accepted_has_the_options_of_its_listener() {
        let (listener, address) = bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let accepted = loop {
            match listener.accept() {
                Ok((accepted, _)) => break accepted,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        let socket = socket2::SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 25);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 10);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
