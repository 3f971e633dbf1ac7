//! Events have a bounded queue. Whoever does not read it slows the connection down; only while it awaits an answer are events
//! dropped, and then the gap is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{Line, Peer, hasty};
use serde_json::json;
use taut_client::{Client, Event, Events};

const MESSAGES: usize = 3_000;

async fn joined(peer: &Peer) -> (Client, Events, Line) {
    let (client, events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let (joined, _) = tokio::join!(client.join("lobby"), line.take_join("e-0"));
    joined.unwrap();
    (client, events, line)
}

async fn say_all(line: &mut Line) {
    for number in 1..=MESSAGES {
        line.say_message("lobby", &format!("e-{number}"), "x").await;
    }
}

#[tokio::test]
async fn whoever_reads_late_gets_everything() {
    let peer = Peer::listen().await;
    let (_client, mut events, mut line) = joined(&peer).await;
    say_all(&mut line).await;
    for number in 1..=MESSAGES {
        match events.next().await {
            Some(Event::Message(message)) => assert_eq!(message.at.as_str(), format!("e-{number}")),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_awaits_an_answer_instead_gets_it_and_the_gap() {
    let peer = Peer::listen().await;
    let (client, mut events, mut line) = joined(&peer).await;
    let (pong, ()) = tokio::join!(client.ping(), async {
        let asked = line.hear().await;
        say_all(&mut line).await;
        line.say(&json!({"ok":"ping","ref":asked["ref"]})).await;
    });
    pong.unwrap();
    // Every message is either there or within the one gap, and the gap stands where it belongs.
    let mut reached = 0;
    let mut gaps = 0;
    while reached < MESSAGES {
        match events.next().await {
            Some(Event::Message(message)) => {
                reached += 1;
                assert_eq!(message.at.as_str(), format!("e-{reached}"));
            }
            Some(Event::Gap { after, at, .. }) => {
                gaps += 1;
                assert_eq!(after.unwrap().as_str(), format!("e-{reached}"));
                reached = at.as_str()[2..].parse().unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gaps, 1);
}
