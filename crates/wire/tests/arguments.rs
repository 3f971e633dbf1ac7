//! Arguments come out as they were packed, in JSON and back, and nothing in them makes a reader see an attachment that is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use taut_wire::arguments::{
    ATTACHMENTS_MAX, Arguments, check, encode_packed, from_json, pack, unpack,
};
use taut_wire::native::{Body, Reply, Verb, decode_reply, decode_request};

fn encoded(json: &str, attachments: &[&[u8]]) -> String {
    let mut out = Vec::new();
    encode_packed(&mut out, &pack(json, attachments));
    String::from_utf8(out).unwrap()
}

fn packed_json(json: &str) -> Vec<u8> {
    let (array, attachments) = from_json(json).unwrap();
    check(&array, attachments.len()).unwrap();
    pack(&array, &attachments)
}

#[test]
fn without_attachments_the_array_is_all_there_is() {
    let nothing: [&[u8]; 0] = [];
    assert_eq!(pack("[1,\"a\"]", &nothing), b"[1,\"a\"]");
    let expected = Arguments {
        json: "[]",
        attachments: Vec::new(),
    };
    assert_eq!(unpack(b"[]"), Some(expected));
    // Nobody attached anything, so this is what somebody said.
    for own in [
        r#"[{"_placeholder":true,"num":0}]"#,
        r#"[{"_placeholder":true}]"#,
    ] {
        assert_eq!(encoded(own, &[]), own);
        assert_eq!(from_json(own), Ok((own.to_owned(), Vec::new())));
        assert_eq!(check(own, 0), Ok(()));
    }
}

#[test]
fn attachments_stand_where_their_placeholders_do() {
    let json = r#"[{"_placeholder":true,"num":1},[ { "num" : 0 , "_placeholder" : true } ],"{\"base64\":1}"]"#;
    assert_eq!(check(json, 2), Ok(()));
    assert_eq!(
        encoded(json, &[b"\0\xff", b"hello"]),
        r#"[{"base64":"aGVsbG8="},[ {"base64":"AP8="} ],"{\"base64\":1}"]"#
    );
}

#[test]
fn line_ends_between_the_tokens_become_spaces() {
    let json = "[1,\n{\"_placeholder\":true,\r\n\"num\":0}\r]";
    assert_eq!(encoded(json, &[b""]), "[1, {\"base64\":\"\"} ]");
    assert_eq!(encoded("[\n]", &[]), "[ ]");
}

#[test]
fn a_name_counts_however_it_is_escaped() {
    let json = r#"[{"_pl\u0061ceholder":true,"n\u0075m":0}]"#;
    assert_eq!(check(json, 1), Ok(()));
    assert_eq!(encoded(json, &[b"a"]), r#"[{"base64":"YQ=="}]"#);
    let (array, attachments) = from_json(r#"[{"base\u00364":"YQ\u003d="}]"#).unwrap();
    assert_eq!(array, r#"[{"_placeholder":true,"num":0}]"#);
    assert_eq!(attachments, [b"a"]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for (json, attachments, text) in [
        ("[]", 1, "attachment 0 stands nowhere"),
        (
            r#"[{"_placeholder":true,"num":1}]"#,
            1,
            "there is no attachment 1",
        ),
        (
            r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
            1,
            "attachment 0 stands in two places",
        ),
        (r#"[{"_placeholder":true,"num":-1}]"#, 1, "_placeholder"),
        (r#"[{"_placeholder":true,"num":0.5}]"#, 1, "_placeholder"),
        (
            r#"[{"_placeholder":true,"num":99999999999999999999}]"#,
            1,
            "_placeholder",
        ),
        (r#"[{"_placeholder":true}]"#, 1, "_placeholder"),
        (
            r#"[{"_placeholder":true,"num":0,"more":1}]"#,
            1,
            "_placeholder",
        ),
        (
            r#"[{"_placeholder":true,"num":0},{"a":1,"_placeholder" :false}]"#,
            1,
            "_placeholder",
        ),
        ("[]", ATTACHMENTS_MAX + 1, "at most 64"),
        (
            &format!("{}{}", "[".repeat(121), "]".repeat(121)),
            0,
            "deeper",
        ),
    ] {
        let refused = check(json, attachments).unwrap_err();
        assert!(refused.contains(text), "{json}: {refused}");
    }
    // The word alone is nobody's member.
    let json = r#"["_placeholder",{"_placeholder":true,"num":0},{"a":"_placeholder"}]"#;
    assert_eq!(check(json, 1), Ok(()));
}

#[test]
fn what_check_refuses_is_null_and_never_repeated() {
    let json = r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0},{"_placeholder":true,"num":7}]"#;
    assert_eq!(encoded(json, &[b"a"]), r#"[{"base64":"YQ=="},null,null]"#);
}

#[test]
fn only_an_object_that_is_exactly_base64_is_an_attachment() {
    for own in [
        r#"[{"base64":1}]"#,
        r#"[{"base64":"YQ==","more":1}]"#,
        r#"[{"more":1,"base64":"YQ=="}]"#,
        r#"["{\"base64\":\"YQ==\"}"]"#,
        r#"[{"BASE64":"YQ=="}]"#,
    ] {
        assert_eq!(from_json(own), Ok((own.to_owned(), Vec::new())));
    }
    let (array, attachments) =
        from_json(r#" [{ "base64" : "YQ" }, {"a":{"base64":""}}] "#).unwrap();
    assert_eq!(
        array,
        r#"[{"_placeholder":true,"num":0}, {"a":{"_placeholder":true,"num":1}}]"#
    );
    assert_eq!(attachments, [b"a".to_vec(), Vec::new()]);
}

#[test]
fn what_is_no_list_of_arguments_is_refused() {
    for (json, text) in [
        ("{}", "must be a list"),
        ("\"[]\"", "must be a list"),
        ("[", "not JSON"),
        ("[] []", "not JSON"),
        (r#"[{"base64":"?"}]"#, "is not base64"),
        (
            r#"[{"base64":"YQ=="},{"_placeholder":true,"num":0}]"#,
            "_placeholder",
        ),
    ] {
        let refused = from_json(json).unwrap_err();
        assert!(refused.contains(text), "{json}: {refused}");
    }
    let deep = format!("{}{}", "[".repeat(121), "]".repeat(121));
    assert!(from_json(&deep).unwrap_err().contains("deeper than 120"));
    let many = vec![r#"{"base64":""}"#; ATTACHMENTS_MAX + 1].join(",");
    let refused = from_json(&format!("[{many}]")).unwrap_err();
    assert!(refused.contains("at most 64"), "{refused}");
}

#[test]
fn what_only_looks_like_an_attachment_breaks_nobody_who_reads_it() {
    let said = |args: &str| {
        let unit =
            format!(r#"{{"room":"a","at":"k-1","from":"b","event":"c","time":1,"args":{args}}}"#);
        match decode_reply(unit.as_bytes()) {
            Ok(Reply::Message(message)) => match message.body {
                Body::Args(packed) => packed.into_owned(),
                other => panic!("{other:?}"),
            },
            Ok(other) => panic!("{other:?}"),
            Err(violation) => violation.text.into_owned().into_bytes(),
        }
    };
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let many = format!("[{}]", vec![r#"{"base64":""}"#; 100].join(","));
    let own = r#"[{"base64":"YQ=="},{"_placeholder":true,"num":0}]"#;
    for args in [r#"[{"base64":"no, not that"}]"#, own, &deep, &many] {
        assert_eq!(said(args), args.as_bytes());
        let mut again = Vec::new();
        encode_packed(&mut again, &said(args));
        assert_eq!(again, args.as_bytes());
    }
    assert_eq!(
        unpack(&said(r#"[{"base64":"YQ"}]"#)).unwrap().attachments,
        [b"a"]
    );
    assert_eq!(said("{}"), b"the arguments must be a list");
}

#[test]
fn arguments_are_published_with_the_rules_of_any_body() {
    let body = |fields: &str| {
        let unit = format!(r#"{{"publish":"a",{fields}}}"#);
        match decode_request(unit.as_bytes()) {
            Ok(request) => match request.verb {
                Verb::Publish { body, .. } => Ok(body.into_owned()),
                other => panic!("{other:?}"),
            },
            Err(rejected) => Err((rejected.code, rejected.text.into_owned())),
        }
    };
    let packed = pack(r#"[1,{"_placeholder":true,"num":0}]"#, &[b"\0"]);
    assert_eq!(
        body(r#""args":[1,{"base64":"AA=="}],"base64":null"#),
        Ok(Body::Args(packed.into()))
    );
    for (fields, text) in [
        (r#""args":7"#, "\"args\": the arguments must be a list"),
        (
            r#""args":[{"base64":"?"}]"#,
            "\"args\": \"base64\" is not base64",
        ),
        (r#""args":[],"data":1"#, "exclude each other"),
        (r#""args":[],"base64":"AA==""#, "exclude each other"),
        (r#""args":null"#, "needs \"data\", \"base64\" or \"args\""),
    ] {
        let (code, told) = body(fields).unwrap_err();
        assert_eq!(code, "bad-field");
        assert!(told.contains(text), "{fields}: {told}");
    }
    let deep = format!("\"args\":{}{}", "[".repeat(121), "]".repeat(121));
    let (_, told) = body(&deep).unwrap_err();
    assert_eq!(told, "\"args\" nests deeper than 120 levels");
}

#[test]
fn what_was_never_packed_is_not_unpacked() {
    for packed in [
        &b""[..],
        b"[",
        b"hello",
        b"[]\0",
        b"[]\0\x01\0\0\0\0\0\0\0",
        b"[]\0\xff\xff\xff\xff\xff\xff\xff\xffabc",
        b"[]\0\x01\0\0\0\0\0\0\0ab",
        b"[\xff]",
    ] {
        assert_eq!(unpack(packed), None, "{packed:?}");
        let mut out = Vec::new();
        encode_packed(&mut out, packed);
        assert_eq!(out, b"[]");
    }
}

/// Arguments as somebody says them, attachments as `{"base64":…}`.
fn said() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
        prop_oneof![
            "\"\\\\",
            "[{}\\[\\]:,\"]{1,6}",
            Just("_placeholder".to_owned())
        ]
        .prop_map(Into::into),
        any::<Vec<u8>>().prop_map(|bytes| {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            serde_json::json!({ "base64": text })
        }),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![
            "[a-c\"\\\\]{0,3}",
            Just("base64".to_owned()),
            Just("num".to_owned())
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::vec(value, 0..5).prop_map(Into::into)
}

/// How many objects in `value` are exactly `{"base64":"…"}`, or no base64 at all, which `said` makes too.
fn attachments(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(all) => all.iter().map(attachments).sum(),
        serde_json::Value::Object(map)
            if map.len() == 1 && map.get("base64").is_some_and(serde_json::Value::is_string) =>
        {
            1
        }
        serde_json::Value::Object(map) => map.values().map(attachments).sum(),
        _ => 0,
    }
}

/// The same with all base64 padded, as it is said again: what comes in may leave the padding out.
fn padded(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(all) => all.into_iter().map(padded).collect(),
        serde_json::Value::Object(map) if map.len() == 1 => map
            .into_iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) if name == "base64" => {
                    let padding = "=".repeat(text.len().next_multiple_of(4) - text.len());
                    (name, (text + &padding).into())
                }
                value => (name, padded(value)),
            })
            .collect(),
        serde_json::Value::Object(map) => {
            let members = map.into_iter();
            members.map(|(name, value)| (name, padded(value))).collect()
        }
        value => value,
    }
}

#[test]
fn padding_that_was_left_out_is_said() {
    let mut again = Vec::new();
    encode_packed(
        &mut again,
        &packed_json(r#"[{"base64":"Aw"},{"a":{"base64":""}}]"#),
    );
    assert_eq!(again, br#"[{"base64":"Aw=="},{"a":{"base64":""}}]"#);
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked(json in "\\[[^\\x00]{0,40}\\]", attachments: Vec<Vec<u8>>) {
        let packed = pack(&json, &attachments);
        let unpacked = unpack(&packed).unwrap();
        prop_assert_eq!(unpacked.json, json);
        prop_assert_eq!(unpacked.attachments, attachments);
    }

    #[test]
    fn nothing_that_is_unpacked_panics(packed: Vec<u8>, json in "\\[[{}\":,_a-z0-9\\\\ ]{0,60}\\]") {
        let mut out = Vec::new();
        encode_packed(&mut out, &packed);
        encode_packed(&mut out, &pack(&json, &[packed]));
    }

    #[test]
    fn said_as_json_and_back_is_the_same(said in said(), pretty: bool) {
        let json = if pretty {
            serde_json::to_string_pretty(&said).unwrap()
        } else {
            said.to_string()
        };
        let Ok((array, _)) = from_json(&json) else {
            // Some of what looks like an attachment is not base64.
            return Ok(());
        };
        let packed = packed_json(&json);
        let unpacked = unpack(&packed).unwrap();
        prop_assert_eq!(unpacked.json, array);
        prop_assert_eq!(unpacked.attachments.len(), attachments(&said));
        let mut again = Vec::new();
        encode_packed(&mut again, &packed);
        let again = String::from_utf8(again).unwrap();
        prop_assert!(!again.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap(), padded(said));
        prop_assert_eq!(packed_json(&again).len(), packed.len());
    }
}
