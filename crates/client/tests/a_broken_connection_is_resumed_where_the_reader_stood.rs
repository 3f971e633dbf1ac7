//! After a reconnect every room is joined again from the last position that was handed to the reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{Peer, hasty};
use serde_json::{Value, json};
use taut_client::{Body, Client, Event, Events, Join, Position, Publish};

async fn next(events: &mut Events) -> Event {
    events.next().await.expect("the events ended")
}

async fn next_text(events: &mut Events) -> (String, String) {
    match next(events).await {
        Event::Message(message) => match message.body {
            Body::Text(text) => (message.at.to_string(), text),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn pass_reconnect(events: &mut Events) {
    loop {
        match next(events).await {
            Event::Disconnected {
                retry_ms: Some(_), ..
            } => {}
            Event::Reconnected => return,
            other => panic!("{other:?}"),
        }
    }
}

async fn join(client: &Client, join: Join) -> tokio::task::JoinHandle<()> {
    let client = client.clone();
    tokio::spawn(async move {
        client.join(join).await.unwrap();
    })
}

#[tokio::test]
async fn from_the_last_message() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = join(&client, Join::room("lobby").name("ana").presence()).await;
    let asked = line.take_join("e-4").await;
    assert_eq!(asked["join"], "lobby");
    assert_eq!(asked["since"], Value::Null);
    joining.await.unwrap();
    line.say_message("lobby", "e-5", "one").await;
    assert_eq!(next_text(&mut events).await, ("e-5".into(), "one".into()));
    drop(line);

    let mut line = peer.accept().await;
    let asked = line.take_join("e-7").await;
    assert_eq!(
        (
            &asked["join"],
            &asked["since"],
            &asked["as"],
            &asked["presence"]
        ),
        (&json!("lobby"), &json!("e-5"), &json!("ana"), &json!(true))
    );
    line.say_message("lobby", "e-6", "two").await;
    line.say_message("lobby", "e-7", "three").await;
    pass_reconnect(&mut events).await;
    assert!(
        matches!(next(&mut events).await, Event::Rejoined(joined) if joined.at.as_str() == "e-7")
    );
    assert_eq!(next_text(&mut events).await.1, "two");
    assert_eq!(next_text(&mut events).await.1, "three");
}

#[tokio::test]
async fn from_the_head_of_a_room_that_has_said_nothing() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = join(&client, "lobby".into()).await;
    line.take_join("e-4").await;
    joining.await.unwrap();
    drop(line);
    let mut line = peer.accept().await;
    assert_eq!(line.take_join("e-4").await["since"], "e-4");
    pass_reconnect(&mut events).await;
}

#[tokio::test]
async fn from_the_asked_position_while_nothing_has_come() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = join(&client, Join::room("lobby").since(Position::new("e-2"))).await;
    assert_eq!(line.take_join("e-4").await["since"], "e-2");
    joining.await.unwrap();
    drop(line);
    let mut line = peer.accept().await;
    assert_eq!(line.take_join("e-4").await["since"], "e-2");
    pass_reconnect(&mut events).await;
}

#[tokio::test]
async fn what_cannot_be_recovered_is_a_gap() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = join(&client, "lobby".into()).await;
    line.take_join("e-4").await;
    joining.await.unwrap();
    drop(line);
    let mut line = peer.accept().await;
    let asked = line.hear().await;
    line.say(&json!({"ok":"join","ref":asked["ref"],"room":"lobby","at":"f-9","complete":false,"from":"f-8"})).await;
    pass_reconnect(&mut events).await;
    let Event::Gap { room, after, at } = next(&mut events).await else {
        panic!("no gap");
    };
    assert_eq!(
        (room.as_str(), after.unwrap().as_str(), at.as_str()),
        ("lobby", "e-4", "f-8")
    );
    assert!(matches!(next(&mut events).await, Event::Rejoined(_)));
}

#[tokio::test]
async fn an_own_message_does_not_come_back_as_somebody_elses() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = join(&client, "lobby".into()).await;
    line.take_join("e-4").await;
    joining.await.unwrap();
    let ack = client
        .begin_publish(Publish::to("lobby", "mine"))
        .await
        .unwrap();
    let asked = line.hear().await;
    line.say(&json!({"ok":"publish","ref":asked["ref"],"at":"e-5"}))
        .await;
    assert_eq!(ack.wait().await.unwrap().at.as_str(), "e-5");
    drop(line);
    let mut line = peer.accept().await;
    assert_eq!(line.take_join("e-6").await["since"], "e-4");
    line.say_message("lobby", "e-5", "mine").await;
    line.say_message("lobby", "e-6", "theirs").await;
    pass_reconnect(&mut events).await;
    assert!(matches!(next(&mut events).await, Event::Rejoined(_)));
    assert_eq!(next_text(&mut events).await.1, "theirs");
}

#[tokio::test]
async fn a_room_that_refuses_is_left_and_said() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = join(&client, "lobby".into()).await;
    line.take_join("e-4").await;
    joining.await.unwrap();
    drop(line);
    let mut line = peer.accept().await;
    let asked = line.hear().await;
    line.say(&json!({"error":"forbidden","ref":asked["ref"],"text":"not you"}))
        .await;
    pass_reconnect(&mut events).await;
    assert!(matches!(next(&mut events).await, Event::Left { room, .. } if room == "lobby"));
    line.say_message("lobby", "e-5", "late").await;
    drop(line);
    let mut line = peer.accept().await;
    let ping = tokio::spawn({
        let client = client.clone();
        async move { client.ping().await }
    });
    // Nothing is joined again: the first thing heard is the ping.
    let asked = line.hear().await;
    assert!(asked.get("ping").is_some(), "{asked}");
    line.say(&json!({"ok":"ping","ref":asked["ref"]})).await;
    ping.await.unwrap().unwrap();
}
