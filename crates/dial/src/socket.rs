//! Socket options: which are set, and what the system says of the others.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::settings::Settings;
use crate::story::Scene;
use crate::telling::Telling;

/// Milliseconds between the probes of a silent connection, once they have begun.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A socket that may connect to `address`.
pub(crate) fn prepare(address: SocketAddr, settings: &Settings) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A lone message must not wait for an earlier one's acknowledgement.
    socket.set_nodelay(true)?;
    if let Some(ms) = settings.keep_alive_ms {
        let keep_alive = TcpKeepalive::new()
            .with_time(Duration::from_millis(ms.max(1_000)))
            .with_interval(KEEP_ALIVE_INTERVAL);
        SockRef::from(&socket).set_tcp_keepalive(&keep_alive)?;
    }
    if let Some(source) = settings.source {
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    Ok(socket)
}

/// Tells the options of a connected TCP socket. What the system does not say is left out.
pub(crate) fn tell_tcp(stream: &TcpStream, settings: &Settings, telling: &Telling<'_>) {
    let option = |name: &'static str, value: String, is_set: bool| {
        telling.tell(&Scene::Option {
            name,
            value: &value,
            is_set,
        });
    };
    let socket = SockRef::from(stream);
    if let Ok(nodelay) = stream.nodelay() {
        option("TCP_NODELAY", on_off(nodelay).into(), true);
    }
    if let Ok(alive) = socket.keepalive() {
        let value = match settings.keep_alive_ms {
            Some(ms) if alive => format!("on, after {ms} ms of silence"),
            _ => on_off(alive).into(),
        };
        option("SO_KEEPALIVE", value, settings.keep_alive_ms.is_some());
    }
    tell_buffers(&socket, telling);
    #[cfg(target_os = "linux")]
    {
        if let Ok(mss) = socket.tcp_mss() {
            option("TCP_MAXSEG", format!("{mss} bytes"), false);
        }
        if let Ok(name) = socket.tcp_congestion() {
            let name = String::from_utf8_lossy(&name);
            option(
                "TCP_CONGESTION",
                name.trim_end_matches('\0').to_owned(),
                false,
            );
        }
    }
}

/// Tells the options of a UDP socket.
pub(crate) fn tell_udp(socket: &UdpSocket, telling: &Telling<'_>) {
    tell_buffers(&SockRef::from(socket), telling);
}

/// Tells the sizes of the system's buffers.
pub(crate) fn tell_buffers(socket: &SockRef<'_>, telling: &Telling<'_>) {
    let sizes = [
        ("SO_SNDBUF", socket.send_buffer_size()),
        ("SO_RCVBUF", socket.recv_buffer_size()),
    ];
    for (name, size) in sizes {
        if let Ok(size) = size {
            telling.tell(&Scene::Option {
                name,
                value: &format!("{size} bytes"),
                is_set: false,
            });
        }
    }
}

fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}
