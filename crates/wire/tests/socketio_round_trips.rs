//! Socket.IO packets and their attachments: what is written is what is read, also when it is cut, mixed up or too long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use taut_wire::socketio::{
    ACK_ID_MAX, Argument, Assembly, Content, Limits, Packet, Progress, decode, encode, encode_event,
};

fn read(text: &str) -> Packet<'_> {
    decode(text, &Limits::default()).unwrap_or_else(|violation| panic!("{text}: {violation}"))
}

fn begin(text: &str, bytes_max: usize) -> Result<Assembly, String> {
    Assembly::begin(&read(text), bytes_max).map_err(|violation| violation.text.into_owned())
}

fn text_of(packet: &Packet<'_>) -> String {
    let mut out = Vec::new();
    encode(&mut out, packet);
    String::from_utf8(out).unwrap()
}

#[test]
fn attachments_come_in_their_order() {
    let text =
        r#"53-/den,7["a",{"_placeholder":true,"num":1},[{"x":{"num":0,"_placeholder":true}}]]"#;
    let mut assembly = begin(text, 6).unwrap();
    assert_eq!(assembly.missing(), 3);
    assert_eq!(
        assembly.attach(Cow::Borrowed(b"one")).unwrap(),
        Progress::Missing(2)
    );
    assert_eq!(
        assembly.attach(Cow::Borrowed(b"")).unwrap(),
        Progress::Missing(1)
    );
    assert_eq!(
        assembly.attach(Cow::Owned(b"two".to_vec())).unwrap(),
        Progress::Whole
    );
    assert_eq!(assembly.missing(), 0);
    assert_eq!(assembly.packet(), read(text));
    assert_eq!(
        assembly.attachments(),
        [b"one".to_vec(), vec![], b"two".to_vec()]
    );
    assert!(assembly.attach(Cow::Borrowed(b"")).is_err());
}

#[test]
fn an_ack_has_attachments_too() {
    let text = r#"61-/den,7[{"_placeholder":true,"num":0}]"#;
    let mut assembly = begin(text, 10).unwrap();
    assert_eq!(
        assembly.attach(Cow::Borrowed(b"one")).unwrap(),
        Progress::Whole
    );
    assert_eq!(assembly.packet(), read(text));
}

#[test]
fn attachments_have_only_so_many_bytes_together() {
    let text = r#"53-["a"]"#;
    let mut assembly = begin(text, 5).unwrap();
    assembly.attach(Cow::Borrowed(b"123")).unwrap();
    assembly.attach(Cow::Borrowed(b"45")).unwrap();
    assert!(assembly.attach(Cow::Borrowed(b"6")).is_err());
    assert!(
        begin(text, 5)
            .unwrap()
            .attach(Cow::Borrowed(b"123456"))
            .is_err()
    );
}

#[test]
fn a_packet_without_attachments_is_no_assembly() {
    for text in ["0{}", "1", r#"2["a"]"#, "31[]", "4{}"] {
        assert!(begin(text, 5).is_err(), "{text}");
    }
}

#[test]
fn a_placeholder_names_an_attachment_of_its_packet() {
    for good in [
        r#"51-["a"]"#,
        r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        r#"51-["a",{"_placeholder":true,"num":0,"more":1}]"#,
        r#"51-["a",{ "num" : 0 , "_placeholder" : true }]"#,
        r#"51-["a",{"_placeholder":false,"num":9},{"_placeholder":"true"},{"_placeholder":1},{"num":9}]"#,
        r#"51-["a","{\"_placeholder\":true,\"num\":9}","_placeholder",true]"#,
        r#"51-["a",{"x":"_placeholder","y":true,"num":9}]"#,
        r#"51-["a",{"_placeholder":[true],"num":9},["_placeholder",true]]"#,
        // Of two members of one name the later holds, as for JavaScript.
        r#"51-["a",{"_placeholder":true,"_placeholder":false}]"#,
        r#"51-["a",{"_placeholder":true,"_placeholder":{}}]"#,
        r#"51-["a",{"_placeholder":true,"num":9,"num":0}]"#,
        r#"51-["a","\ud800",1e999,{"\ud800":1}]"#,
    ] {
        assert!(begin(good, 5).is_ok(), "{good}");
    }
    for wrong in [
        r#"51-["a",{"_placeholder":true,"num":1}]"#,
        r#"51-["a",{"_placeholder":true}]"#,
        r#"51-["a",{"_placeholder":true,"num":-1}]"#,
        r#"51-["a",{"_placeholder":true,"num":0.5}]"#,
        r#"51-["a",{"_placeholder":true,"num":"0"}]"#,
        r#"51-["a",{"_placeholder":true,"num":null}]"#,
        r#"51-["a",{"_placeholder":true,"num":[0]}]"#,
        r#"51-["a",{"_placeholder":true,"num":4294967296}]"#,
        r#"51-["a",{"_placeholder":true,"num":0,"num":1}]"#,
        r#"51-["a",{"_placeholder":true,"num":0,"num":{}}]"#,
        r#"51-["a",{"\u005fplaceholder":true,"n\u0075m":1}]"#,
        r#"51-["a",[1,{"b":[{"c":{"_placeholder":true,"num":1}}]}]]"#,
        r#"51-["a",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":1}}]"#,
        r#"51-["a",{"x":"\\\"","_placeholder":true,"num":1}]"#,
        r#"62-1[{"_placeholder":true,"num":2}]"#,
    ] {
        assert!(begin(wrong, 5).is_err(), "{wrong}");
    }
}

#[test]
fn nesting_costs_no_stack() {
    let (open, close) = ("[{\"a\":".repeat(50_000), "}]".repeat(50_000));
    let deep = |num| format!(r#"51-["a",{open}{{"_placeholder":true,"num":{num}}}{close}]"#);
    assert!(begin(&deep(0), 5).is_ok());
    assert!(begin(&deep(1), 5).is_err());
}

/// JSON as somebody else writes it, a few levels deep.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>().prop_map(|number| serde_json::json!(number).to_string()),
        ".{0,8}".prop_map(|text| serde_json::json!(text).to_string()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            vec((".{0,4}", inner), 0..4).prop_map(|all| {
                let members = all
                    .iter()
                    .map(|(key, value)| format!("{}:{value}", serde_json::json!(key)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

/// The text of a packet, each part there or not.
fn texts() -> impl Strategy<Value = String> {
    let namespace = prop_oneof![Just(String::new()), "/[a-zé/%?]{0,8},"];
    let id = proptest::option::of(0..=ACK_ID_MAX);
    (
        0_u8..7,
        1_u32..65,
        namespace,
        id,
        ".{0,6}",
        vec(json(), 0..4),
    )
        .prop_map(|(kind, attachments, namespace, id, name, mut values)| {
            let binary = if kind > 4 {
                format!("{attachments}-")
            } else {
                String::new()
            };
            let id = match kind {
                3 | 6 => id.unwrap_or(0).to_string(),
                2 | 5 => id.map(|id| id.to_string()).unwrap_or_default(),
                _ => String::new(),
            };
            if matches!(kind, 2 | 5) {
                values.insert(0, serde_json::json!(name).to_string());
            }
            let data = match kind {
                0 if name.is_empty() => String::new(),
                0 | 4 => serde_json::json!({"message": name}).to_string(),
                1 => String::new(),
                _ => format!("[{}]", values.join(",")),
            };
            format!("{kind}{binary}{namespace}{id}{data}")
        })
}

proptest! {
    #[test]
    fn what_is_read_is_written(text in texts()) {
        let packet = read(&text);
        let again = text_of(&packet);
        prop_assert_eq!(read(&again), packet);
    }

    #[test]
    fn values_are_those_of_the_array(text in texts()) {
        let list = match read(&text).content {
            Content::Event(event) => event.arguments,
            Content::Ack(list) => list,
            _ => return Ok(()),
        };
        let whole: Vec<serde_json::Value> = serde_json::from_str(&list.to_array()).unwrap();
        let single: Vec<serde_json::Value> = list.values().map(|value| serde_json::from_str(value.get()).unwrap()).collect();
        prop_assert_eq!(list.count, whole.len());
        prop_assert_eq!(single, whole);
    }

    /// A text that ends too early is refused, unless what is left is a packet by itself.
    #[test]
    fn every_prefix_is_refused_or_a_packet(text in texts()) {
        for (end, _) in text.char_indices() {
            if let Ok(packet) = decode(&text[..end], &Limits::default()) {
                prop_assert!(!matches!(packet.content, Content::Event(_) | Content::Ack(_)));
                let again = text_of(&packet);
                prop_assert_eq!(read(&again), packet);
            }
        }
    }

    #[test]
    fn garbage_is_refused_or_a_packet(kind in "[0-6]?([0-9]{1,2}-)?(/a,)?[0-9]{0,3}", text in "[\\[\\]{}\",:0-9ae \\\\u]{0,20}") {
        let text = kind + &text;
        if let Ok(packet) = decode(&text, &Limits::default()) {
            let again = text_of(&packet);
            prop_assert_eq!(read(&again), packet.clone());
            let _ = Assembly::begin(&packet, 10);
        }
    }

    #[test]
    fn a_broadcast_is_read_as_it_was_meant(
        namespace in "/[a-z/]{0,6}", name in ".{0,8}", said in ".{0,12}", more in vec(json(), 0..3), attachments in 0_u32..4,
    ) {
        let more = more.join(",");
        let mut arguments = vec![Argument::Json(more.as_bytes()), Argument::Text(said.as_bytes())];
        arguments.extend((0..attachments).map(Argument::Attachment));
        let mut out = Vec::new();
        encode_event(&mut out, &namespace, attachments, &name, &arguments);
        let text = String::from_utf8(out).unwrap();
        let packet = read(&text);
        prop_assert_eq!((packet.namespace, packet.id, packet.attachments), (&*namespace, None, attachments));
        let Content::Event(event) = &packet.content else { panic!("{text}") };
        prop_assert_eq!(&event.name, &name);
        let values: Vec<serde_json::Value> = event.arguments.values().map(|value| serde_json::from_str(value.get()).unwrap()).collect();
        let behind = values.len() - usize::try_from(attachments).unwrap();
        prop_assert_eq!(&values[behind - 1], &serde_json::json!(said));
        prop_assert_eq!(format!("[{more}]").parse::<serde_json::Value>().unwrap(), serde_json::Value::from(values[..behind - 1].to_vec()));
        if attachments > 0 {
            let mut assembly = Assembly::begin(&packet, 100).unwrap();
            for missing in (0..attachments).rev() {
                let progress = assembly.attach(Cow::Borrowed(&[1])).unwrap();
                prop_assert_eq!(progress == Progress::Whole, missing == 0);
            }
            prop_assert_eq!(assembly.packet(), packet);
        }
    }
}
