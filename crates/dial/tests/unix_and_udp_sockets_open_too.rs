//! Unix sockets and datagrams: opened, refused in plain words, and never mixed up with streams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod peer;

use peer::{Heard, patient};
use taut_dial::{DialError, Settings, Untold, Url, open, open_datagrams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UdpSocket, UnixListener};

#[tokio::test]
async fn a_unix_socket_is_opened_by_path_and_by_abstract_name() {
    let path = peer::certificates::file("x", "").with_file_name("socket");
    let name = format!("taut-dial-{}", std::process::id());
    for (bind, url) in [
        (
            path.display().to_string(),
            format!("unix:{}", path.display()),
        ),
        (format!("\0{name}"), format!("unix:@{name}")),
    ] {
        let listener = UnixListener::bind(bind).unwrap();
        let heard = Heard::default();
        let url: Url = url.parse().unwrap();
        let mut opened = open(&url, &patient(), &heard).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        opened.stream.write_all(b"hi").await.unwrap();
        opened.stream.shutdown().await.unwrap();
        let mut text = String::new();
        other.read_to_string(&mut text).await.unwrap();
        assert_eq!((text.as_str(), opened.local.as_str()), ("hi", "unnamed"));
        assert!(heard.has("Connected") && heard.scene("Option").contains("SO_SNDBUF"));
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_said() {
    let path = peer::certificates::file("plain", "no socket");
    for (url, expected) in [
        ("unix:/nowhere/at/all".to_owned(), "there is no such socket"),
        (format!("unix:{}", path.display()), "nobody listens on it"),
        ("unix:@taut-nobody".to_owned(), "nobody listens on it"),
    ] {
        let url: Url = url.parse().unwrap();
        let error = open(&url, &patient(), &Untold).await.unwrap_err();
        assert!(
            matches!(
                &error,
                DialError::Socket {
                    nobody_listens: true,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[tokio::test]
async fn datagrams_go_to_one_peer_and_come_from_it_alone() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("udp://localhost:{}", server.local_addr().unwrap().port())
        .parse()
        .unwrap();
    let heard = Heard::default();
    let socket = open_datagrams(&url, &patient(), &heard).await.unwrap();
    socket.send(b"hi").await.unwrap();
    let mut buffer = [0; 16];
    let (count, from) = server.recv_from(&mut buffer).await.unwrap();
    assert_eq!(
        (&buffer[..count], from),
        (&b"hi"[..], socket.local_addr().unwrap())
    );
    assert!(heard.scene("Connected").contains(&from.to_string()));
}

#[tokio::test]
async fn streams_and_datagrams_are_not_mixed_up() {
    let udp: Url = "udp://localhost:1".parse().unwrap();
    let tcp: Url = "tcp://localhost:1".parse().unwrap();
    let unix: Url = "unix:/x".parse().unwrap();
    let through = Settings {
        proxy: Some("socks5://localhost:1".parse().unwrap()),
        ..patient()
    };
    for error in [
        open(&udp, &patient(), &Untold).await.unwrap_err(),
        open_datagrams(&tcp, &patient(), &Untold).await.unwrap_err(),
        open_datagrams(&udp, &through, &Untold).await.unwrap_err(),
        open(&unix, &through, &Untold).await.unwrap_err(),
    ] {
        assert!(matches!(&error, DialError::Url(_)), "{error:?}");
        assert!(!error.may_pass());
    }
}
