//! Bodies arrive as what they were sent as, and Json as the bytes it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use taut_wire::native::{
    Body, DEPTH_MAX, Delivery, Payload, Reply, Verb, check_json, decode_reply, decode_request,
    encode_delivery,
};

fn body(data: &str) -> Result<Body<'static>, String> {
    let unit = format!(r#"{{"publish":"a",{data}}}"#);
    match decode_request(unit.as_bytes()) {
        Ok(request) => match request.verb {
            Verb::Publish { body, .. } => Ok(body.into_owned()),
            other => panic!("{other:?}"),
        },
        Err(rejected) => Err(rejected.text.into_owned()),
    }
}

fn json(text: &str) -> Body<'_> {
    Body::Json(Cow::Borrowed(text))
}

fn delivered(payload: Payload<'_>) -> String {
    let mut out = Vec::new();
    let delivery = Delivery {
        room: "a",
        at: Some("k-1"),
        from: "ana",
        by: None,
        event: "message",
        key: None,
        id: None,
        time_ms: 7,
        body: payload,
    };
    encode_delivery(&mut out, &delivery);
    String::from_utf8(out).unwrap()
}

#[test]
fn json_keeps_its_bytes() {
    for text in [
        "0",
        "-0.0",
        "1e400",
        "123456789012345678901234567890.000",
        "{\"b\":1, \"a\" :2,\"b\":3}",
        "[\"\\u0041\\ud800\", \"\u{2028}\"]",
        "null",
        "true",
    ] {
        assert_eq!(body(&format!("\"data\": {text} ")).unwrap(), json(text));
        let unit = delivered(Payload::Json(text.as_bytes()));
        assert!(unit.contains(&format!("\"data\":{text}")), "{unit}");
        match decode_reply(unit.as_bytes()).unwrap() {
            Reply::Message(message) => assert_eq!(message.body, json(text)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn line_ends_between_the_tokens_of_json_become_spaces() {
    let unit = delivered(Payload::Json(b"{\r\n  \"a\": \"x\\ny\",\n\n\"b\":1\r}"));
    assert!(
        unit.ends_with(r#""data":{    "a": "x\ny",  "b":1 }}"#),
        "{unit}"
    );
}

#[test]
fn a_string_is_text_with_its_escapes_undone() {
    let text = |text: &str| Ok(Body::Text(Cow::Owned(text.to_owned())));
    assert_eq!(body(r#""data":"""#), text(""));
    assert_eq!(body(r#""data":"{\"a\":1}""#), text("{\"a\":1}"));
    assert_eq!(body(r#""data":"\ud83d\ude42\/\u0000""#), text("🙂/\0"));
}

#[test]
fn half_a_surrogate_pair_is_refused_in_text() {
    for half in [r"\ud800", r"\udc00x", r"\ud83d\u0041"] {
        assert!(body(&format!(r#""data":"{half}""#)).is_err());
        assert!(body(&format!(r#""data":1,"event":"{half}""#)).is_err());
    }
}

#[test]
fn base64_may_lack_its_padding_but_nothing_else() {
    let binary = |bytes: &[u8]| Ok(Body::Binary(Cow::Owned(bytes.to_vec())));
    assert_eq!(body(r#""base64":"""#), binary(b""));
    assert_eq!(body(r#""base64":"AAH/""#), binary(&[0, 1, 255]));
    assert_eq!(body(r#""base64":"AA==""#), binary(&[0]));
    assert_eq!(body(r#""base64":"AA""#), binary(&[0]));
    assert_eq!(body(r#""data":null,"base64":null"#), Ok(json("null")));
    for wrong in ["A", "AAH_", "A A=", "AB==", "AA==AA=="] {
        assert!(body(&format!(r#""base64":"{wrong}""#)).is_err(), "{wrong}");
    }
}

#[test]
fn binary_of_every_length_comes_back() {
    for length in 0..70_u8 {
        let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(151)).collect();
        let unit = delivered(Payload::Binary(&bytes));
        match decode_reply(unit.as_bytes()).unwrap() {
            Reply::Message(message) => assert_eq!(message.body, Body::Binary(Cow::Owned(bytes))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(body(&format!(r#""data":{}"#, nested(DEPTH_MAX))).is_ok());
    assert!(body(&format!(r#""data":{}"#, nested(DEPTH_MAX + 1))).is_err());
    assert!(body(&format!(r#""data":{}"#, nested(30_000))).is_err());
    let flat = format!(r#""data":["\"{}","\\",[]]"#, "[".repeat(1_000));
    assert!(body(&flat).is_ok());
    let wide = format!(r#""data":[{}1]"#, "[1],".repeat(1_000));
    assert!(body(&wide).is_ok());
}

#[test]
fn what_comes_in_whole_as_json_is_checked_alike() {
    assert_eq!(check_json(b" {\"a\":1}\r\n"), Ok("{\"a\":1}"));
    assert_eq!(check_json(b"\"x\""), Ok("\"x\""));
    for wrong in [&b""[..], b"{", b"1 2", b"\"\xff\"", b"nul", b"\"\n\""] {
        assert!(check_json(wrong).is_err(), "{}", wrong.escape_ascii());
    }
    assert!(check_json("[".repeat(100_000).as_bytes()).is_err());
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    assert!(check_json(deep.as_bytes()).is_err());
}
