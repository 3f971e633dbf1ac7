//! What a request for a room asks for, by its method, its query and its conditions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_gate::http::{Action, BodyKind, Get, Poll, Publish, Site, route};
use taut_hub::{Expect, Lane, Position, Start};
use taut_wire::http::{Limits, parse_request};
use taut_wire::native::Taken;

fn action(head: &str) -> Action {
    let head = format!("{head}\r\nHost: localhost\r\n\r\n");
    let (request, _) = parse_request(head.as_bytes(), &Limits::default())
        .unwrap()
        .unwrap();
    let site = Site {
        loopback_only: true,
        hosts: Vec::new(),
        origins: Vec::new(),
        wait_ms_max: 60_000,
        compression: false,
        files: false,
        engines: Vec::new(),
        cookie: String::new(),
    };
    route(&request, &site).action
}

fn refusal(head: &str) -> (u16, &'static str) {
    match action(head) {
        Action::Refuse(problem) => (problem.status, problem.code),
        other => panic!("{head}: {other:?}"),
    }
}

fn publish(head: &str) -> Publish {
    match action(head) {
        Action::Publish(publish) => publish,
        other => panic!("{head}: {other:?}"),
    }
}

fn poll(target: &str) -> Poll {
    match action(&format!("GET {target} HTTP/1.1")) {
        Action::Read(poll) => poll,
        other => panic!("{target}: {other:?}"),
    }
}

fn at(text: &str) -> Position {
    text.parse().unwrap()
}

#[test]
fn a_put_sets_and_a_post_publishes() {
    let set = publish("PUT /r/a?key=k&ttl=30s&as=ana HTTP/1.1");
    assert_eq!(
        (set.key.as_deref(), set.ttl_ms, set.taken),
        (Some("k"), Some(30_000), Taken::Set)
    );
    let said = publish("POST /r/a HTTP/1.1");
    assert_eq!(
        (said.key, said.expect, said.taken),
        (None, None, Taken::Publish)
    );
    let batch = publish("POST /r/a?batch HTTP/1.1\r\nContent-Type: application/x-ndjson");
    assert!(matches!(batch.taken, Taken::Batch(_)));
    assert_eq!(batch.kind, BodyKind::Lines);
    // Without `?batch` lines of JSON are as any other bytes.
    let bytes = publish("POST /r/a HTTP/1.1\r\nContent-Type: application/x-ndjson");
    assert_eq!(bytes.kind, BodyKind::Binary);
}

#[test]
fn a_condition_is_a_header_or_a_parameter() {
    let expect = |fields: &str| publish(&format!("PUT /r/a?key=k HTTP/1.1{fields}")).expect;
    assert_eq!(expect(""), None);
    assert_eq!(
        expect("\r\nIf-Match: \"k3f9a2-17\""),
        Some(Expect::At(at("k3f9a2-17")))
    );
    assert_eq!(expect("\r\nIf-None-Match: *"), Some(Expect::Absent));
    // A weak tag, like any string that is no position of ours, is the version of nothing.
    for tag in ["W/\"k3f9a2-17\"", "\"\"", "\"*\"", "\"a, b\""] {
        let never = expect(&format!("\r\nIf-Match: {tag}"));
        assert_eq!(never, Some(Expect::At(Position::UNKNOWN)), "{tag}");
    }
    let query = |query: &str| publish(&format!("POST /r/a?key=k&{query} HTTP/1.1")).expect;
    assert_eq!(query("expect=k3f9a2-17"), Some(Expect::At(at("k3f9a2-17"))));
    assert_eq!(query("expect="), Some(Expect::Absent));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (head, status, code) in [
        ("PUT /r/a HTTP/1.1", 400, "bad-query"),
        ("DELETE /r/a HTTP/1.1", 400, "bad-query"),
        ("PUT /r/a?key= HTTP/1.1", 400, "bad-field"),
        ("PUT /r/a?key=k&batch HTTP/1.1", 400, "bad-query"),
        ("POST /r/a?key=k&batch HTTP/1.1", 400, "bad-query"),
        ("POST /r/a?batch&ttl=5s HTTP/1.1", 400, "bad-query"),
        ("POST /r/a?ttl=5s HTTP/1.1", 400, "bad-query"),
        ("POST /r/a?key=k&ttl=5 HTTP/1.1", 400, "bad-query"),
        ("POST /r/a?expect=x-1 HTTP/1.1", 400, "bad-query"),
        ("PUT /r/a?key=k HTTP/1.1\r\nIf-Match: *", 400, "bad-field"),
        ("PUT /r/a?key=k HTTP/1.1\r\nIf-Match: x", 400, "bad-field"),
        (
            "PUT /r/a?key=k HTTP/1.1\r\nIf-None-Match: \"x\"",
            400,
            "bad-field",
        ),
        (
            "PUT /r/a?key=k HTTP/1.1\r\nIf-Match: \"x\"\r\nIf-None-Match: *",
            400,
            "bad-field",
        ),
        ("GET /r/a?rewind=soon HTTP/1.1", 400, "bad-query"),
        (
            "GET /events?room=a&room=b&room=c&room=d&room=e&state HTTP/1.1",
            400,
            "bad-query",
        ),
        ("PUT /events HTTP/1.1", 405, "method-not-allowed"),
        ("DELETE / HTTP/1.1", 405, "method-not-allowed"),
        ("PATCH /r/a?key=k HTTP/1.1", 405, "method-not-allowed"),
    ] {
        assert_eq!(refusal(head), (status, code), "{head}");
    }
}

#[test]
fn a_get_reads_the_room_its_state_or_one_key() {
    assert!(matches!(
        action("GET /r/a?state HTTP/1.1"),
        Action::State(room) if room.as_str() == "a"
    ));
    assert!(matches!(
        action("GET /r/a?state HTTP/1.1\r\nAccept: text/html,*/*;q=0.8"),
        Action::State(_)
    ));
    assert!(matches!(
        action("GET /r/a?state HTTP/1.1\r\nAccept: text/event-stream"),
        Action::Stream(streams) if streams.state
    ));
    assert!(matches!(
        action("GET /r/a?key=k HTTP/1.1\r\nIf-None-Match: \"x-1\"\r\nAccept: text/html"),
        Action::Get(Get { key, known: Some(_), .. }) if &*key == "k"
    ));
    assert!(matches!(
        action("GET /r/a?who&state HTTP/1.1"),
        Action::Who { .. }
    ));
    assert!(matches!(
        action("DELETE /r/a?key=k&expect=k3f9a2-1 HTTP/1.1"),
        Action::Delete(deletion) if deletion.expect == Some(Expect::At(at("k3f9a2-1")))
    ));
}

#[test]
fn a_read_that_says_where_it_ends_begins_with_all_that_there_is() {
    let range = |target: &str| poll(target).range;
    assert_eq!(range("/r/a?limit=5").start, Start::Rewind(5));
    assert_eq!(range("/r/a?limit=5&reverse").start, Start::Rewind(u32::MAX));
    assert_eq!(range("/r/a?until=k3f9a2-9").start, Start::Rewind(u32::MAX));
    assert_eq!(range("/r/a?until=k3f9a2-9").until, Some(at("k3f9a2-9")));
    assert_eq!(range("/r/a?rewind=10m").start, Start::RewindMs(600_000));
    assert_eq!(range("/r/a?rewind=10").start, Start::Rewind(10));
    assert!(range("/r/a?reverse").reverse && !range("/r/a?reverse=0").reverse);
}

#[test]
fn only_a_read_to_the_end_waits() {
    assert_eq!(poll("/r/a?since=k3f9a2-9&wait=5").wait_ms, 5_000);
    assert_eq!(poll("/r/a?since=k3f9a2-9&wait=5&reverse").wait_ms, 0);
    assert_eq!(poll("/r/a?until=k3f9a2-9&wait=5").wait_ms, 0);
}

#[test]
fn one_message_at_a_time_goes_by_the_lane_latest() {
    assert_eq!(publish("POST /r/a?lane=latest HTTP/1.1").lane, Lane::Latest);
    for reliable in ["POST /r/a HTTP/1.1", "POST /r/a?lane=reliable HTTP/1.1"] {
        assert_eq!(publish(reliable).lane, Lane::Reliable);
    }
    for refused in [
        "POST /r/a?lane=fast HTTP/1.1",
        "POST /r/a?lane= HTTP/1.1",
        "POST /r/a?lane=latest&batch HTTP/1.1",
        "PUT /r/a?lane=latest&key=k HTTP/1.1",
        "DELETE /r/a?lane=latest&key=k HTTP/1.1",
    ] {
        assert_eq!(refusal(refused), (400, "bad-query"), "{refused}");
    }
}
