//! References, labels and numbers keep to their bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_wire::native::{
    BATCH_MESSAGES_MAX, LABEL_BYTES_MAX, REFERENCE_BYTES_MAX, Rewind, SOCKET_IO_EVENTS, Verb,
    check_event, check_id, check_key, decode_request,
};

#[test]
fn a_ref_comes_back_as_it_came() {
    for reference in [
        "0",
        "-1.50e+400",
        "18446744073709551617",
        r#""\u00e9 x""#,
        r#""""#,
    ] {
        let unit = format!(r#"{{"ping":0,"ref" : {reference} }}"#);
        let request = decode_request(unit.as_bytes()).unwrap();
        assert_eq!(request.reference.unwrap().get(), reference);
    }
    assert!(
        decode_request(br#"{"ping":0,"ref":null}"#)
            .unwrap()
            .reference
            .is_none()
    );
}

#[test]
fn a_ref_is_a_short_number_or_string() {
    let longest = format!("\"{}\"", "r".repeat(REFERENCE_BYTES_MAX - 2));
    assert!(decode_request(format!(r#"{{"ping":0,"ref":{longest}}}"#).as_bytes()).is_ok());
    let longer = format!("1{}", "0".repeat(REFERENCE_BYTES_MAX));
    for wrong in ["true", "{}", "[1]", &longer] {
        let unit = format!(r#"{{"ping":0,"ref":{wrong}}}"#);
        let rejected = decode_request(unit.as_bytes()).unwrap_err();
        assert_eq!(rejected.code, "bad-field");
        assert!(rejected.reference.is_none());
    }
}

#[test]
fn labels_are_short_and_on_one_line() {
    for check in [check_event, check_key, check_id] {
        assert!(check(&"e".repeat(LABEL_BYTES_MAX)).is_ok());
        assert!(check("chess move é").is_ok());
        for wrong in ["", "a\nb", "a\rb", "a\0b", "a\u{85}b", "a\u{2028}b"] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        assert!(check(&"e".repeat(LABEL_BYTES_MAX + 1)).is_err());
    }
    assert!(check_event("taut:gap").is_err());
    assert!(check_event("tautology").is_ok());
}

#[test]
fn a_number_too_large_to_mean_anything_is_the_largest() {
    let unit = br#"{"history":"a","limit":99999999999999999999,"rewind":0}"#;
    match decode_request(unit).unwrap().verb {
        Verb::History { limit, rewind, .. } => {
            assert_eq!((limit, rewind), (Some(u32::MAX), Some(Rewind::Count(0))));
        }
        other => panic!("{other:?}"),
    }
    for wrong in ["1.0", "1e3", "-0", "\"5\"", "true"] {
        let unit = format!(r#"{{"history":"a","limit":{wrong}}}"#);
        assert!(decode_request(unit.as_bytes()).is_err(), "{wrong}");
    }
}

fn refusal(unit: &str) -> String {
    let rejected = decode_request(unit.as_bytes()).unwrap_err();
    assert_eq!(rejected.code, "bad-field", "{unit}");
    rejected.text.into_owned()
}

#[test]
fn beside_join_state_is_a_field_and_elsewhere_a_verb() {
    for (unit, expected) in [
        (r#"{"join":"a","state":true}"#, true),
        (r#"{"state":false,"join":"a"}"#, false),
        (r#"{"join":"a","state":null}"#, false),
    ] {
        match decode_request(unit.as_bytes()).unwrap().verb {
            Verb::Join { state, .. } => assert_eq!(state, expected, "{unit}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        refusal(r#"{"join":"a","state":"a"}"#),
        "\"state\" must be true or false"
    );
    assert_eq!(refusal(r#"{"state":true}"#), "\"state\" must be a string");
}

#[test]
fn a_batch_has_one_message_at_least_and_a_bounded_number() {
    let of = |count: usize| {
        let messages = vec![r#"{"data":1}"#; count].join(",");
        format!(r#"{{"publish":"a","batch":[{messages}]}}"#)
    };
    assert!(decode_request(of(BATCH_MESSAGES_MAX).as_bytes()).is_ok());
    assert!(refusal(&of(0)).contains("at least one"));
    assert!(refusal(&of(BATCH_MESSAGES_MAX + 1)).contains("at most 256"));
    for wrong in ["{}", "7", "\"x\"", "true"] {
        let unit = format!(r#"{{"publish":"a","batch":{wrong}}}"#);
        assert_eq!(refusal(&unit), "a batch must be a list of messages");
    }
}

#[test]
fn what_is_wrong_in_a_batch_is_said_with_its_number() {
    let second = |message: &str| {
        refusal(&format!(
            r#"{{"publish":"a","batch":[{{"data":1}},{message}]}}"#
        ))
    };
    assert_eq!(
        second("{}"),
        "message 2 of the batch: a message needs \"data\", \"base64\" or \"args\""
    );
    assert!(second("[1]").contains("one JSON object"));
    assert!(second(r#"{"data":1,"id":"x"}"#).contains("beside the batch"));
    assert!(second(r#"{"data":1,"expect":null}"#).contains("\"expect\" needs \"key\""));
    assert!(second(r#"{"data":1,"event":"taut:x"}"#).contains("the server's own"));
    assert!(second(r#"{"data":1,"data":2}"#).contains("stands twice"));
    assert!(second(r#"{"data":1,"event":"disconnect"}"#).contains("Socket.IO clients"));
    assert!(second(r#"{"data":1,"args":[]}"#).contains("exclude each other"));
    for field in ["data", "args", "event", "key", "ttl_ms", "expect"] {
        let unit = format!(r#"{{"publish":"a","batch":[{{"data":1}}],"{field}":"x"}}"#);
        assert!(refusal(&unit).contains("beside \"batch\""), "{unit}");
    }
}

#[test]
fn events_that_socket_io_clients_would_believe_are_refused() {
    for event in SOCKET_IO_EVENTS {
        for verb in [r#""publish":"a""#, r#""set":"a","key":"k""#] {
            let unit = format!(r#"{{{verb},"data":1,"event":"{event}"}}"#);
            assert_eq!(
                refusal(&unit),
                format!(
                    "Socket.IO clients would take the event {event} for their own; choose another name"
                )
            );
        }
    }
    for event in ["connected", "Connect", "error", "newlistener", " connect"] {
        assert_eq!(check_event(event), Ok(()));
    }
}

#[test]
fn what_is_expected_of_a_key_needs_one() {
    for field in [r#""expect":"p-1""#, r#""expect":null"#, r#""ttl_ms":5"#] {
        assert!(
            refusal(&format!(r#"{{"publish":"a","data":1,{field}}}"#)).contains("needs \"key\"")
        );
    }
    for verb in ["set", "delete", "get"] {
        let unit = format!(r#"{{"{verb}":"a","data":1}}"#);
        assert_eq!(refusal(&unit), format!("\"{verb}\" needs \"key\""));
    }
    assert!(refusal(r#"{"set":"a","key":"k","data":1,"expect":5}"#).contains("position"));
}

#[test]
fn what_a_user_says_of_itself_stays_on_one_line() {
    use taut_wire::native::{Member, Reply, Roster};
    let unit = b"{\"join\":\"a\",\"data\":{\"x\":1,\n\r\n\"y\":2}}";
    let request = decode_request(unit).unwrap();
    let mut out = Vec::new();
    request.encode(&mut out);
    assert!(!out.contains(&b'\n') && !out.contains(&b'\r'), "{out:?}");
    let Verb::Join { data, .. } = request.verb else {
        panic!("a join");
    };
    let member = Member {
        name: "ana".into(),
        user: None,
        door: "websocket".into(),
        id: "0-1".into(),
        conns: Vec::new(),
        conns_count: 1,
        data,
    };
    let mut out = Vec::new();
    Reply::Who {
        reference: None,
        room: "a".into(),
        roster: Roster {
            count: 1,
            conns: 1,
            members: vec![member],
        },
    }
    .encode(&mut out);
    assert!(!out.contains(&b'\n') && !out.contains(&b'\r'), "{out:?}");
}
