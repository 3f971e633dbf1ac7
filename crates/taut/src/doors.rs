//! What a started server prints: for each door, the line to paste.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use taut_auth::Auth;
use taut_server::{Address, Bound, Config, Speaks, Webhook, is_loopback};

use crate::terminal::Style;

/// Who is asked who they are, where anybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Nobody,
    /// Tokens, certificates or a proxy say it, as `[auth]` has it.
    ForToken,
    /// The application says it.
    Application,
}

/// Whom a server with this configuration asks.
pub(crate) fn asks(config: &Config) -> Asks {
    let is_restricted = |auth: &Arc<Auth>| auth.is_restricted;
    if config.webhooks.iter().any(Webhook::decides) {
        Asks::Application
    } else if config.auth.as_ref().is_some_and(is_restricted) {
        Asks::ForToken
    } else {
        Asks::Nobody
    }
}

/// The start lines. `files`: a folder is served, and may have its own page at `/`. `kept` says where rooms are.
pub(crate) fn lines(bound: &[Bound], files: bool, asks: Asks, kept: &str, style: Style) -> String {
    let mut out = head(bound, asks, style);
    out.push('\n');
    for (name, line) in doors(bound, files) {
        out += &format!("  {} {line}\n", style.dim(&format!("{name:<11}")));
    }
    let who = match asks {
        Asks::Nobody => "",
        Asks::ForToken => {
            "\n[auth] says who may do what here: come with a token, as ?token=TOKEN in an address or --token TOKEN; `taut token mint` makes one."
        }
        Asks::Application => "\nYour application is asked who may come in, by its webhook.",
    };
    out += &format!(
        "\n{}\n",
        style.dim(&format!(
            "They all meet in the room lobby. {kept}. Ctrl-C stops the server.{who}"
        ))
    );
    out
}

fn head(bound: &[Bound], asks: Asks, style: Style) -> String {
    let is_local = bound.iter().all(|bound| bound.address.is_local());
    let reach = match (is_local, asks) {
        (true, _) => "this machine only",
        (false, Asks::Nobody) => "open to everybody who can reach it",
        (false, _) => "others can reach it, and are asked who they are",
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
    let reach = style.dim(&format!("({reach})"));
    format!("{} {reach}\n", style.bold(&head))
}

/// For each door its name and the line to paste.
fn doors(bound: &[Bound], files: bool) -> Vec<(&'static str, String)> {
    let of_kind = |wanted: fn(&Bound) -> Option<SocketAddr>| -> Vec<SocketAddr> {
        bound.iter().filter_map(wanted).collect()
    };
    let any = of_kind(|bound| match (&bound.address, bound.speaks) {
        (Address::Tcp(address), Speaks::Anything) => Some(*address),
        _ => None,
    });
    let text = of_kind(|bound| match (&bound.address, bound.speaks) {
        (Address::Tcp(address), Speaks::Text) => Some(*address),
        _ => None,
    });
    let datagrams = of_kind(|bound| match bound.address {
        Address::Udp(address) => Some(address),
        _ => None,
    });
    let mut doors = Vec::new();
    if let Some((host, port)) = spoken(&any) {
        let bracketed = bracketed(&host);
        let url = format!("http://{bracketed}:{port}");
        if files {
            doors.push(("files", format!("{url}/")));
        }
        doors.extend([
            (
                "browser",
                if files { format!("{url}/r/lobby") } else { url },
            ),
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
            (
                "socket.io",
                format!("io(\"http://{bracketed}:{port}/r/lobby\")"),
            ),
            ("python", python(&host, port)),
            ("taut", taut(&bracketed, port)),
        ]);
    }
    let secret = of_kind(|bound| match (&bound.address, bound.speaks) {
        (Address::Tcp(address), Speaks::Tls) => Some(*address),
        _ => None,
    });
    if let Some((host, port)) = spoken(&secret) {
        let bracketed = bracketed(&host);
        let url = format!("https://{bracketed}:{port}");
        doors.extend([
            (
                "browser",
                if files {
                    format!("{url}/r/lobby")
                } else {
                    url.clone()
                },
            ),
            ("terminal", format!("taut connect tls://{bracketed}:{port}")),
            (
                "listen",
                format!("curl -N {url}/r/lobby -H 'Accept: text/event-stream'"),
            ),
            ("say", format!("curl -d 'hello' {url}/r/lobby")),
            (
                "javascript",
                format!("new WebSocket(\"wss://{bracketed}:{port}/r/lobby\")"),
            ),
            ("socket.io", format!("io(\"{url}/r/lobby\")")),
            ("taut", format!("taut sub lobby --url {url}")),
        ]);
    }
    if let Some((host, port)) = spoken(&text) {
        let name = if any.is_empty() { "terminal" } else { "text" };
        doors.push((name, format!("nc {host} {port}")));
    }
    if let Some((host, port)) = spoken(&datagrams) {
        doors.push((
            "udp",
            format!(
                "echo '{{\"publish\":\"lobby\",\"data\":\"hello\"}}' | nc -u -w1 {host} {port}"
            ),
        ));
    }
    let files = bound.iter().filter_map(|bound| match &bound.address {
        Address::Unix(path) => Some(path),
        _ => None,
    });
    // nc does not know abstract names; every program that opens sockets itself does.
    let files = files.filter(|path| !path.to_string_lossy().starts_with('@'));
    doors.extend(files.map(|path| ("unix", format!("nc -U {}", path.display()))));
    doors
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

    fn door(address: &str, speaks: Speaks) -> Bound {
        let address = match address.split_once(':') {
            Some(("udp", at)) => Address::Udp(at.parse().unwrap()),
            Some(("unix", path)) => Address::Unix(path.into()),
            _ => Address::Tcp(address.parse().unwrap()),
        };
        Bound { address, speaks }
    }

    #[test]
    fn the_default_server_is_reached_by_its_shortest_names() {
        let lines = lines(
            &[
                door("127.0.0.1:8080", Speaks::Anything),
                door("[::1]:8080", Speaks::Anything),
            ],
            false,
            Asks::Nobody,
            "Rooms are in memory",
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
    fn a_folder_has_the_root_and_the_page_its_room() {
        let bound = [door("127.0.0.1:8080", Speaks::Anything)];
        let lines = lines(
            &bound,
            true,
            Asks::ForToken,
            "Rooms are in memory",
            Style::plain(),
        );
        assert!(lines.contains("files       http://localhost:8080/\n"));
        assert!(lines.contains("browser     http://localhost:8080/r/lobby\n"));
        assert!(lines.contains("come with a token"));
    }

    #[test]
    fn other_addresses_show_as_they_are() {
        let lines = lines(
            &[
                door("[2001:db8::1]:80", Speaks::Anything),
                door("127.0.0.1:7000", Speaks::Text),
                door("udp:127.0.0.1:9000", Speaks::Anything),
                door("unix:/run/taut.sock", Speaks::Anything),
            ],
            false,
            Asks::Nobody,
            "Rooms are in memory",
            Style::plain(),
        );
        assert!(lines.contains("open to everybody"));
        assert!(lines.contains("nc 2001:db8::1 80\n"));
        assert!(lines.contains("http://[2001:db8::1]:80\n"));
        assert!(lines.contains("taut sub lobby --url http://[2001:db8::1]:80\n"));
        assert!(lines.contains("nc localhost 7000\n"));
        assert!(lines.contains("nc -u -w1 localhost 9000\n"));
        assert!(lines.contains("nc -U /run/taut.sock\n"));
    }
}
