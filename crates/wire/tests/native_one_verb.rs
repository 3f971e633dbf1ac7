//! A request has exactly one verb, wherever it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_wire::native::{Rejected, Request, Verb, decode_request};

fn encoded(request: &Request<'_>) -> String {
    let mut out = Vec::new();
    request.encode(&mut out);
    String::from_utf8(out).unwrap()
}

fn rejected(unit: &[u8]) -> Rejected<'_> {
    decode_request(unit).unwrap_err()
}

/// All orders of the items.
fn orders(items: &[&'static str]) -> Vec<Vec<&'static str>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(index);
        for mut order in orders(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

#[test]
fn the_order_of_the_keys_does_not_matter() {
    let fields = [
        r#""publish":"lobby""#,
        r#""data":[1,{"join":"no verb in here"}]"#,
        r#""event":"join""#,
        r#""id":"publish""#,
        r#""unknown":{"leave":"x"}"#,
        r#""ref":"r""#,
    ];
    let canonical = r#"{"publish":"lobby","data":[1,{"join":"no verb in here"}],"event":"join","id":"publish","ref":"r"}"#;
    for order in orders(&fields) {
        let unit = format!("{{{}}}", order.join(","));
        assert_eq!(
            encoded(&decode_request(unit.as_bytes()).unwrap()),
            canonical
        );
    }
}

#[test]
fn any_two_verbs_are_one_too_many() {
    for first in Verb::NAMES {
        for second in Verb::NAMES {
            let unit = format!(r#"{{"{first}":"a","{second}":null,"ref":9}}"#);
            if [first, second].contains(&"state") && [first, second].contains(&"join") {
                // Beside `join` it is a field.
                continue;
            }
            let rejected = rejected(unit.as_bytes());
            let code = if first == second {
                "bad-field"
            } else {
                "two-verbs"
            };
            assert_eq!(rejected.code, code, "{unit}");
            assert_eq!(rejected.reference.unwrap().get(), "9");
        }
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_even_with_the_same_value() {
    for field in ["data", "event", "as", "ref", "limit"] {
        let unit = format!(r#"{{"publish":"a","{field}":1,"data":1,"{field}":1}}"#);
        assert_eq!(rejected(unit.as_bytes()).code, "bad-field", "{unit}");
    }
    let escaped = br#"{"join":"a","jo\u0069n":"b"}"#;
    assert_eq!(rejected(escaped).text, "\"join\" stands twice");
}

#[test]
fn unknown_fields_are_ignored_whatever_they_hold() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for value in ["1e999", r#""\ud800""#, "{\"a\":[true]}", &deep] {
        let unit = format!(r#"{{"x":{value},"leave":"a","x":{value}}}"#);
        let request = decode_request(unit.as_bytes()).unwrap();
        assert_eq!(encoded(&request), r#"{"leave":"a"}"#);
    }
}

#[test]
fn fields_of_other_verbs_are_ignored() {
    let request = decode_request(br#"{"leave":"a","since":5,"data":"x","rewind":-1}"#).unwrap();
    assert_eq!(encoded(&request), r#"{"leave":"a"}"#);
}

#[test]
fn what_is_not_one_object_is_bad_json() {
    for unit in [
        &b""[..],
        b" ",
        b"null",
        b"[]",
        b"{} {}",
        b"{\"join\":\"a\"}}",
        b"{\"join\":\"a\",}",
        b"{'join':'a'}",
        b"{\"join\":\"a\nb\"}",
        b"{\"join\":\"\xff\"}",
        b"\xef\xbb\xbf{\"join\":\"a\"}",
        b"{\"\\ud800\":1,\"join\":\"a\"}",
        b"{\"join\":\"a\",\"ref\":01}",
    ] {
        assert_eq!(rejected(unit).code, "bad-json", "{}", unit.escape_ascii());
    }
}

#[test]
fn a_misspelt_verb_is_guessed_in_bounded_time_and_space() {
    let text = |unit: &str| rejected(unit.as_bytes()).text.into_owned();
    assert!(text(r#"{"colour":1,"publsih":"a"}"#).ends_with(r#"did you mean "publish"?"#));
    let many: Vec<String> = (0..10_000)
        .map(|n| format!(r#""{n}{}":1"#, "é".repeat(40)))
        .collect();
    assert!(text(&format!("{{{}}}", many.join(","))).len() < 400);
}
