//! References, labels and numbers keep to their bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_wire::native::{
    LABEL_BYTES_MAX, REFERENCE_BYTES_MAX, Verb, check_event, check_id, check_key, decode_request,
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
            assert_eq!((limit, rewind), (Some(u32::MAX), Some(0)));
        }
        other => panic!("{other:?}"),
    }
    for wrong in ["1.0", "1e3", "-0", "\"5\"", "true"] {
        let unit = format!(r#"{{"history":"a","limit":{wrong}}}"#);
        assert!(decode_request(unit.as_bytes()).is_err(), "{wrong}");
    }
}
