//! What a started server prints: for each door, the line to paste.

use std::net::{IpAddr, SocketAddr};

use taut_server::{Listen, Speaks, is_loopback};

use crate::terminal::Style;

/// A bound address, and whether only text is spoken there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    pub(crate) is_text: bool,
}

/// What each of the server's addresses is for, told from the listeners that it was given.
pub(crate) fn bound(addresses: &[SocketAddr], listeners: &[Listen]) -> Vec<Bound> {
    let is_text = |address: &SocketAddr| {
        let of_port = |port: u16| {
            listeners.iter().find(|listen| {
                let ip: Result<IpAddr, _> = listen.host.parse();
                listen.port == port && ip.is_ok_and(|ip| ip == address.ip())
            })
        };
        // A listener with a host name resolved to this address; one with port 0 got its port from the system.
        let by_name = || {
            listeners
                .iter()
                .find(|listen| listen.port == address.port())
        };
        let listen = of_port(address.port())
            .or_else(|| of_port(0))
            .or_else(by_name);
        listen.is_some_and(|listen| listen.speaks == Speaks::Text)
    };
    let bound = addresses.iter().map(|address| Bound {
        address: *address,
        is_text: is_text(address),
    });
    bound.collect()
}

/// The start lines.
pub(crate) fn lines(bound: &[Bound], style: Style) -> String {
    let mut out = String::new();
    let any: Vec<SocketAddr> = of_kind(bound, false);
    let text: Vec<SocketAddr> = of_kind(bound, true);
    let reach = if bound.iter().all(|bound| is_loopback(&bound.address)) {
        "this machine only"
    } else {
        "open to everybody who can reach it"
    };
    let listed: Vec<String> = bound
        .iter()
        .map(|bound| bound.address.to_string())
        .collect();
    let head = format!(
        "taut {} listens on {}",
        env!("CARGO_PKG_VERSION"),
        listed.join(" and ")
    );
    out += &format!(
        "{} {}\n",
        style.bold(&head),
        style.dim(&format!("({reach})"))
    );
    if let Some((host, port)) = spoken(&any) {
        let bracketed = bracketed(&host);
        let doors = [
            ("browser", format!("http://{bracketed}:{port}")),
            ("terminal", format!("nc {host} {port}")),
            (
                "listen",
                format!("curl -N {bracketed}:{port}/r/lobby -H 'Accept: text/event-stream'"),
            ),
            ("say", format!("curl -d 'hello' {bracketed}:{port}/r/lobby")),
            (
                "javascript",
                format!("new WebSocket(\"ws://{bracketed}:{port}/r/lobby\")"),
            ),
            ("python", python(&host, port)),
            ("taut", taut(&bracketed, port)),
        ];
        out.push('\n');
        for (name, line) in doors {
            out += &format!("  {} {line}\n", style.dim(&format!("{name:<11}")));
        }
    }
    if let Some((host, port)) = spoken(&text) {
        let line = format!("nc {host} {port}");
        let name = if any.is_empty() { "terminal" } else { "text" };
        out += &format!(
            "{}  {} {line}\n",
            if any.is_empty() { "\n" } else { "" },
            style.dim(&format!("{name:<11}"))
        );
    }
    out += &format!(
        "\n{}\n",
        style.dim("They all meet in the room lobby. Ctrl-C stops the server.")
    );
    out
}

fn of_kind(bound: &[Bound], is_text: bool) -> Vec<SocketAddr> {
    bound
        .iter()
        .filter(|bound| bound.is_text == is_text)
        .map(|bound| bound.address)
        .collect()
}

/// The shortest host and port that reach a server: `localhost` where it listens on this machine's own addresses or on all.
fn spoken(addresses: &[SocketAddr]) -> Option<(String, u16)> {
    let local = addresses
        .iter()
        .find(|address| is_loopback(address) || address.ip().is_unspecified());
    let address = local.or(addresses.first())?;
    // Where only one family is bound, programs that try the other one first still come to this.
    let host = match address.ip() {
        ip if ip == IpAddr::from([127, 0, 0, 1]) || ip.is_unspecified() => "localhost".to_owned(),
        ip if ip == IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]) => "localhost".to_owned(),
        ip => ip.to_string(),
    };
    Some((host, address.port()))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn python(host: &str, port: u16) -> String {
    format!(
        "python3 -c 'import socket; s=socket.create_connection((\"{host}\",{port})); s.sendall(b\"{{\\\"join\\\":\\\"lobby\\\"}}\\n\"); [print(l,end=\"\",flush=True) for l in s.makefile()]'"
    )
}

fn taut(host: &str, port: u16) -> String {
    if host == "localhost" && port == 8080 {
        "taut sub lobby".into()
    } else {
        format!("taut sub lobby --url http://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn door(address: &str, is_text: bool) -> Bound {
        Bound {
            address: address.parse().unwrap(),
            is_text,
        }
    }

    #[test]
    fn the_default_server_is_reached_by_its_shortest_names() {
        let lines = lines(
            &[door("127.0.0.1:8080", false), door("[::1]:8080", false)],
            Style::plain(),
        );
        for line in [
            "listens on 127.0.0.1:8080 and [::1]:8080 (this machine only)",
            "http://localhost:8080\n",
            "nc localhost 8080\n",
            "curl -N localhost:8080/r/lobby -H 'Accept: text/event-stream'\n",
            "curl -d 'hello' localhost:8080/r/lobby\n",
            "new WebSocket(\"ws://localhost:8080/r/lobby\")\n",
            "s.sendall(b\"{\\\"join\\\":\\\"lobby\\\"}\\n\")",
            " taut sub lobby\n",
        ] {
            assert!(lines.contains(line), "{line} is not in\n{lines}");
        }
    }

    #[test]
    fn text_listeners_are_told_apart() {
        let listeners: Vec<Listen> = [
            "127.0.0.1:8080",
            "text://127.0.0.1:0",
            "text://localhost:7000",
        ]
        .iter()
        .map(|listen| listen.parse().unwrap())
        .collect();
        let addresses: Vec<SocketAddr> = ["127.0.0.1:8080", "127.0.0.1:41234", "[::1]:7000"]
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        let texts = bound(&addresses, &listeners)
            .iter()
            .map(|bound| bound.is_text)
            .collect::<Vec<_>>();
        assert_eq!(texts, [false, true, true]);
    }

    #[test]
    fn other_addresses_show_as_they_are() {
        let lines = lines(
            &[
                door("[2001:db8::1]:80", false),
                door("127.0.0.1:7000", true),
            ],
            Style::plain(),
        );
        assert!(lines.contains("open to everybody"));
        assert!(lines.contains("nc 2001:db8::1 80\n"));
        assert!(lines.contains("http://[2001:db8::1]:80\n"));
        assert!(lines.contains("taut sub lobby --url http://[2001:db8::1]:80\n"));
        assert!(lines.contains("nc localhost 7000\n"));
    }
}
