//! A client passes over what it does not know, and says what is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_wire::native::{Body, Reply, decode_reply};

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
fn a_member_has_at_least_the_connections_that_it_lists() {
    for (member, count) in [
        ("", 1),
        (r#","conns_count":0"#, 1),
        (r#","conns_count":40"#, 40),
        (
            r#","conns":[{"door":"a","id":"1"},{"door":"b","id":"2"}]"#,
            2,
        ),
        (
            r#","conns":[{"door":"a","id":"1"},{"door":"b","id":"2"}],"conns_count":1"#,
            2,
        ),
    ] {
        let unit = format!(
            r#"{{"ok":"who","room":"a","count":1,"members":[{{"name":"x","door":"a","id":"1"{member}}}]}}"#
        );
        let Reply::Who { roster, .. } = decode_reply(unit.as_bytes()).unwrap() else {
            panic!("{unit}");
        };
        assert_eq!(roster.members[0].conns_count, count, "{unit}");
    }
}
