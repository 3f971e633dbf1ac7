//! Parts of a file (RFC 9110 §14).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use proptest::prelude::*;
use site::{CHANGED_DATE, Site, ask, body, get, get_if, text};
use taut_files::{Answer, Conditions, Files, Method};

const CONTENT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn range(files: &Files, value: &str) -> Answer {
    let conditions = Conditions {
        range: Some(value.to_owned()),
        ..Conditions::default()
    };
    get_if(files, "/a.txt", &conditions)
}

#[test]
fn one_range_is_sent_alone() {
    let site = Site::with("a.txt", CONTENT);
    let files = site.open();
    for (value, sent, place) in [
        ("bytes=0-0", "0", "0-0"),
        ("bytes=10-12", "abc", "10-12"),
        ("bytes=33-", "xyz", "33-35"),
        ("bytes=33-999", "xyz", "33-35"),
        ("bytes=35-99999999999999999999999", "z", "35-35"),
        ("bytes=-2", "yz", "34-35"),
        ("bytes=-999", CONTENT, "0-35"),
        ("bytes=0-", CONTENT, "0-35"),
        ("BYTES = 1-1", "1", "1-1"),
        ("bytes=, 1-1 ,,", "1", "1-1"),
        // Those that overlap or touch become one.
        ("bytes=0-3,2-5", "012345", "0-5"),
        ("bytes=0-1,2-3", "0123", "0-3"),
        ("bytes=4-5,0-1,2-3", "012345", "0-5"),
        // One of two is beyond the end.
        ("bytes=99-,0-1", "01", "0-1"),
        ("bytes=-0,0-1", "01", "0-1"),
    ] {
        let answer = range(&files, value);
        assert_eq!(answer.status, 206, "{value}");
        assert_eq!(text(&answer), sent, "{value}");
        let place = format!("bytes {place}/36");
        assert_eq!(
            answer.field("Content-Range"),
            Some(place.as_str()),
            "{value}"
        );
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(answer.field("ETag").is_some());
    }
}

#[test]
fn several_ranges_are_parts_of_one_body_in_the_order_asked_for() {
    let site = Site::with("a.txt", CONTENT);
    let answer = range(&site.open(), "bytes=30-31, 0-1,-1");
    assert_eq!(answer.status, 206);
    assert_eq!(answer.field("Content-Range"), None);
    let boundary = answer
        .field("Content-Type")
        .and_then(|kind| kind.strip_prefix("multipart/byteranges; boundary="))
        .unwrap();
    let part = |place: &str, bytes: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {place}/36\r\n\r\n{bytes}\r\n"
        )
    };
    let expected = [
        part("30-31", "uv"),
        part("0-1", "01"),
        part("35-35", "z"),
        format!("--{boundary}--\r\n"),
    ];
    assert_eq!(text(&answer), expected.concat());
}

#[test]
fn what_is_beyond_the_end_is_a_416_with_the_length() {
    let site = Site::with("a.txt", CONTENT);
    let files = site.open();
    for value in [
        "bytes=36-",
        "bytes=36-40",
        "bytes=-0",
        "bytes=99-,100-101",
        "bytes=99999999999999999999999-",
    ] {
        let answer = range(&files, value);
        assert_eq!(answer.status, 416, "{value}");
        assert_eq!(answer.field("Content-Range"), Some("bytes */36"));
    }
}

#[test]
fn what_cannot_be_read_or_is_too_much_gets_the_whole_file() {
    let site = Site::with("a.txt", CONTENT);
    let files = site.open();
    let many: Vec<String> = (0..17).map(|n| format!("{n}-{n}")).collect();
    let many = format!("bytes={}", many.join(","));
    for value in [
        "lines=0-1",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=1",
        "bytes=-",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0-1,x",
        "bytes=0x0-0x1",
        "0-1",
        &many,
    ] {
        let answer = range(&files, value);
        assert_eq!((answer.status, answer.length), (200, 36), "{value}");
    }
    let sixteen: Vec<String> = (0..16).map(|n| format!("{}-{}", n * 2, n * 2)).collect();
    let answer = range(&files, &format!("bytes={}", sixteen.join(",")));
    assert_eq!(answer.status, 206);
}

#[test]
fn an_empty_file_is_sent_whole() {
    let site = Site::with("a.txt", "");
    for value in ["bytes=0-", "bytes=-5", "bytes=0-0,5-6"] {
        let answer = range(&site.open(), value);
        assert_eq!((answer.status, answer.length), (200, 0), "{value}");
    }
}

#[test]
fn ranges_are_for_get_only() {
    let site = Site::with("a.txt", CONTENT);
    let conditions = Conditions {
        range: Some("bytes=0-1".to_owned()),
        ..Conditions::default()
    };
    let answer = ask(&site.open(), Method::Head, "/a.txt", &conditions);
    assert_eq!((answer.status, answer.content_length()), (200, Some(36)));
}

#[test]
fn a_range_counts_only_if_the_client_has_the_same_file() {
    let site = Site::with("a.txt", CONTENT);
    let files = site.open();
    let etag = get(&files, "/a.txt").field("ETag").unwrap().to_owned();
    let weak = format!("W/{etag}");
    let list = format!("{etag}, {etag}");
    for (value, status) in [
        (etag.as_str(), 206),
        (CHANGED_DATE, 206),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 206),
        (weak.as_str(), 200),
        (list.as_str(), 200),
        ("\"another\"", 200),
        ("*", 200),
        ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("nonsense", 200),
    ] {
        let conditions = Conditions {
            range: Some("bytes=0-1".to_owned()),
            if_range: Some(value.to_owned()),
            ..Conditions::default()
        };
        let answer = get_if(&files, "/a.txt", &conditions);
        assert_eq!(answer.status, status, "{value}");
    }
}

#[test]
fn a_date_says_nothing_about_a_file_that_changes_this_very_second() {
    let site = Site::with("a.txt", CONTENT);
    site.change_at("a.txt", site::NOW);
    let conditions = Conditions {
        range: Some("bytes=0-1".to_owned()),
        if_range: Some("Sat, 21 Nov 2026 00:00:00 GMT".to_owned()),
        ..Conditions::default()
    };
    assert_eq!(get_if(&site.open(), "/a.txt", &conditions).status, 200);
}

/// (first, last) of a part, and its bytes.
fn parts_of(answer: &Answer) -> Vec<(usize, usize, Vec<u8>)> {
    let place = |text: &str| {
        let (first, last) = text.strip_suffix("/36").unwrap().split_once('-').unwrap();
        (
            first.parse::<usize>().unwrap(),
            last.parse::<usize>().unwrap(),
        )
    };
    let all = body(answer);
    if let Some(value) = answer.field("Content-Range") {
        let (first, last) = place(value.strip_prefix("bytes ").unwrap());
        return vec![(first, last, all)];
    }
    let all = String::from_utf8(all).unwrap();
    let boundary = answer
        .field("Content-Type")
        .unwrap()
        .split_once("boundary=")
        .unwrap()
        .1;
    all.split(&format!("--{boundary}"))
        .filter_map(|part| part.split_once("\r\n\r\n"))
        .map(|(head, bytes)| {
            let (first, last) = place(head.split_once("Content-Range: bytes ").unwrap().1);
            (
                first,
                last,
                bytes.strip_suffix("\r\n").unwrap().as_bytes().to_vec(),
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn every_byte_asked_for_comes_once_and_is_the_right_one(spans in prop::collection::vec((0_usize..50, 0_usize..50), 1..16)) {
        let site = Site::with("a.txt", CONTENT);
        let specs: Vec<String> = spans.iter().map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))).collect();
        let answer = range(&site.open(), &format!("bytes={}", specs.join(",")));
        let wanted: Vec<bool> = (0..36).map(|at| spans.iter().any(|(a, b)| (a.min(b)..=a.max(b)).contains(&&at))).collect();
        if !wanted.contains(&true) {
            prop_assert_eq!(answer.status, 416);
            return Ok(());
        }
        prop_assert_eq!(answer.status, 206);
        let mut got = vec![false; 36];
        for (first, last, bytes) in parts_of(&answer) {
            prop_assert_eq!(&CONTENT.as_bytes()[first..=last], bytes.as_slice());
            for place in &mut got[first..=last] {
                prop_assert!(!*place, "sent twice");
                *place = true;
            }
        }
        prop_assert_eq!(got, wanted);
    }

    #[test]
    fn no_range_is_a_panic(value in "(bytes=)?[-0-9, a=]{0,40}") {
        let site = Site::with("a.txt", CONTENT);
        range(&site.open(), &value);
    }
}
