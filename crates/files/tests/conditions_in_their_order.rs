//! Conditional requests are evaluated in the order of RFC 9110 §13.2.2.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use site::{CHANGED_DATE, Site, ask, get, get_if};
use taut_files::{Conditions, Method};
use taut_wire::http::{Limits, parse_request};

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const NO_DATE: &str = "the other day";

/// Whatever is given as a field, `ETAG` in it is the file's own.
fn status(set: impl Fn(&mut Conditions, &dyn Fn(&str) -> Option<String>)) -> u16 {
    let site = Site::with("a.txt", "a");
    let files = site.open();
    let etag = get(&files, "/a.txt").field("ETag").unwrap().to_owned();
    let mut conditions = Conditions::default();
    set(&mut conditions, &|text| Some(text.replace("ETAG", &etag)));
    let answer = get_if(&files, "/a.txt", &conditions);
    let head = ask(&files, Method::Head, "/a.txt", &conditions);
    assert_eq!(answer.status, head.status);
    assert_eq!(answer.fields, head.fields);
    answer.status
}

#[test]
fn if_none_match_compares_weakly() {
    for (tags, expected) in [
        ("ETAG", 304),
        ("W/ETAG", 304),
        ("\"x\", ETAG", 304),
        ("\"x\" , W/\"y\",W/ETAG", 304),
        ("*", 304),
        (" * ", 304),
        ("\"x\"", 200),
        ("", 200),
        ("nonsense", 200),
        ("w/ETAG", 200),
    ] {
        let given = status(|conditions, text| conditions.if_none_match = text(tags));
        assert_eq!(given, expected, "{tags}");
    }
}

#[test]
fn if_match_compares_strongly() {
    for (tags, expected) in [
        ("ETAG", 200),
        ("\"x\", ETAG", 200),
        ("*", 200),
        ("W/ETAG", 412),
        ("\"x\"", 412),
        ("\u{fffd}", 412),
        ("", 412),
    ] {
        let given = status(|conditions, text| conditions.if_match = text(tags));
        assert_eq!(given, expected, "{tags}");
    }
}

#[test]
fn dates_are_compared_by_the_second_in_all_formats() {
    for (date, since, unless) in [
        (CHANGED_DATE, 304, 200),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 304, 200),
        ("Sun Nov  6 08:49:37 1994", 304, 200),
        (AFTER, 304, 200),
        (BEFORE, 200, 412),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 200, 412),
        (NO_DATE, 200, 200),
    ] {
        let given = status(|conditions, text| conditions.if_modified_since = text(date));
        assert_eq!(given, since, "If-Modified-Since: {date}");
        let given = status(|conditions, text| conditions.if_unmodified_since = text(date));
        assert_eq!(given, unless, "If-Unmodified-Since: {date}");
    }
}

#[test]
fn a_tag_comes_before_a_date_and_refusals_before_the_rest() {
    let given = status(|conditions, text| {
        conditions.if_none_match = text("\"x\"");
        conditions.if_modified_since = text(AFTER);
    });
    assert_eq!(given, 200, "the tag differs, so the date does not count");
    let given = status(|conditions, text| {
        conditions.if_match = text("ETAG");
        conditions.if_unmodified_since = text(BEFORE);
    });
    assert_eq!(
        given, 200,
        "the tag is the same, so the date does not count"
    );
    let given = status(|conditions, text| {
        conditions.if_match = text("\"x\"");
        conditions.if_none_match = text("ETAG");
    });
    assert_eq!(given, 412);
    let given = status(|conditions, text| {
        conditions.if_match = text("ETAG");
        conditions.if_none_match = text("ETAG");
        conditions.range = text("bytes=9-");
    });
    assert_eq!(given, 304, "a range is looked at last");
}

#[test]
fn a_304_says_what_a_cache_must_know() {
    let site = Site::with("a.txt", "a");
    let files = site.open();
    let whole = get(&files, "/a.txt");
    let conditions = Conditions {
        if_none_match: whole.field("ETag").map(str::to_owned),
        ..Conditions::default()
    };
    let answer = get_if(&files, "/a.txt", &conditions);
    assert_eq!((answer.status, answer.content_length()), (304, None));
    for name in ["ETag", "Last-Modified", "Cache-Control", "Vary"] {
        assert_eq!(answer.field(name), whole.field(name), "{name}");
    }
    assert_eq!(answer.field("Content-Type"), None);
}

#[test]
fn conditions_do_not_matter_for_what_is_not_there() {
    let site = Site::with("a.txt", "a");
    let conditions = Conditions {
        if_match: Some("*".to_owned()),
        if_none_match: Some("*".to_owned()),
        range: Some("bytes=0-".to_owned()),
        ..Conditions::default()
    };
    assert_eq!(get_if(&site.open(), "/b.txt", &conditions).status, 404);
}

#[test]
fn conditions_come_from_a_head() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nif-none-match: \"a\"\r\nIf-None-Match: \"b\"\r\nRange: bytes=0-1\r\nIf-Range: \"c\"\r\nIf-Match: *\r\n\
        If-Modified-Since: x\r\nIf-Unmodified-Since: y\r\nIf-Unmodified-Since: z\r\nAccept: a/b\r\nAccept: c/d\r\nAccept-Encoding: br\r\n\r\n";
    let (request, _) = parse_request(head, &Limits::default()).unwrap().unwrap();
    let text = |text: &str| Some(text.to_owned());
    let expected = Conditions {
        if_match: text("*"),
        if_none_match: text("\"a\", \"b\""),
        if_modified_since: text("x"),
        if_unmodified_since: None,
        range: text("bytes=0-1"),
        if_range: text("\"c\""),
        accept: text("a/b, c/d"),
        accept_encoding: text("br"),
    };
    assert_eq!(Conditions::from_headers(&request.headers), expected);
}
