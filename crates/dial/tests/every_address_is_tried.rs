//! A name with several addresses reaches the server that listens on one of them; where none does, each is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation
)]

mod peer;

use peer::{Heard, hasty, patient};
use taut_dial::{DialError, Family, Settings, Untold, Url, open};
use tokio::net::TcpListener;

#[tokio::test]
async fn localhost_is_both_of_its_addresses() {
    for host in ["127.0.0.1", "[::1]"] {
        let Ok(listener) = TcpListener::bind(format!("{host}:0")).await else {
            eprintln!("SKIPPED: this machine has no {host}");
            continue;
        };
        let address = listener.local_addr().unwrap();
        for name in ["localhost", "LOCALHOST.", "a.localhost"] {
            let url: Url = format!("tcp://{name}:{}", address.port()).parse().unwrap();
            let heard = Heard::default();
            let opened = open(&url, &patient(), &heard).await.unwrap();
            assert_eq!(opened.peer, address.to_string());
            assert!(heard.scene("Resolved").contains("Localhost"));
            assert!(heard.scene("Option").contains("TCP_NODELAY"));
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_each_address_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url: Url = format!("tcp://localhost:{port}").parse().unwrap();
    let error = open(&url, &patient(), &Untold).await.unwrap_err();
    let DialError::Unreachable {
        attempts,
        nobody_listens,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(attempts.len(), 2);
    assert!(nobody_listens);
    assert!(error.may_pass());
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{port}: connection refused")),
        "{text}"
    );
    assert!(text.contains(&format!("[::1]:{port}: ")), "{text}");
    assert!(error.hint().unwrap().contains("is the server running"));
}

#[tokio::test]
async fn a_family_that_was_asked_for_is_kept_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let only = |family| Settings {
        family,
        ..patient()
    };
    let url: Url = format!("tcp://localhost:{port}").parse().unwrap();
    assert!(open(&url, &only(Family::V4), &Untold).await.is_ok());
    assert!(open(&url, &only(Family::V6), &Untold).await.is_err());
    let url: Url = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    let error = open(&url, &only(Family::V6), &Untold).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("none of IPv6, which was asked for"),
        "{error}"
    );
}

#[tokio::test]
async fn the_source_address_is_ours_to_choose() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("tcp://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let from = |source: &str| Settings {
        source: Some(source.parse().unwrap()),
        ..patient()
    };
    let opened = open(&url, &from("127.0.0.2"), &Untold).await.unwrap();
    assert!(opened.local.starts_with("127.0.0.2:"), "{}", opened.local);
    let error = open(&url, &from("203.0.113.9"), &Untold).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot assign requested address"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_without_an_address_is_said() {
    let url: Url = "tcp://nobody.invalid:1".parse().unwrap();
    let error = open(&url, &patient(), &Untold).await.unwrap_err();
    assert!(matches!(&error, DialError::Resolve { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("`nobody.invalid` has no address"),
        "{error}"
    );
}

#[tokio::test]
async fn whoever_runs_out_of_time_is_told_what_was_under_way() {
    let full = Full::new();
    let url: Url = format!("tcp://{}", full.address).parse().unwrap();
    let error = open(&url, &hasty(), &Untold).await.unwrap_err();
    let DialError::TimedOut {
        during,
        waited_ms: 100,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        *during,
        format!("waiting for {} to take the connection", full.address)
    );
}

/// A listener whose queue is full, so that the system lets further connections wait.
struct Full {
    address: std::net::SocketAddr,
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

impl Full {
    fn new() -> Self {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = (0..8)
            .map(|_| {
                let socket =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                        .unwrap();
                socket.set_nonblocking(true).unwrap();
                // Only the first of them gets through.
                let _ = socket.connect(&address);
                socket
            })
            .collect();
        Self {
            address: address.as_socket().unwrap(),
            _listener: listener,
            _waiting: waiting,
        }
    }
}
