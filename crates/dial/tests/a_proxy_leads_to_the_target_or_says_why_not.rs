//! HTTP CONNECT and SOCKS 5: the way to the target, what each refusal means, and proxies that are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod peer;

use std::net::SocketAddr;

use peer::{Heard, answering, hasty, patient, read_head, serve};
use taut_dial::{DialError, Settings, Untold, Url, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn through(proxy: &str, settings: Settings) -> Settings {
    Settings {
        proxy: Some(proxy.parse().unwrap()),
        ..settings
    }
}

async fn refused(proxy: &str, address: SocketAddr) -> DialError {
    let url: Url = "tcp://target.example:7".parse().unwrap();
    let proxy = proxy.replace("PROXY", &address.to_string());
    open(&url, &through(&proxy, patient()), &Untold)
        .await
        .unwrap_err()
}

/// A target's first words come in the same packet as the proxy's answer, and are still there.
async fn assert_hello(url: &str, proxy: String, heard: &Heard) {
    let url: Url = url.parse().unwrap();
    let mut opened = open(&url, &through(&proxy, patient()), heard)
        .await
        .unwrap();
    let mut hello = [0; 5];
    opened.stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
}

#[tokio::test]
async fn connect_opens_a_way_and_takes_nothing_of_the_targets() {
    let (address, head) =
        answering(b"HTTP/1.1 200 Connection established\r\nVia: me\r\n\r\nhello").await;
    let heard = Heard::default();
    let proxy = format!("http://ana:s3cret@{address}");
    assert_hello("tcp://target.example:7", proxy, &heard).await;
    let head = head.await.unwrap();
    assert!(
        head.starts_with("CONNECT target.example:7 HTTP/1.1\r\nHost: target.example:7\r\n"),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic YW5hOnMzY3JldA==\r\n"),
        "{head}"
    );
    let asked = heard.scene("ProxyAsked");
    assert!(
        asked.contains("Proxy-Authorization: (not shown)"),
        "{asked}"
    );
    let told = heard.scenes().join("\n");
    assert!(!told.contains("s3cret") && !told.contains("YW5h"), "{told}");
    assert!(heard.scene("ProxyAnswered").contains("Via: me"));
}

#[tokio::test]
async fn connect_that_is_refused_says_why() {
    for (answer, expected, may_pass) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
            "wants a user name and password (answered 407",
            false,
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "does not let anybody through to target.example:7",
            false,
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "could not reach target.example:7 (answered 502 Bad Gateway)",
            true,
        ),
        (b"HTTP/1.0 405 \x1b[2J\r\n\r\n", "no proper HTTP", false),
        (
            b"HTTP/1.1 405 No\r\n\r\n",
            "does not know CONNECT (answered 405 No)",
            false,
        ),
    ] {
        let (address, _server) = answering(answer).await;
        let error = refused("http://PROXY", address).await;
        assert!(matches!(error, DialError::Proxy { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.may_pass(), may_pass, "{error}");
    }
}

#[tokio::test]
async fn a_password_that_a_proxy_does_not_take_is_not_shown() {
    let (address, _server) = answering(b"HTTP/1.1 407 No\r\n\r\n").await;
    let error = refused("http://ana:s3cret@PROXY", address).await;
    assert!(
        error
            .to_string()
            .contains("does not accept this user name and password"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_is_no_proxy_is_shown_by_its_first_words() {
    let (address, _server) = answering(b"SSH-2.0-OpenSSH\r\n").await;
    let error = refused("http://PROXY", address).await;
    let DialError::WrongProtocol {
        expected: "HTTP",
        got,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(got.starts_with("S"), "{got}");
    let (address, _server) = serve(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let error = refused("socks5h://PROXY", address).await;
    let DialError::WrongProtocol {
        expected: "SOCKS 5",
        looks_like: Some("HTTP"),
        place,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(place.starts_with("the proxy socks5h://"), "{place}");
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_given_up() {
    for (proxy, expected) in [
        ("http://", "waiting for the proxy's answer to CONNECT"),
        (
            "socks5h://",
            "waiting for the proxy's answer to the greeting",
        ),
    ] {
        let (address, _server) = serve(|mut stream| async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
        .await;
        let url: Url = "tcp://target.example:7".parse().unwrap();
        let settings = through(&format!("{proxy}{address}"), hasty());
        let error = open(&url, &settings, &Untold).await.unwrap_err();
        assert!(
            matches!(&error, DialError::TimedOut { during, .. } if during == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_hangs_up_or_is_not_there_is_named() {
    for proxy in ["http://PROXY", "socks5h://PROXY"] {
        let (address, _server) = serve(|stream| async move { drop(stream) }).await;
        let error = refused(proxy, address).await;
        assert!(
            matches!(&error, DialError::Proxy { may_pass: true, .. }),
            "{error:?}"
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = refused(proxy, address).await;
        assert!(
            error
                .to_string()
                .starts_with("cannot connect to the proxy "),
            "{error}"
        );
    }
}

/// What a SOCKS server reads first: the greeting.
async fn take_greeting(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut methods = vec![0; usize::from(head[1])];
    stream.read_exact(&mut methods).await.unwrap();
    methods
}

async fn take_exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn socks_resolves_here_or_at_the_proxy() {
    let by_name = b"\x05\x01\x00\x03\x0etarget.example\x00\x07".to_vec();
    let by_address = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x07".to_vec();
    for (scheme, host, request) in [
        ("socks5h", "target.example", by_name),
        ("socks5", "localhost", by_address.clone()),
        ("socks5h", "127.0.0.1", by_address),
    ] {
        let (address, server) = serve(move |mut stream| async move {
            assert_eq!(take_greeting(&mut stream).await, [0]);
            stream.write_all(&[5, 0]).await.unwrap();
            take_exactly(&mut stream, &request).await;
            stream
                .write_all(b"\x05\x00\x00\x01\x0a\x00\x00\x01\x12\x34hello")
                .await
                .unwrap();
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let heard = Heard::default();
        assert_hello(
            &format!("tcp://{host}:7"),
            format!("{scheme}://{address}"),
            &heard,
        )
        .await;
        server.await.unwrap();
        let told = heard.scenes().join("\n");
        assert!(
            told.contains("reply 0: connected, from 10.0.0.1:4660"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn socks_by_password() {
    let (address, server) = serve(|mut stream| async move {
        assert_eq!(take_greeting(&mut stream).await, [0, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        take_exactly(&mut stream, b"\x01\x03ana\x06s3cret").await;
        stream.write_all(&[1, 0]).await.unwrap();
        take_exactly(&mut stream, b"\x05\x01\x00\x03\x01t\x00\x07").await;
        stream
            .write_all(b"\x05\x00\x00\x03\x02me\x00\x01hello")
            .await
            .unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let heard = Heard::default();
    assert_hello(
        "tcp://t:7",
        format!("socks5h://ana:s3cret@{address}"),
        &heard,
    )
    .await;
    server.await.unwrap();
    let told = heard.scenes().join("\n");
    assert!(
        !told.contains("s3cret") && told.contains("user name ana"),
        "{told}"
    );
}

#[tokio::test]
async fn socks_that_is_refused_says_why() {
    for (reply, expected, may_pass) in [
        (2, "does not let anybody through to target.example:7", false),
        (5, "was told that nobody listens on target.example:7", true),
        (8, "does not know addresses like that", false),
        (99, "refused target.example:7 (reply 99)", false),
    ] {
        let (address, _server) = serve(move |mut stream| async move {
            take_greeting(&mut stream).await;
            stream.write_all(&[5, 0]).await.unwrap();
            stream
                .write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
                .await
                .unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
        .await;
        let error = refused("socks5h://PROXY", address).await;
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.may_pass(), may_pass, "{error}");
    }
    for (proxy, answer, expected) in [
        (
            "socks5h://PROXY",
            &[5, 0xff][..],
            "wants a user name and password",
        ),
        ("socks5h://u:p@PROXY", &[5, 0xff][..], "takes neither"),
        ("socks5h://PROXY", &[5, 2][..], "was not offered"),
        (
            "socks5h://u:p@PROXY",
            &[5, 2, 1, 1][..],
            "does not accept this user name and password",
        ),
    ] {
        let (address, _server) = serve(move |mut stream| async move {
            take_greeting(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
        .await;
        let error = refused(proxy, address).await;
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn behind_connect_the_rest_is_as_without() {
    let (address, head) = serve(|mut stream| async move {
        let first = read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut record = [0; 3];
        stream.read_exact(&mut record).await.unwrap();
        (first, record)
    })
    .await;
    let url: Url = "wss://target.example".parse().unwrap();
    let settings = through(&format!("http://{address}"), patient());
    // The far end hangs up at our TLS greeting, which is all that this test needs of it.
    assert!(open(&url, &settings, &Untold).await.is_err());
    let (first, record) = head.await.unwrap();
    assert!(first.starts_with("CONNECT target.example:443 "), "{first}");
    assert_eq!(record, [0x16, 3, 1]);
}
