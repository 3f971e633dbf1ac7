//! The server's `bye` decides whether the client comes back; a server that breaks the protocol or falls silent is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{Peer, hasty};
use serde_json::json;
use taut_client::{Client, Error, Event, Options};

#[tokio::test]
async fn with_a_pause_it_comes_back_after_it() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    line.say(&json!({"bye":"restart","text":"updating","retry_ms":5}))
        .await;
    let Some(Event::Bye {
        code,
        text,
        retry_ms,
    }) = events.next().await
    else {
        panic!("no bye");
    };
    assert_eq!(
        (code.as_str(), text.as_str(), retry_ms),
        ("restart", "updating", Some(5))
    );
    let Some(Event::Disconnected {
        retry_ms: Some(ms), ..
    }) = events.next().await
    else {
        panic!("no pause");
    };
    assert!((5..=8).contains(&ms), "{ms}");
    let _line = peer.accept().await;
    assert!(matches!(events.next().await, Some(Event::Reconnected)));
    drop(client);
}

#[tokio::test]
async fn without_a_pause_it_stays_away() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    line.say(&json!({"bye":"banned","text":"go"})).await;
    assert!(matches!(
        events.next().await,
        Some(Event::Bye { retry_ms: None, .. })
    ));
    assert!(matches!(
        events.next().await,
        Some(Event::Disconnected { retry_ms: None, .. })
    ));
    assert!(events.next().await.is_none());
    assert!(matches!(client.who("lobby").await, Err(Error::Bye { code, .. }) if code == "banned"));
}

#[tokio::test]
async fn whoever_is_told_not_to_reconnect_does_not() {
    let peer = Peer::listen().await;
    let options = Options {
        reconnect: false,
        ..hasty()
    };
    let (_client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    drop(peer.accept().await);
    let Some(Event::Disconnected {
        error,
        retry_ms: None,
    }) = events.next().await
    else {
        panic!("not disconnected");
    };
    assert!(matches!(error, Error::Lost { .. }));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn what_is_no_protocol_ends_for_good() {
    for nonsense in [
        "hello\n",
        "[1,2]\n",
        "{\"room\":5,\"at\":\"e-1\",\"from\":\"bo\",\"event\":\"message\",\"data\":1}\n",
        "\u{7f}\u{0}\n",
    ] {
        let peer = Peer::listen().await;
        let (_client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
        let mut line = peer.accept().await;
        line.say_raw(nonsense).await;
        let Some(Event::Disconnected {
            error,
            retry_ms: None,
        }) = events.next().await
        else {
            panic!("not disconnected by {nonsense}");
        };
        assert!(matches!(error, Error::Violation(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_unit_that_is_too_large_ends_the_connection() {
    let peer = Peer::listen().await;
    let options = Options {
        unit_bytes_max: 1_000,
        ..hasty()
    };
    let (_client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let mut line = peer.accept().await;
    line.say_raw(&format!("{{\"x\":\"{}\"}}\n", "y".repeat(2_000)))
        .await;
    let event = events.next().await;
    assert!(
        matches!(
            event,
            Some(Event::Disconnected {
                error: Error::Violation(_),
                ..
            })
        ),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_silent_server_is_asked_and_then_left() {
    let peer = Peer::listen().await;
    let options = Options {
        quiet_ms_max: 40,
        pong_ms_max: 200,
        ..hasty()
    };
    let (_client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let mut line = peer.accept().await;
    let asked = line.hear().await;
    assert!(asked.get("ping").is_some(), "{asked}");
    line.say(&json!({"ok":"ping","ref":asked["ref"]})).await;
    // Asked again, and not answered this time.
    line.hear().await;
    let event = events.next().await;
    assert!(
        matches!(
            event,
            Some(Event::Disconnected {
                error: Error::Lost { .. },
                ..
            })
        ),
        "{event:?}"
    );
}
