//! Opening the sockets that a server listens on, and saying plainly why one cannot be opened.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket, UnixListener};

use super::address::{Address, Kind};
use super::holder;
use super::unix::{self, UnixFile};
use crate::{Code, Ended};

/// Connections that the kernel keeps for us until we take them.
const BACKLOG: i32 = 1_024;
/// How often the system may choose a port that is free on the first address and taken on the second.
const ATTEMPTS_MAX: u32 = 16;
/// Bytes of datagrams that the kernel keeps until we read them; it may grant less.
const DATAGRAMS_BYTES: usize = 4 << 20;

/// A socket that listens, and its URL with the port that it got.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) socket: Door,
    pub(super) url: String,
    /// The socket's file, which goes when this is dropped.
    pub(super) file: Option<UnixFile>,
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
    Udp(UdpSocket),
}

/// Opens every socket of an address.
///
/// # Errors
/// Why one of them cannot be opened, who has it where that can be found out, and what to do.
pub(super) async fn bind(address: &Address) -> Result<Vec<Bound>, Ended> {
    match address {
        Address::Unix(path) => {
            let (listener, file) = unix::bind(path)?;
            Ok(vec![Bound {
                socket: Door::Unix(listener),
                url: address.to_string(),
                file,
            }])
        }
        Address::Port { kind, host, port } => {
            let hosts = resolve(address, host).await?;
            bind_all(*kind, &hosts, *port)
        }
    }
}

/// All addresses of a host; both of the loopback for `localhost`, whatever the system says (RFC 6761 §6.3).
async fn resolve(address: &Address, host: &str) -> Result<Vec<IpAddr>, Ended> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let failed = |text: &str| {
        Ended::new(Code::Usage, format!("cannot listen on {address}: {text}"))
            .hint("name an address of this machine, for example 127.0.0.1, or 0.0.0.0 for all")
    };
    let found = tokio::net::lookup_host((host, 0))
        .await
        .map_err(|error| failed(&format!("the name `{host}` is not known ({error})")))?;
    let mut hosts: Vec<IpAddr> = Vec::new();
    for address in found {
        if !hosts.contains(&address.ip()) {
            hosts.push(address.ip());
        }
    }
    if hosts.is_empty() {
        return Err(failed(&format!("the name `{host}` has no address")));
    }
    Ok(hosts)
}

/// Binds the same port on every host. A machine without IPv6 does without ::1.
fn bind_all(kind: Kind, hosts: &[IpAddr], port: u16) -> Result<Vec<Bound>, Ended> {
    let mut attempt = 1;
    loop {
        match try_all(kind, hosts, port) {
            Err((_, error)) if is_collision(&error, port, hosts) && attempt < ATTEMPTS_MAX => {
                attempt += 1;
            }
            Err((address, error)) => return Err(explain(kind, address, &error)),
            Ok(bound) => return Ok(bound),
        }
    }
}

/// Whether the system chose a port that another host of ours does not have free.
fn is_collision(error: &io::Error, port: u16, hosts: &[IpAddr]) -> bool {
    port == 0 && hosts.len() > 1 && error.kind() == io::ErrorKind::AddrInUse
}

fn try_all(kind: Kind, hosts: &[IpAddr], port: u16) -> Result<Vec<Bound>, (SocketAddr, io::Error)> {
    let mut port = port;
    let mut bound = Vec::with_capacity(hosts.len());
    for host in hosts {
        let address = SocketAddr::new(*host, port);
        match open(kind, address) {
            Ok((socket, at)) => {
                port = at.port();
                let url = format!("{}{at}", kind.prefix());
                bound.push(Bound {
                    socket,
                    url,
                    file: None,
                });
            }
            Err(error) if host.is_ipv6() && !bound.is_empty() && is_without_ipv6(&error) => {}
            Err(error) => return Err((address, error)),
        }
    }
    Ok(bound)
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

fn open(kind: Kind, address: SocketAddr) -> io::Result<(Door, SocketAddr)> {
    let is_udp = kind == Kind::Udp;
    let (form, protocol) = if is_udp {
        (Type::DGRAM, Protocol::UDP)
    } else {
        (Type::STREAM, Protocol::TCP)
    };
    let socket = Socket::new(Domain::for_address(address), form, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `[::]` alone means both families; a named IPv6 address only itself.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    if is_udp {
        // A smaller buffer loses datagrams sooner and is no reason to fail.
        let _ = socket.set_recv_buffer_size(DATAGRAMS_BYTES);
    } else {
        // A port whose last connections are still in TIME_WAIT can be taken again; one that is listened on cannot.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if is_udp {
        let socket = UdpSocket::from_std(socket.into())?;
        let at = socket.local_addr()?;
        return Ok((Door::Udp(socket), at));
    }
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let at = listener.local_addr()?;
    Ok((Door::Tcp(listener), at))
}

fn explain(kind: Kind, address: SocketAddr, error: &io::Error) -> Ended {
    let url = format!("{}{address}", kind.prefix());
    let another = |port: u16| format!("{}:{port}", kind.prefix());
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = match holder::of(kind == Kind::Udp, address) {
                Some(holder) => format!("{holder} listens there already"),
                None => "another program listens there already".to_owned(),
            };
            Ended::new(Code::Failure, format!("cannot listen on {url}: {who}")).hint(format!(
                "end it, or take another port: {}, or {} for one that is free",
                another(address.port().checked_add(1).unwrap_or(9000)),
                another(0),
            ))
        }
        io::ErrorKind::PermissionDenied => Ended::new(
            Code::Failure,
            format!("cannot listen on {url}: ports below 1024 are for the administrator"),
        )
        .hint(format!("take a higher one, for example {}", another(8080))),
        io::ErrorKind::AddrNotAvailable => Ended::new(
            Code::Failure,
            format!(
                "cannot listen on {url}: this machine has no address {}",
                address.ip()
            ),
        )
        .hint(format!(
            "for this machine alone {}, for everybody {}0.0.0.0:{}",
            another(address.port()),
            kind.prefix(),
            address.port()
        )),
        _ => Ended::new(Code::Failure, format!("cannot listen on {url}: {error}")),
    }
}
