//! Publishes survive a server that breaks the connection before, within or after its answer: nothing is lost, nothing is published twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{Line, Peer, hasty};
use serde_json::{Value, json};
use taut_client::{Body, Client, Error, Event, Options, Publish, Retry};

fn named() -> Options {
    Options {
        name: Some("ana".into()),
        ..hasty()
    }
}

fn said(text: &str) -> Publish {
    Publish::to("lobby", text)
}

/// Hears a publish and takes it.
async fn take(line: &mut Line, at: &str) -> Value {
    let asked = line.hear().await;
    line.say(&json!({"ok":"publish","ref":asked["ref"],"at":at}))
        .await;
    asked
}

#[tokio::test]
async fn what_was_under_way_comes_again_under_the_same_id() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let mut line = peer.accept().await;
    let first = client.begin_publish(said("one")).await.unwrap();
    let second = client.begin_publish(said("two")).await.unwrap();
    let heard = [line.hear().await, line.hear().await];
    // In the middle of its answer.
    line.say_raw("{\"ok\":\"publish\",\"ref\":").await;
    drop(line);

    let mut line = peer.accept().await;
    let again = line.hear().await;
    assert_eq!(
        (&again["data"], &again["as"]),
        (&json!("one"), &json!("ana"))
    );
    assert_eq!(again["id"], heard[0]["id"]);
    line.say(&json!({"ok":"publish","ref":again["ref"],"at":"e-1","duplicate":true}))
        .await;
    let again = take(&mut line, "e-2").await;
    assert_eq!(
        (&again["data"], &again["id"]),
        (&json!("two"), &heard[1]["id"])
    );
    assert_ne!(heard[0]["id"], heard[1]["id"]);
    assert!(first.wait().await.unwrap().duplicate);
    assert_eq!(second.wait().await.unwrap().at.as_str(), "e-2");
}

#[tokio::test]
async fn what_is_begun_while_the_server_is_away_is_sent_in_order_when_it_is_back() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let line = peer.accept().await;
    let away = peer.leave();
    drop(line);
    let mut acks = Vec::new();
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    for number in 0..200 {
        acks.push(
            client
                .begin_publish(said(&number.to_string()))
                .await
                .unwrap(),
        );
    }
    let peer = away.come_back().await;
    let mut line = peer.accept().await;
    for number in 0..200 {
        let asked = take(&mut line, &format!("e-{number}")).await;
        assert_eq!(asked["data"], number.to_string());
    }
    for (number, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.wait().await.unwrap().at.as_str(), format!("e-{number}"));
    }
}

#[tokio::test]
async fn without_a_name_what_was_under_way_is_answered_and_what_was_not_sent_is_kept() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let sent = client.begin_publish(said("sent")).await.unwrap();
    let asked = line.hear().await;
    assert_eq!(asked["id"], Value::Null, "{asked}");
    let away = peer.leave();
    drop(line);
    assert!(matches!(sent.wait().await, Err(Error::Lost { .. })));
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    let kept = client.begin_publish(said("kept")).await.unwrap();
    let peer = away.come_back().await;
    let mut line = peer.accept().await;
    assert_eq!(take(&mut line, "e-1").await["data"], "kept");
    assert_eq!(kept.wait().await.unwrap().at.as_str(), "e-1");
}

#[tokio::test]
async fn more_than_the_bound_is_refused_at_once_and_may_be_tried_again() {
    let peer = Peer::listen().await;
    let options = Options {
        offline_messages_max: 3,
        offline_bytes_max: 1_000,
        ..named()
    };
    let (client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let line = peer.accept().await;
    let away = peer.leave();
    drop(line);
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    let mut acks = Vec::new();
    for text in ["1", "2"] {
        acks.push(client.begin_publish(said(text)).await.unwrap());
    }
    let error = client.publish(said(&"x".repeat(900))).await.unwrap_err();
    assert!(
        matches!(error, Error::Full { messages: 2, .. }),
        "{error:?}"
    );
    assert!(matches!(error.retry(), Retry::After(_)));
    acks.push(client.begin_publish(said("3")).await.unwrap());
    let error = client.publish(said("4")).await.unwrap_err();
    assert!(
        matches!(error, Error::Full { messages: 3, .. }),
        "{error:?}"
    );
    let peer = away.come_back().await;
    let mut line = peer.accept().await;
    for text in ["1", "2", "3"] {
        assert_eq!(take(&mut line, "e-1").await["data"], text);
    }
    for ack in acks {
        ack.wait().await.unwrap();
    }
    // With a connection there is space again.
    let (published, _) = tokio::join!(client.publish(said("4")), take(&mut line, "e-4"));
    published.unwrap();
}

#[tokio::test]
async fn what_waits_too_long_for_a_connection_is_answered_and_never_sent() {
    let peer = Peer::listen().await;
    let options = Options {
        offline_ms_max: 30,
        ..named()
    };
    let (client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let line = peer.accept().await;
    let away = peer.leave();
    drop(line);
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    let error = client.publish(said("late")).await.unwrap_err();
    assert_eq!(error, Error::NoAnswer { waited_ms: 30 });
    let peer = away.come_back().await;
    let mut line = peer.accept().await;
    let (published, asked) = tokio::join!(client.publish(said("now")), take(&mut line, "e-1"));
    published.unwrap();
    assert_eq!(asked["data"], "now");
}

#[tokio::test]
async fn a_server_that_takes_messages_and_never_answers_is_reported() {
    let peer = Peer::listen().await;
    let options = Options {
        answer_ms_max: 50,
        ..named()
    };
    let (client, _events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let mut line = peer.accept().await;
    let error = client.publish(said("one")).await.unwrap_err();
    assert_eq!(error, Error::NoAnswer { waited_ms: 50 });
    let asked = line.hear().await;
    // An answer that comes too late disturbs nobody.
    line.say(&json!({"ok":"publish","ref":asked["ref"],"at":"e-1"}))
        .await;
    let (published, _) = tokio::join!(client.publish(said("two")), take(&mut line, "e-2"));
    published.unwrap();
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_not_repeated() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let mut line = peer.accept().await;
    let ack = client.begin_publish(said("one")).await.unwrap();
    let asked = line.hear().await;
    line.say(&json!({"error":"too-fast","ref":asked["ref"],"text":"slow down","retry_ms":500}))
        .await;
    let error = ack.wait().await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Refused {
                retry_ms: Some(500),
                ..
            }
        ),
        "{error:?}"
    );
    drop(line);
    let mut line = peer.accept().await;
    let (published, asked) = tokio::join!(client.publish(said("two")), take(&mut line, "e-2"));
    published.unwrap();
    assert_eq!(asked["data"], "two");
}

#[tokio::test]
async fn a_goodbye_for_good_answers_all_that_waits() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let mut line = peer.accept().await;
    let ack = client.begin_publish(said("one")).await.unwrap();
    line.hear().await;
    line.say(&json!({"bye":"banned","text":"go"})).await;
    assert!(matches!(ack.wait().await, Err(Error::Bye { code, .. }) if code == "banned"));
    assert!(matches!(
        client.publish(said("two")).await,
        Err(Error::Bye { .. })
    ));
}

#[tokio::test]
async fn closing_answers_what_waits_for_a_connection() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let line = peer.accept().await;
    let _away = peer.leave();
    drop(line);
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    let ack = client.begin_publish(said("one")).await.unwrap();
    client.close().await;
    assert_eq!(ack.wait().await, Err(Error::Closed));
}

#[tokio::test]
async fn with_buffering_off_nothing_is_sent_twice_nor_kept() {
    let peer = Peer::listen().await;
    let options = Options {
        offline_messages_max: 0,
        ..named()
    };
    let (client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let mut line = peer.accept().await;
    let ack = client.begin_publish(said("one").id("mine")).await.unwrap();
    let plain = client.begin_publish(said("two")).await.unwrap();
    assert_eq!(line.hear().await["id"], "mine");
    assert_eq!(line.hear().await["id"], Value::Null);
    let _away = peer.leave();
    drop(line);
    assert!(matches!(ack.wait().await, Err(Error::Lost { .. })));
    assert!(matches!(plain.wait().await, Err(Error::Lost { .. })));
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    assert!(matches!(
        client.publish(said("three")).await,
        Err(Error::Full { .. })
    ));
}

#[tokio::test]
async fn an_own_message_whose_answer_was_lost_does_not_come_back_as_somebody_elses() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let mut line = peer.accept().await;
    let (joined, _) = tokio::join!(client.join("lobby"), line.take_join("e-4"));
    joined.unwrap();
    let ack = client.begin_publish(said("mine")).await.unwrap();
    let asked = line.hear().await;
    drop(line);

    let mut line = peer.accept().await;
    assert_eq!(line.take_join("e-6").await["since"], "e-4");
    let mine = json!({"room":"lobby","at":"e-5","from":"ana","event":"message","id":asked["id"],"time":1,"data":"mine"});
    line.say(&mine).await;
    line.say_message("lobby", "e-6", "theirs").await;
    let again = line.hear().await;
    assert_eq!(again["id"], asked["id"]);
    line.say(&json!({"ok":"publish","ref":again["ref"],"at":"e-5","duplicate":true}))
        .await;
    assert_eq!(ack.wait().await.unwrap().at.as_str(), "e-5");
    loop {
        match events.next().await.unwrap() {
            Event::Message(message) => {
                assert!(matches!(&message.body, Body::Text(text) if text == "theirs"));
                break;
            }
            Event::Gap { .. } => panic!("a gap"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_keeps_no_publish_waiting() {
    let peer = Peer::listen().await;
    // Nobody reads the events, and more of them come than the queue holds.
    let (client, _events) = Client::connect_with(&peer.url(), named()).await.unwrap();
    let mut line = peer.accept().await;
    let (joined, _) = tokio::join!(client.join("lobby"), line.take_join("e-0"));
    joined.unwrap();
    for number in 1..=1_100 {
        line.say_message("lobby", &format!("e-{number}"), "x").await;
    }
    let (published, _) = tokio::join!(client.publish(said("one")), take(&mut line, "e-2000"));
    published.unwrap();
    let _away = peer.leave();
    drop(line);
    let options = client.publish(said("two"));
    // Whether it waits for a connection or was under way: closing answers it.
    let (answer, ()) = tokio::join!(options, async {
        tokio::task::yield_now().await;
        client.close().await;
    });
    assert_eq!(answer, Err(Error::Closed));
}
