//! Requests run side by side; each gets the server's answer or the reason why there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::time::Duration;

use peer::{Peer, hasty};
use serde_json::json;
use taut_client::{
    Arguments, Body, Client, Error, Event, Expect, History, Join, Options, Publish, Retry,
};

#[tokio::test]
async fn publishes_leave_in_order_before_any_is_answered() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let mut acks = Vec::new();
    for number in 0..100 {
        let publish = Publish::to("lobby", number.to_string())
            .event("count")
            .key("k");
        acks.push(client.begin_publish(publish).await.unwrap());
    }
    let mut asked = Vec::new();
    for number in 0..100 {
        let heard = line.hear().await;
        assert_eq!(heard["data"], number.to_string());
        assert_eq!(
            (&heard["publish"], &heard["event"], &heard["key"]),
            (&json!("lobby"), &json!("count"), &json!("k"))
        );
        asked.push(heard);
    }
    // Answers are told apart by their reference, not by their order.
    for (number, heard) in asked.iter().enumerate().rev() {
        line.say(&json!({"ok":"publish","ref":heard["ref"],"at":format!("e-{number}")}))
            .await;
    }
    for (number, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.wait().await.unwrap().at.as_str(), format!("e-{number}"));
    }
}

#[tokio::test]
async fn bodies_travel_as_what_they_are() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    client
        .begin_publish(Publish::to("a", "two\nlines"))
        .await
        .unwrap();
    client
        .begin_publish(Publish::to("a", Body::json("{\"x\": 1.50}\n").unwrap()))
        .await
        .unwrap();
    client
        .begin_publish(Publish::to("a", Body::Binary(vec![0, 255])))
        .await
        .unwrap();
    assert_eq!(line.hear().await["data"], "two\nlines");
    assert_eq!(line.hear().await["data"], json!({"x": 1.5}));
    assert_eq!(line.hear().await["base64"], "AP8=");
    assert!(Body::json("{").is_err() && Body::json("1 2").is_err());
}

#[tokio::test]
async fn a_refusal_says_whether_to_try_again() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    for (retry_ms, retry) in [
        (json!(1500), Retry::After(Duration::from_millis(1_500))),
        (json!(null), Retry::Never),
    ] {
        let ack = client
            .begin_publish(Publish::to("secret", "x"))
            .await
            .unwrap();
        let asked = line.hear().await;
        let mut answer = json!({"error":"forbidden","ref":asked["ref"],"text":"not you"});
        if !retry_ms.is_null() {
            answer["retry_ms"] = retry_ms;
        }
        line.say(&answer).await;
        let error = ack.wait().await.unwrap_err();
        assert!(
            matches!(&error, Error::Refused { code, text, .. } if code == "forbidden" && text == "not you")
        );
        assert_eq!(error.retry(), retry);
    }
    line.say(&json!({"error":"bad-json","text":"what?"})).await;
    assert!(matches!(events.next().await, Some(Event::Refused(_))));
}

#[tokio::test]
async fn who_and_history_are_read() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let (roster, ()) = tokio::join!(client.who("lobby"), async {
        let asked = line.hear().await;
        assert_eq!(asked["who"], "lobby");
        line.say(
            &json!({"ok":"who","ref":asked["ref"],"room":"lobby","count":2,
            "members":[{"name":"ana","door":"text","id":"1"}]}),
        )
        .await;
    });
    let roster = roster.unwrap();
    assert_eq!((roster.count, roster.members.len()), (2, 1));
    assert_eq!(roster.members[0].name, "ana");
    let (page, ()) = tokio::join!(
        client.history(History::of("lobby").rewind(5).limit(2)),
        async {
            let asked = line.hear().await;
            assert_eq!(
                (&asked["history"], &asked["rewind"], &asked["limit"]),
                (&json!("lobby"), &json!(5), &json!(2))
            );
            line.say(&json!({"ok":"history","ref":asked["ref"],"room":"lobby","at":"e-2","complete":false,"from":"e-1",
            "messages":[{"room":"lobby","at":"e-2","from":"bo","event":"message","time":7,"data":{"a":[1, 2]}}]})).await;
        }
    );
    let page = page.unwrap();
    assert_eq!(
        (page.at.as_str(), page.incomplete_from.unwrap().as_str()),
        ("e-2", "e-1")
    );
    assert!(matches!(&page.messages[0].body, Body::Json(json) if json.get() == "{\"a\":[1,2]}"));
    assert_eq!(page.messages[0].time_ms, 7);
}

#[tokio::test]
async fn arguments_go_out_and_come_in_with_their_attachments() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let (joined, _) = tokio::join!(client.join("lobby"), line.take_join("e-0"));
    joined.unwrap();
    let array = r#"["e2",{"file":{"base64":"AAH/"}}]"#;
    let arguments = Arguments::from_json(array).unwrap();
    let (published, ()) = tokio::join!(
        client.publish(Publish::to("lobby", arguments.clone()).event("move")),
        async {
            let asked = line.hear().await;
            assert_eq!(
                asked["args"],
                serde_json::from_str::<serde_json::Value>(array).unwrap()
            );
            line.say(&json!({"ok":"publish","ref":asked["ref"],"at":"e-1"}))
                .await;
        }
    );
    published.unwrap();
    for said in [
        json!(["e2", {"file": {"base64": "AAH/"}}]),
        json!([{"base64": "not that"}]),
    ] {
        line.say(
            &json!({"room":"lobby","at":"e-2","from":"bo","event":"move","time":7,"args":said}),
        )
        .await;
        let Some(Event::Message(message)) = events.next().await else {
            panic!("a message");
        };
        let Body::Args(heard) = message.body else {
            panic!("{message:?}");
        };
        assert_eq!(heard.to_json(), said.to_string());
        if heard == arguments {
            assert_eq!(heard.attachments(), [[0, 1, 255]]);
        } else {
            assert!(heard.attachments().is_empty());
        }
    }
    for wrong in ["{}", "[", r#"[{"base64":"not that"}]"#] {
        assert!(matches!(
            Arguments::from_json(wrong),
            Err(Error::Unsendable(_))
        ));
    }
}

#[tokio::test]
async fn a_lost_connection_answers_what_was_under_way() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let ack = client
        .begin_publish(Publish::to("lobby", "x"))
        .await
        .unwrap();
    line.hear().await;
    drop(line);
    assert!(matches!(ack.wait().await, Err(Error::Lost { .. })));
    // What is asked meanwhile waits for the next connection.
    let ack = client
        .begin_publish(Publish::to("lobby", "y"))
        .await
        .unwrap();
    let mut line = peer.accept().await;
    let asked = line.hear().await;
    assert_eq!(asked["data"], "y");
    line.say(&json!({"ok":"publish","ref":asked["ref"],"at":"e-1","duplicate":true}))
        .await;
    assert!(ack.wait().await.unwrap().duplicate);
}

#[tokio::test]
async fn no_answer_in_time_is_an_error() {
    let peer = Peer::listen().await;
    let options = Options {
        answer_ms_max: 50,
        ..hasty()
    };
    let (client, _events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let _line = peer.accept().await;
    assert_eq!(
        client.who("lobby").await,
        Err(Error::NoAnswer { waited_ms: 50 })
    );
}

#[tokio::test]
async fn after_the_end_every_call_says_why() {
    let peer = Peer::listen().await;
    let (client, mut events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let ack = client
        .begin_publish(Publish::to("lobby", "x"))
        .await
        .unwrap();
    line.hear().await;
    client.close().await;
    assert_eq!(ack.wait().await, Err(Error::Closed));
    assert_eq!(client.who("lobby").await, Err(Error::Closed));
    assert!(events.next().await.is_none());
    line.hear_the_end().await;
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_ignored() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    line.say_raw("{\"ok\":\"publish\",\"ref\":99,\"at\":\"e-1\"}\n{\"ok\":\"ping\"}\n{\"ok\":\"ping\",\"ref\":\"x\"}\n").await;
    line.say_raw("{\"something\":\"new\"}\n\n").await;
    let (pong, ()) = tokio::join!(client.ping(), async {
        let asked = line.hear().await;
        line.say(&json!({"ok":"ping","ref":asked["ref"]})).await;
    });
    pong.unwrap();
}

#[tokio::test]
async fn what_is_set_is_read_and_changed_under_its_version() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let set = |at: &str| json!({"room":"r","at":at,"from":"ana","event":"message","key":"k","time":1,"data":"v"});
    let asking = async {
        let found = client.get("r", "k").await.unwrap().unwrap();
        assert_eq!((found.at.as_str(), found.ends_key()), ("e-3", false));
        assert!(client.get("r", "other").await.unwrap().is_none());
        let state = client.state("r").await.unwrap();
        assert_eq!((state.at.as_str(), state.entries.len()), ("e-9", 1));
        let deletion = Publish::deletion("r", "k").expect(Expect::At(found.at));
        assert_eq!(client.publish(deletion).await.unwrap().at.as_str(), "e-10");
        let absent = Publish::to("r", "w")
            .key("k")
            .expect(Expect::Absent)
            .ttl_ms(5_000);
        let error = client.publish(absent).await.unwrap_err();
        assert!(matches!(error, Error::Refused { code, .. } if code == "unexpected"));
    };
    let answering = async {
        let mut answer = async |mut answer: serde_json::Value| {
            let asked = line.hear().await;
            answer["ref"] = asked["ref"].clone();
            line.say(&answer).await;
            asked
        };
        let mut got = set("e-3");
        got["ok"] = json!("get");
        assert_eq!(answer(got).await["get"], "r");
        answer(json!({"error":"no-key","text":"nothing is set"})).await;
        let state = json!({"ok":"state","room":"r","at":"e-9","state":[set("e-3")]});
        assert_eq!(answer(state).await["state"], "r");
        let asked = answer(json!({"ok":"delete","at":"e-10"})).await;
        assert_eq!(
            (&asked["delete"], &asked["key"], &asked["expect"]),
            (&json!("r"), &json!("k"), &json!("e-3"))
        );
        let asked = answer(json!({"error":"unexpected","text":"no"})).await;
        assert_eq!(asked.get("expect"), Some(&json!(null)));
        assert_eq!(asked["ttl_ms"], 5_000);
    };
    tokio::join!(asking, answering);
}

#[tokio::test]
async fn a_batch_is_one_request_and_holds_messages_only() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let messages = [
        Publish::to("ignored", "one").event("first"),
        Publish::to("", Body::Binary(vec![0, 255]))
            .key("k")
            .ttl_ms(5),
    ];
    let ack = client
        .begin_publish(Publish::batch("r", messages).id("b-1"))
        .await
        .unwrap();
    let asked = line.hear().await;
    assert_eq!(
        (&asked["publish"], &asked["id"]),
        (&json!("r"), &json!("b-1"))
    );
    assert_eq!(
        asked["batch"],
        json!([{"data":"one","event":"first"},{"base64":"AP8=","key":"k","ttl_ms":5}])
    );
    line.say(&json!({"ok":"publish","ref":asked["ref"],"at":"e-2","count":2}))
        .await;
    assert_eq!(ack.wait().await.unwrap().at.as_str(), "e-2");
    let nested = Publish::batch("r", [Publish::deletion("r", "k")]);
    assert!(matches!(
        client.publish(nested).await,
        Err(Error::Unsendable(_))
    ));
}

#[tokio::test]
async fn a_join_brings_the_state_and_asks_for_it_again_on_the_way_back() {
    let peer = Peer::listen().await;
    let (client, _events) = Client::connect_with(&peer.url(), hasty()).await.unwrap();
    let mut line = peer.accept().await;
    let joining = tokio::spawn(async move {
        let joined = client
            .join(Join::room("r").rewind_ms(600_000).state())
            .await;
        (client, joined)
    });
    let asked = line.hear().await;
    assert_eq!(
        (&asked["rewind"], &asked["state"]),
        (&json!("10m"), &json!(true))
    );
    let state = json!([{"room":"r","at":"e-1","from":"ana","event":"message","key":"k","time":1,"data":"v"}]);
    line.say(&json!({"ok":"join","ref":asked["ref"],"room":"r","at":"e-3","complete":true,"state":state}))
        .await;
    let (_client, joined) = joining.await.unwrap();
    assert_eq!(joined.unwrap().state.unwrap().len(), 1);
    drop(line);
    let mut line = peer.accept().await;
    let asked = line.hear().await;
    assert_eq!(
        (&asked["since"], &asked["state"]),
        (&json!("e-3"), &json!(true))
    );
}

#[tokio::test]
async fn what_goes_by_the_lane_latest_has_no_position_and_no_id() {
    let peer = Peer::listen().await;
    let options = Options {
        name: Some("ana".into()),
        ..hasty()
    };
    let (client, mut events) = Client::connect_with(&peer.url(), options).await.unwrap();
    let mut line = peer.accept().await;
    let said = client
        .begin_latest(Publish::to("board", "1").key("ana"))
        .await
        .unwrap();
    let asked = line.hear().await;
    assert_eq!(
        (&asked["lane"], &asked["as"], &asked["key"], &asked["id"]),
        (&json!("latest"), &json!("ana"), &json!("ana"), &json!(null))
    );
    line.say(&json!({"ok":"publish","ref":asked["ref"],"lane":"latest"}))
        .await;
    said.wait().await.unwrap();
    for unsendable in [
        Publish::to("board", "1").id("i"),
        Publish::to("board", "1").key("k").ttl_ms(5),
        Publish::to("board", "1").key("k").expect(Expect::Absent),
        Publish::deletion("board", "k"),
        Publish::batch("board", [Publish::to("", "1")]),
    ] {
        let error = client.say_latest(unsendable).await.unwrap_err();
        assert!(matches!(error, Error::Unsendable(_)), "{error}");
    }
    let joining = client.join(Join::room("board"));
    let answering = async {
        let asked = line.hear().await;
        line.say(&json!({"room":"board","lane":"latest","from":"bo","event":"message","time":1,"data":"too early"}))
            .await;
        line.say(
            &json!({"ok":"join","ref":asked["ref"],"room":"board","at":"e-1","complete":true}),
        )
        .await;
        line.say(&json!({"room":"board","lane":"latest","from":"bo","event":"cursor","key":"bo","time":2,"data":{"x":1}}))
            .await;
    };
    let (joined, ()) = tokio::join!(joining, answering);
    joined.unwrap();
    let Some(Event::Latest(heard)) = events.next().await else {
        panic!("nothing was heard");
    };
    assert_eq!(
        (
            heard.from.as_str(),
            heard.event.as_str(),
            heard.key.as_deref(),
            heard.time_ms
        ),
        ("bo", "cursor", Some("bo"), 2)
    );
    assert!(matches!(heard.body, Body::Json(json) if json.get() == "{\"x\":1}"));
}
