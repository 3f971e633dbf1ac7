//! A client passes over what it does not know, and says what is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_wire::native::{Body, Member, Reply, Roster, decode_reply};

#[test]
fn an_unknown_kind_is_passed_over() {
    for unit in [
        "{}",
        r#"{"ok":"teleport","room":5}"#,
        r#"{"state":{"key":"a"},"room":"lobby"}"#,
        r#"{"ok":null,"error":null}"#,
    ] {
        assert_eq!(decode_reply(unit.as_bytes()).unwrap(), Reply::Unknown);
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    let unit = br#"{"ok":"leave","colour":{"a":[1]},"ref":1,"room":"lobby","text":"bye"}"#;
    let reply = decode_reply(unit).unwrap();
    assert!(matches!(reply, Reply::Left { .. }), "{reply:?}");
}

#[test]
fn a_known_kind_must_have_its_fields() {
    for (unit, missing) in [
        (r#"{"ok":"join","room":"a","at":"P"}"#, "complete"),
        (
            r#"{"ok":"join","room":"a","at":"P","complete":false}"#,
            "from",
        ),
        (r#"{"ok":"publish"}"#, "at"),
        (
            r#"{"ok":"history","room":"a","at":"P","complete":true}"#,
            "messages",
        ),
        (r#"{"room":"a","gap":{"after":"P"}}"#, "at"),
        (
            r#"{"room":"a","presence":{"joined":[],"left":[]}}"#,
            "count",
        ),
        (r#"{"room":"a","at":"P","event":"x","data":1}"#, "from"),
    ] {
        let violation = decode_reply(unit.as_bytes()).unwrap_err();
        assert_eq!(
            violation.text,
            format!("\"{missing}\" is missing"),
            "{unit}"
        );
    }
}

#[test]
fn a_field_of_another_type_is_a_violation() {
    for unit in [
        r#"{"ok":1}"#,
        r#"{"bye":"x","retry_ms":-1}"#,
        r#"{"ok":"who","room":"a","count":1,"members":{}}"#,
        r#"{"ok":"who","room":"a","count":1,"members":[1]}"#,
        r#"{"room":"a","gap":7}"#,
        r#"{"ok":"ping","ok":"ping"}"#,
    ] {
        assert!(decode_reply(unit.as_bytes()).is_err(), "{unit}");
    }
}

#[test]
fn a_string_that_is_no_text_is_json() {
    let unit = br#"{"room":"a","at":"P","from":"b","event":"x","time":0,"data":"\ud800"}"#;
    match decode_reply(unit).unwrap() {
        Reply::Message(message) => assert_eq!(message.body, Body::Json(r#""\ud800""#.into())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_user_says_of_itself_stays_on_one_line() {
    let data = "{\n \"seat\": [7,\r\n8]\r}";
    let member = Member {
        name: "ana".into(),
        door: "lines".into(),
        id: "1".into(),
        conns: Vec::new(),
        conns_count: 1,
        data: Some(data.into()),
    };
    let reply = Reply::Who {
        reference: None,
        room: "den".into(),
        roster: Roster {
            count: 1,
            conns: 1,
            members: vec![member],
        },
    };
    let mut unit = Vec::new();
    reply.encode(&mut unit);
    assert!(!unit.contains(&b'\n') && !unit.contains(&b'\r'));
    let read: serde_json::Value = serde_json::from_slice(&unit).unwrap();
    let sent: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(read["members"][0]["data"], sent);
}
