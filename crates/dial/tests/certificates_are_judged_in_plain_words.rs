//! Whom TLS trusts, and what it says of everybody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod peer;

use peer::certificates::{Authority, Paper, file, serve, serve_version, serve_with};
use peer::{Heard, hasty, patient};
use taut_dial::{DialError, Settings, Tls, TlsFault, Untold, Url, broken, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn with(tls: Tls) -> Settings {
    Settings { tls, ..patient() }
}

fn trusting(pem: &str) -> Settings {
    with(Tls {
        authorities: vec![file("ca.pem", pem)],
        ..Tls::default()
    })
}

fn url(port: u16) -> Url {
    format!("tls://localhost:{port}").parse().unwrap()
}

async fn hello(url: &Url, settings: &Settings, heard: &Heard) {
    let mut opened = open(url, settings, heard).await.unwrap();
    let mut hello = [0; 5];
    opened.stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
}

async fn fault(url: &Url, settings: &Settings) -> (TlsFault, String, String) {
    let error = open(url, settings, &Untold).await.unwrap_err();
    assert!(!error.may_pass());
    match error {
        DialError::Tls {
            fault, text, hint, ..
        } => (fault, text, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whom_a_given_authority_vouches_for_is_trusted() {
    let authority = Authority::new("the authority");
    let port = serve(authority.vouch(&["localhost", "127.0.0.1"]), None).await;
    let heard = Heard::default();
    let settings = trusting(&authority.pem);
    hello(&url(port), &settings, &heard).await;
    let done = heard.scene("TlsDone");
    for part in [
        "TLS 1.3",
        "TLS13_",
        "key_exchange: \"X25519",
        "CN=the authority",
        "names: [\"localhost\", \"127.0.0.1\"]",
        "resumed: false",
        "EC, 256 bits",
        "ecdsa-with-SHA256",
    ] {
        assert!(done.contains(part), "{part}: {done}");
    }
    assert!(
        heard
            .scene("TlsBegun")
            .contains("server_name: \"localhost\"")
    );
    assert!(!heard.has("TlsDistrusted"));
    let by_address: Url = format!("tls://127.0.0.1:{port}").parse().unwrap();
    hello(&by_address, &settings, &Heard::default()).await;
}

#[tokio::test]
async fn whom_nobody_known_vouches_for_is_not() {
    let authority = Authority::new("somebody\u{202e}else");
    let port = serve(authority.vouch(&["localhost"]), None).await;
    let (kind, text, hint) = fault(&url(port), &patient()).await;
    assert_eq!(kind, TlsFault::UnknownAuthority);
    assert!(
        text.contains("vouched for by `CN=somebody\\u{202e}else`"),
        "{text}"
    );
    assert!(
        hint.contains("--ca FILE") && hint.contains("--insecure"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_until_it_is_given() {
    for is_ca in [false, true] {
        let paper = Paper::self_signed(&["localhost"], is_ca);
        let pem = paper.pem.clone();
        let port = serve(paper, None).await;
        let (kind, text, hint) = fault(&url(port), &patient()).await;
        assert_eq!(kind, TlsFault::SelfSigned, "{text}");
        assert!(
            text.contains("self-signed") && hint.contains("--ca FILE"),
            "{text} {hint}"
        );
        hello(&url(port), &trusting(&pem), &Heard::default()).await;
        let elsewhere: Url = format!("tls://127.0.0.1:{port}").parse().unwrap();
        let (kind, ..) = fault(&elsewhere, &trusting(&pem)).await;
        assert_eq!(kind, TlsFault::WrongName);
    }
}

#[tokio::test]
async fn a_wrong_name_lists_the_right_ones() {
    let authority = Authority::new("a");
    let port = serve(authority.vouch(&["a.example", "*.b.example"]), None).await;
    let (kind, text, hint) = fault(&url(port), &trusting(&authority.pem)).await;
    assert_eq!(kind, TlsFault::WrongName);
    assert!(
        text.contains("for a.example, *.b.example, not for localhost"),
        "{text}"
    );
    assert!(hint.contains("--server-name"), "{hint}");
    let mut settings = trusting(&authority.pem);
    settings.tls.server_name = Some("x.b.example".into());
    hello(&url(port), &settings, &Heard::default()).await;
    let nameless = serve(authority.vouch(&[]), None).await;
    let (_, text, _) = fault(&url(nameless), &trusting(&authority.pem)).await;
    assert!(text.contains("for no host at all"), "{text}");
}

#[tokio::test]
async fn a_certificate_out_of_its_time_says_when_its_time_is() {
    let authority = Authority::new("a");
    let old = authority.vouch_as(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let early = authority.vouch_as(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2990, 1, 1);
        params.not_after = rcgen::date_time_ymd(2999, 1, 1);
    });
    let (kind, text, _) = fault(&url(serve(old, None).await), &trusting(&authority.pem)).await;
    assert_eq!(kind, TlsFault::Expired);
    assert!(
        text.contains("expired, on 2021-02-03 00:00:00 UTC"),
        "{text}"
    );
    let (kind, text, _) = fault(&url(serve(early, None).await), &trusting(&authority.pem)).await;
    assert_eq!(kind, TlsFault::NotYetValid);
    assert!(text.contains("only from 2990-01-01"), "{text}");
}

#[tokio::test]
async fn insecure_lets_everything_pass_and_still_tells_why_it_should_not() {
    let paper = Paper::self_signed(&["elsewhere.example"], false);
    let port = serve(paper, None).await;
    let heard = Heard::default();
    let settings = with(Tls {
        insecure: true,
        ..Tls::default()
    });
    hello(&url(port), &settings, &heard).await;
    let distrusted = heard.scene("TlsDistrusted");
    assert!(
        distrusted.contains("self-signed") && distrusted.contains("passed: true"),
        "{distrusted}"
    );
    assert!(heard.scene("TlsDone").contains("elsewhere.example"));
    assert!(heard.scene("TlsBegun").contains("verifying: false"));
}

#[tokio::test]
async fn a_peer_that_wants_to_know_us_is_shown_our_certificate() {
    let authority = Authority::new("a");
    let clients = Authority::new("clients");
    let port = serve(authority.vouch(&["localhost"]), Some(&clients)).await;
    let me = clients.vouch(&["me"]);
    let mut settings = trusting(&authority.pem);
    settings.tls.identity = Some((file("me.pem", &me.pem), file("me.key", &me.key_pem)));
    let heard = Heard::default();
    hello(&url(port), &settings, &heard).await;
    assert!(heard.scene("TlsIdentityAsked").contains("shown: true"));
}

#[tokio::test]
async fn a_peer_that_wants_to_know_us_in_vain_says_so() {
    let authority = Authority::new("a");
    let clients = Authority::new("clients");
    let stranger = Authority::new("strangers").vouch(&["me"]);
    let identity = (
        file("me.pem", &stranger.pem),
        file("me.key", &stranger.key_pem),
    );
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let paper = authority.vouch(&["localhost"]);
        let port = serve_version(paper, Some(&clients), version).await;
        for (identity, expected) in [
            (None, "no certificate was shown"),
            (
                Some(identity.clone()),
                "does not accept your certificate (alert",
            ),
        ] {
            let mut settings = trusting(&authority.pem);
            settings.tls.identity = identity;
            // TLS 1.3 judges clients after the handshake, so the verdict comes with the first read.
            let error = match open(&url(port), &settings, &Untold).await {
                Err(error) => error,
                Ok(mut opened) => {
                    let error = opened.stream.read_u8().await.unwrap_err();
                    broken(&error, "localhost", "reading")
                }
            };
            let DialError::Tls {
                fault: TlsFault::IdentityWanted,
                text,
                hint,
                ..
            } = &error
            else {
                panic!("{error:?}");
            };
            assert!(text.contains(expected), "{text}");
            assert!(hint.as_ref().unwrap().contains("--cert FILE"));
        }
    }
}

#[tokio::test]
async fn a_peer_without_tls_is_shown_by_its_first_words() {
    let (address, _server) = peer::serve(|mut stream| async move {
        stream
            .write_all(b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let (kind, text, hint) = fault(&url(address.port()), &patient()).await;
    assert_eq!(kind, TlsFault::NotTls);
    assert!(
        text.contains("sent `220 mail.example ESMTP\\r\\n`"),
        "{text}"
    );
    assert!(hint.contains("tcp://"), "{hint}");
}

#[tokio::test]
async fn an_echo_is_recognised() {
    let (address, _server) = peer::serve(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await
    })
    .await;
    let (kind, text, _) = fault(&url(address.port()), &patient()).await;
    assert_eq!(kind, TlsFault::NotTls);
    assert!(text.contains("echo server"), "{text}");
}

#[tokio::test]
async fn a_peer_that_hangs_up_or_says_nothing_is_told_apart() {
    let (address, _server) = peer::serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let error = open(&url(address.port()), &patient(), &Untold)
        .await
        .unwrap_err();
    assert!(matches!(&error, DialError::Lost { .. }), "{error:?}");
    assert!(error.may_pass());
    let (address, _server) = peer::serve(|mut stream| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    let error = open(&url(address.port()), &hasty(), &Untold)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("within 100 ms, while waiting for the peer's part of the TLS handshake"),
        "{error}"
    );
}

#[tokio::test]
async fn protocols_are_offered_and_the_choice_is_told() {
    let authority = Authority::new("a");
    let port = serve_with(authority.vouch(&["localhost"]), None, |config| {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    })
    .await;
    let heard = Heard::default();
    let url: Url = format!("wss://localhost:{port}").parse().unwrap();
    open(&url, &trusting(&authority.pem), &heard).await.unwrap();
    assert!(heard.scene("TlsDone").contains("alpn: Some(\"http/1.1\")"));
    let mut settings = trusting(&authority.pem);
    settings.tls.alpn = vec![b"mqtt".to_vec()];
    let (kind, text, _) = fault(&url, &settings).await;
    assert_eq!(kind, TlsFault::Disagreement);
    assert!(
        text.contains("none of the protocols that were offered"),
        "{text}"
    );
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anybody_is_called() {
    let mine = Paper::self_signed(&["me"], false);
    let other = Paper::self_signed(&["other"], false);
    let good = file("me.pem", &mine.pem);
    let identity = |key: &str| Tls {
        identity: Some((good.clone(), file("me.key", key))),
        ..Tls::default()
    };
    let authority = |pem: &str| Tls {
        authorities: vec![file("ca.pem", pem)],
        ..Tls::default()
    };
    for (tls, expected) in [
        (
            Tls {
                authorities: vec!["/nowhere.pem".into()],
                ..Tls::default()
            },
            "cannot use /nowhere.pem: no such file or directory",
        ),
        (authority("hello"), "holds no certificate"),
        (
            authority("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "cannot be read",
        ),
        (
            authority("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"),
            "cannot be read",
        ),
        (identity("hello"), "holds no private key"),
        (
            identity(
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            ),
            "locked by a password",
        ),
        (
            identity(&other.key_pem),
            "not the key of the certificate in",
        ),
    ] {
        let error = open(&url(1), &with(tls), &Untold).await.unwrap_err();
        assert!(matches!(&error, DialError::File { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
