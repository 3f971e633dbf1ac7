//! On the way back a server may be busy, and is asked again; or refuse for good, and everybody who waits is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{Peer, hasty};
use taut_client::{Client, Error, Event, Options, Publish};
use taut_wire::ws::handshake::accept_key;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Takes the next connection's opening request and answers it with `status`, with a WebSocket where that is 101.
async fn answer(peer: &Peer, status: u16) -> TcpStream {
    let mut stream = peer.accept_stream().await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    let fields = match status {
        101 => format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: taut\r\n",
            accept_key(key)
        ),
        _ => "Content-Length: 0\r\n".into(),
    };
    let answer = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn busy_means_again_and_forbidden_means_the_end() {
    let peer = Peer::listen().await;
    let url = format!("http://{}", peer.address());
    let options = Options {
        name: Some("ana".into()),
        ..hasty()
    };
    let (connected, stream) = tokio::join!(Client::connect_with(&url, options), answer(&peer, 101));
    let (client, mut events) = connected.unwrap();
    drop(stream);
    let ack = client
        .begin_publish(Publish::to("lobby", "one"))
        .await
        .unwrap();
    drop(answer(&peer, 503).await);
    drop(answer(&peer, 429).await);
    drop(answer(&peer, 403).await);
    let expected = |error: &Error| {
        assert!(
            matches!(
                error,
                Error::Handshake {
                    status: Some(403),
                    ..
                }
            ),
            "{error:?}"
        );
    };
    expected(&ack.wait().await.unwrap_err());
    let mut statuses = Vec::new();
    while let Some(event) = events.next().await {
        let Event::Disconnected { error, retry_ms } = event else {
            panic!("{event:?}");
        };
        if let Error::Handshake { status, .. } = error {
            statuses.push((status, retry_ms.is_some()));
        }
    }
    assert_eq!(
        statuses,
        [(Some(503), true), (Some(429), true), (Some(403), false)]
    );
    expected(
        &client
            .publish(Publish::to("lobby", "two"))
            .await
            .unwrap_err(),
    );
}
