//! Socket.IO packets: the specification's examples, and the verdicts of the official parser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use taut_wire::socketio::{
    ACK_ID_MAX, Argument, Content, Event, Limits, List, Packet, decode, encode, encode_ack,
    encode_connect_error, encode_connected, encode_disconnect, encode_event,
};

/// `verdict`s and texts; `socketio_vectors.txt` says what they are.
fn vectors() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("socketio_vectors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
}

fn read(text: &str) -> Packet<'_> {
    decode(text, &Limits::default()).unwrap_or_else(|violation| panic!("{text}: {violation}"))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn packet<'a>(namespace: &'a str, id: Option<u64>, content: Content<'a>) -> Packet<'a> {
    Packet {
        namespace,
        id,
        attachments: 0,
        content,
    }
}

fn event<'a>(name: &'a str, json: &'a str, count: usize) -> Content<'a> {
    Content::Event(Event {
        name: Cow::Borrowed(name),
        arguments: List { json, count },
    })
}

fn ack(json: &str, count: usize) -> Content<'_> {
    Content::Ack(List { json, count })
}

#[test]
fn verdicts_are_those_of_the_official_parser_but_where_it_is_said() {
    let mut verdicts = 0;
    for (verdict, text) in vectors() {
        let read = decode(text, &Limits::default());
        assert_eq!(
            read.is_ok(),
            matches!(verdict, "ok" | "looser"),
            "{verdict} {text}: {read:?}"
        );
        verdicts += 1;
    }
    assert!(verdicts > 100);
}

#[test]
fn what_was_read_is_written_with_the_same_meaning() {
    for (_, text) in vectors().filter(|(verdict, _)| *verdict == "ok") {
        let packet = read(text);
        let again = written(|out| encode(out, &packet));
        assert_eq!(read(&again), packet, "{text} {again}");
    }
}

#[test]
fn the_examples_of_the_specification_are_read_and_written_as_it_says() {
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    let two = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    let sid = r#"{"sid":"oSO0OpakMV_3jnilAAAA"}"#;
    let refused = r#"{"message":"Not authorized"}"#;
    for (text, attachments, expected) in [
        ("0", 0, packet("/", None, Content::Connect(""))),
        (
            r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#,
            0,
            packet("/admin", None, Content::Connect(sid)),
        ),
        (
            r#"4{"message":"Not authorized"}"#,
            0,
            packet("/", None, Content::ConnectError(refused)),
        ),
        (r#"2["foo"]"#, 0, packet("/", None, event("foo", "", 0))),
        (
            r#"2/admin,["bar"]"#,
            0,
            packet("/admin", None, event("bar", "", 0)),
        ),
        (
            r#"51-["baz",{"_placeholder":true,"num":0}]"#,
            1,
            packet("/", None, event("baz", placeholder, 1)),
        ),
        (
            r#"52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
            2,
            packet("/admin", None, event("baz", two, 2)),
        ),
        (
            r#"212["foo"]"#,
            0,
            packet("/", Some(12), event("foo", "", 0)),
        ),
        (
            r#"3/admin,13["bar"]"#,
            0,
            packet("/admin", Some(13), ack(r#""bar""#, 1)),
        ),
        (
            r#"61-15["bar",{"_placeholder":true,"num":0}]"#,
            1,
            packet(
                "/",
                Some(15),
                ack(r#""bar",{"_placeholder":true,"num":0}"#, 2),
            ),
        ),
        (
            r#"2["hey","Jude"]"#,
            0,
            packet("/", None, event("hey", r#""Jude""#, 1)),
        ),
        ("1", 0, packet("/", None, Content::Disconnect)),
        ("1/admin,", 0, packet("/admin", None, Content::Disconnect)),
    ] {
        let expected = Packet {
            attachments,
            ..expected
        };
        assert_eq!(read(text), expected);
        assert_eq!(written(|out| encode(out, &expected)), text);
    }
}

#[test]
fn arguments_are_slices_of_the_text() {
    for (text, json, values) in [
        (r#"2["a"]"#, "", vec![]),
        (r#"2[ "a" ] "#, "", vec![]),
        (r#"2["a","hi"]"#, r#""hi""#, vec![r#""hi""#]),
        (
            r#"2["a",1,"two]",{"b":[3,"},"]}]"#,
            r#"1,"two]",{"b":[3,"},"]}"#,
            vec!["1", r#""two]""#, r#"{"b":[3,"},"]}"#],
        ),
        ("2[\"a\"\t,\r\n 1 , [ ] ]\n", "1 , [ ]", vec!["1", "[ ]"]),
        (
            r#"2["a","\ud800",1e999,-0]"#,
            r#""\ud800",1e999,-0"#,
            vec![r#""\ud800""#, "1e999", "-0"],
        ),
        (r#"2["\"]",null]"#, "null", vec!["null"]),
        (r#"27[7,[[]]]"#, "[[]]", vec!["[[]]"]),
    ] {
        let Content::Event(event) = read(text).content else {
            panic!("{text}");
        };
        assert_eq!(event.arguments.json, json);
        assert_eq!(event.arguments.count, values.len());
        let found: Vec<_> = event
            .arguments
            .values()
            .map(serde_json::value::RawValue::get)
            .collect();
        assert_eq!(found, values);
        assert_eq!(event.arguments.to_array(), format!("[{json}]"));
    }
}

#[test]
fn an_events_name_loses_its_escapes_and_a_number_stays_as_written() {
    for (text, expected) in [
        (r#"2["a\"b"]"#, "a\"b"),
        (r#"2["\ud83d\ude00"]"#, "😀"),
        (r#"2["é"]"#, "é"),
        (r#"2[12]"#, "12"),
        (r#"2[-1.5E3]"#, "-1.5E3"),
    ] {
        let Content::Event(event) = read(text).content else {
            panic!("{text}");
        };
        assert_eq!(event.name, expected);
    }
}

#[test]
fn a_namespace_loses_its_query_and_ends_at_the_comma_or_the_text() {
    for (text, expected) in [
        ("0", "/"),
        ("0/", "/"),
        ("0/?a=b", "/"),
        ("0/admin", "/admin"),
        ("0/admin?token=1234&uid=abcd,{\"a\":1}", "/admin"),
        ("0/a/b/c,", "/a/b/c"),
        ("0/a?,", "/a"),
        ("2/é,[\"x,/y,\"]", "/é"),
    ] {
        assert_eq!(read(text).namespace, expected);
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let limits = Limits {
        attachments_max: 2,
        namespace_bytes_max: 4,
    };
    for (text, is_taken) in [
        ("52-[\"a\"]", true),
        ("53-[\"a\"]", false),
        ("62-1[]", true),
        ("63-1[]", false),
        ("54294967296-[\"a\"]", false),
        ("0/abc,", true),
        ("0/abc?query=long,", true),
        ("0/abcd,", false),
        ("0/ab€,", false),
    ] {
        assert_eq!(decode(text, &limits).is_ok(), is_taken, "{text}");
    }
    let most = format!("2{ACK_ID_MAX}[\"a\"]");
    assert_eq!(read(&most).id, Some(9_007_199_254_740_991));
    let default = Limits::default();
    assert_eq!(
        (default.attachments_max, default.namespace_bytes_max),
        (64, 800)
    );
}

#[test]
fn nesting_costs_no_stack() {
    let deep = format!("2[\"a\",{}{}]", "[".repeat(200_000), "]".repeat(200_000));
    assert!(decode(&deep, &Limits::default()).is_ok());
    let auth = format!("0{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(decode(&auth, &Limits::default()).is_ok());
}

#[test]
fn a_broadcast_is_written_straight() {
    let event = |namespace, attachments, name, arguments: &[Argument<'_>]| {
        written(|out| encode_event(out, namespace, attachments, name, arguments))
    };
    let position = Argument::Text(b"5:lobby");
    assert_eq!(event("/", 0, "chat", &[]), r#"2["chat"]"#);
    assert_eq!(
        event(
            "/",
            0,
            "chat",
            &[Argument::Text("hi \"you\"\n".as_bytes()), position]
        ),
        r#"2["chat","hi \"you\"\n","5:lobby"]"#
    );
    assert_eq!(
        event(
            "/r/den",
            0,
            "a\"b",
            &[Argument::Json(br#"1,{"b":2}"#), position]
        ),
        r#"2/r/den,["a\"b",1,{"b":2},"5:lobby"]"#
    );
    assert_eq!(
        event("/", 0, "chat", &[Argument::Json(b""), position]),
        r#"2["chat","5:lobby"]"#
    );
    let placeholders = [
        Argument::Attachment(0),
        Argument::Json(b"null"),
        Argument::Attachment(11),
        position,
    ];
    assert_eq!(
        event("/den", 12, "chat", &placeholders),
        r#"512-/den,["chat",{"_placeholder":true,"num":0},null,{"_placeholder":true,"num":11},"5:lobby"]"#
    );
}

#[test]
fn a_servers_answers_are_written_as_the_official_server_does() {
    let ack = |namespace, attachments, id, arguments: &[Argument<'_>]| {
        written(|out| encode_ack(out, namespace, attachments, id, arguments))
    };
    assert_eq!(ack("/", 0, 0, &[]), "30[]");
    assert_eq!(
        ack(
            "/a",
            0,
            ACK_ID_MAX,
            &[Argument::Json(b"{\"ok\":\"publish\"}")]
        ),
        r#"3/a,9007199254740991[{"ok":"publish"}]"#
    );
    assert_eq!(
        ack("/", 1, 15, &[Argument::Attachment(0), Argument::Text(b"x")]),
        r#"61-15[{"_placeholder":true,"num":0},"x"]"#
    );
    assert_eq!(
        written(|out| encode_connected(out, "/", "ab", None)),
        r#"0{"sid":"ab"}"#
    );
    assert_eq!(
        written(|out| encode_connected(out, "/x", "ab", Some("p\""))),
        r#"0/x,{"sid":"ab","pid":"p\""}"#
    );
    assert_eq!(
        written(|out| encode_connect_error(out, "/x", "Invalid namespace", None)),
        r#"4/x,{"message":"Invalid namespace"}"#
    );
    assert_eq!(
        written(|out| encode_connect_error(out, "/", "no", Some(b"{\"code\":1}"))),
        r#"4{"message":"no","data":{"code":1}}"#
    );
    assert_eq!(written(|out| encode_disconnect(out, "/")), "1");
    assert_eq!(written(|out| encode_disconnect(out, "/x")), "1/x,");
}
