//! The same protocol over TLS, Unix sockets and proxies: resumed after a break, and refused with a reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::path::PathBuf;
use std::sync::Arc;

use peer::{Peer, hasty};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use taut_client::{Body, Client, Error, Event, Events, Options, Publish, Retry, Tls};
use taut_wire::ws::handshake::accept_key;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

/// A file of its own in the build's folder for such things.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("client-{}-{name}", std::process::id()))
}

/// A self-signed certificate for localhost: who accepts by it, and the file that trusts it.
fn certified(name: &str) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let trusted = file(name);
    std::fs::write(&trusted, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), trusted)
}

fn trusting(file: PathBuf) -> Options {
    Options {
        name: Some("ana".into()),
        tls: Tls {
            authorities: vec![file],
            ..Tls::default()
        },
        ..hasty()
    }
}

/// One line of the client.
async fn hear<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Value {
    let mut line = String::new();
    assert!(stream.read_line(&mut line).await.unwrap() > 0, "hung up");
    serde_json::from_str(&line).unwrap()
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, value: &Value) {
    let line = format!("{value}\n");
    stream.write_all(line.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// The server's part of a conversation of two connections: it breaks the first in the middle of an answer.
async fn break_once<S: AsyncRead + AsyncWrite + Unpin>(mut stream: BufReader<S>) -> Value {
    let join = hear(&mut stream).await;
    say(
        &mut stream,
        &json!({"ok":"join","ref":join["ref"],"room":"lobby","at":"e-1","complete":true}),
    )
    .await;
    let large = "x".repeat(200_000);
    say(
        &mut stream,
        &json!({"room":"lobby","at":"e-2","from":"bo","event":"message","time":1,"data":large}),
    )
    .await;
    let publish = hear(&mut stream).await;
    stream.write_all(b"{\"ok\":\"publ").await.unwrap();
    stream.flush().await.unwrap();
    publish
}

async fn go_on<S: AsyncRead + AsyncWrite + Unpin>(mut stream: BufReader<S>, before: &Value) {
    let join = hear(&mut stream).await;
    assert_eq!(join["since"], "e-2");
    say(
        &mut stream,
        &json!({"ok":"join","ref":join["ref"],"room":"lobby","at":"e-2","complete":true}),
    )
    .await;
    let publish = hear(&mut stream).await;
    assert_eq!(
        (&publish["id"], &publish["data"]),
        (&before["id"], &before["data"])
    );
    say(
        &mut stream,
        &json!({"ok":"publish","ref":publish["ref"],"at":"e-3"}),
    )
    .await;
    let _ = stream.read(&mut [0]).await;
}

/// The client's part.
async fn talk(client: Client, mut events: Events) {
    client.join("lobby").await.unwrap();
    let Some(Event::Message(message)) = events.next().await else {
        panic!("no message");
    };
    assert!(matches!(message.body, Body::Text(text) if text.len() == 200_000));
    let long = "y".repeat(300_000);
    let published = client.publish(Publish::to("lobby", long)).await.unwrap();
    assert_eq!(published.at.as_str(), "e-3");
    assert!(matches!(
        events.next().await,
        Some(Event::Disconnected { .. })
    ));
    assert!(matches!(events.next().await, Some(Event::Reconnected)));
    assert!(matches!(events.next().await, Some(Event::Rejoined(_))));
}

#[tokio::test]
async fn lines_over_tls() {
    let (acceptor, trusted) = certified("lines.pem");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tls://localhost:{}", listener.local_addr().unwrap().port());
    let accept = async || {
        let (stream, _) = listener.accept().await.unwrap();
        BufReader::new(acceptor.accept(stream).await.unwrap())
    };
    let server = async {
        let before = break_once(accept().await).await;
        go_on(accept().await, &before).await;
    };
    let client = async {
        let (client, events) = Client::connect_with(&url, trusting(trusted)).await.unwrap();
        talk(client, events).await;
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn lines_over_a_unix_socket() {
    let path = file("socket");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let url = format!("unix:{}", path.display());
    let accept = async || BufReader::new(listener.accept().await.unwrap().0);
    let server = async {
        let before = break_once(accept().await).await;
        go_on(accept().await, &before).await;
    };
    let client = async {
        let options = trusting(PathBuf::new());
        let options = Options {
            tls: Tls::default(),
            ..options
        };
        let (client, events) = Client::connect_with(&url, options).await.unwrap();
        talk(client, events).await;
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_websocket_over_tls_says_so_in_the_handshake() {
    let (acceptor, trusted) = certified("websocket.pem");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(acceptor.accept(stream).await.unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).await.unwrap();
        }
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap();
        let answer = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: taut\r\n\r\n",
            accept_key(key)
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        (head, stream)
    };
    let url = format!("https://ana:pw@localhost:{port}/chat");
    let (connected, (head, _stream)) =
        tokio::join!(Client::connect_with(&url, trusting(trusted)), server);
    connected.unwrap();
    assert!(head.starts_with("GET /chat/ws HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("Host: localhost:{port}\r\n")),
        "{head}"
    );
    assert!(head.contains("Authorization: Basic YW5hOnB3\r\n"), "{head}");
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_ends_it_with_advice() {
    let (acceptor, _) = certified("untrusted.pem");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = acceptor.accept(stream).await;
    };
    let (connected, ()) = tokio::join!(Client::connect_with(&url, hasty()), server);
    let error = connected.unwrap_err();
    let Error::Untrusted { text, hint, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(text.contains("self-signed"), "{text}");
    assert!(hint.as_ref().unwrap().contains("--ca"), "{hint:?}");
    assert_eq!(error.retry(), Retry::Never);
    let nowhere = Client::connect_with(&url, trusting("/nowhere.pem".into()))
        .await
        .unwrap_err();
    assert!(
        matches!(&nowhere, Error::File(text) if text.contains("/nowhere.pem")),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn through_a_proxy_or_told_by_it() {
    for (answer, retry) in [
        ("HTTP/1.1 200 OK", None),
        ("HTTP/1.1 407 No", Some(false)),
        ("HTTP/1.1 503 Busy", Some(true)),
    ] {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer::listen().await;
        let address = peer.address();
        let options = Options {
            proxy: Some(
                format!("http://{}", proxy.local_addr().unwrap())
                    .parse()
                    .unwrap(),
            ),
            ..hasty()
        };
        tokio::spawn(async move {
            let (mut stream, _) = proxy.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream
                .write_all(format!("{answer}\r\n\r\n").as_bytes())
                .await
                .unwrap();
            if answer.ends_with("OK") {
                let mut target = TcpStream::connect(address).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            } else {
                let _ = stream.read(&mut [0]).await;
            }
        });
        let connected = Client::connect_with(&peer.url(), options).await;
        match (connected, retry) {
            (Ok((client, _)), None) => {
                let mut line = peer.accept().await;
                let (pong, ()) = tokio::join!(client.ping(), async {
                    let asked = line.hear().await;
                    line.say(&json!({"ok":"ping","ref":asked["ref"]})).await;
                });
                pong.unwrap();
            }
            (Err(error), Some(retry)) => {
                assert!(error.to_string().contains("the proxy http://"), "{error}");
                assert_eq!(error.retry() != Retry::Never, retry, "{error}");
            }
            (other, _) => panic!("{answer}: {other:?}"),
        }
    }
}
