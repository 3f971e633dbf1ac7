//! Binding the configured addresses: one listener each, so that a second server on the same port fails instead of sharing it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{Config, Listen, Speaks, is_loopback};
use crate::error::StartError;

/// Connections the kernel may keep for us between two looks of the acceptor.
const BACKLOG: i32 = 4_096;

/// A bound socket, and what is spoken on it.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: mio::net::TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) speaks: Speaks,
}

/// Binds every address of every listener.
///
/// A default address of a family that this machine does not have is left out, as long as another one could be bound.
pub(crate) fn bind_all(config: &Config) -> Result<Vec<Bound>, StartError> {
    if config.listeners.is_empty() {
        return Err(StartError::NoListener);
    }
    let mut bound = Vec::new();
    let by_default = config.listeners == Listen::defaults();
    for listen in &config.listeners {
        for address in resolve(listen)? {
            if !config.open && !is_loopback(&address) {
                return Err(StartError::PublicAddress { address });
            }
            match bind(address) {
                Ok((listener, address)) => bound.push(Bound {
                    listener,
                    address,
                    speaks: listen.speaks,
                }),
                Err(error) if by_default && address.is_ipv6() && is_family_absent(&error) => {
                    tracing::warn!(%address, %error, "this machine has no IPv6 loopback; serving 127.0.0.1 only");
                }
                Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                    return Err(StartError::AddressInUse { address });
                }
                Err(source) => return Err(StartError::Listen { address, source }),
            }
        }
    }
    Ok(bound)
}

fn resolve(listen: &Listen) -> Result<Vec<SocketAddr>, StartError> {
    let mut addresses: Vec<SocketAddr> = (listen.host.as_str(), listen.port)
        .to_socket_addrs()
        .map_err(|source| StartError::Resolve {
            host: listen.host.clone(),
            source,
        })?
        .collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

fn bind(address: SocketAddr) -> io::Result<(mio::net::TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // Only lifts the wait after our own last run; two listeners at once still fail.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Or [::]:8080 would also take 0.0.0.0:8080 and a listener for it would fail.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((mio::net::TcpListener::from_std(listener), address))
}

fn is_family_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}
