//! A file is answered with what it is: its bytes, type, length and validators.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use site::{CHANGED_DATE, NOW, Site, ask, body, get, get_if, text};
use taut_files::{Conditions, Method, Request, Settings};

#[test]
fn a_file_comes_with_its_type_and_validators() {
    let files = Site::with("sub/hello.js", "let a = 1;\n");
    let files = files.open();
    let answer = get(&files, "/sub/hello.js");
    assert_eq!(answer.status, 200);
    assert_eq!(body(&answer), b"let a = 1;\n");
    assert_eq!(answer.content_length(), Some(11));
    assert_eq!(
        answer.field("Content-Type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(answer.field("Last-Modified"), Some(CHANGED_DATE));
    assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(answer.field("Cache-Control"), Some("no-cache"));
    assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
    let etag = answer.field("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2);
    assert!(answer.fault.is_none());
}

#[test]
fn head_says_the_same_and_sends_nothing() {
    let site = Site::with("a.txt", "some text");
    let files = site.open();
    let conditions = Conditions::default();
    let whole = get(&files, "/a.txt");
    let head = ask(&files, Method::Head, "/a.txt", &conditions);
    assert_eq!(head.status, whole.status);
    assert_eq!(head.fields, whole.fields);
    assert_eq!(head.content_length(), Some(9));
    let missing = ask(&files, Method::Head, "/b.txt", &conditions);
    assert_eq!(missing.status, 404);
    assert_eq!(missing.length, get(&files, "/b.txt").length);
}

#[test]
fn an_empty_file_is_an_empty_body() {
    let site = Site::with("empty", "");
    let answer = get(&site.open(), "/empty");
    assert_eq!((answer.status, answer.content_length()), (200, Some(0)));
    assert!(answer.body.is_empty());
}

#[test]
fn names_may_hold_any_character() {
    let site = Site::new();
    for name in ["a b.txt", "ä.txt", "100%.txt", "a?b#c.txt", "a:b", "%2e%2e"] {
        site.write(name, name);
    }
    let files = site.open();
    for (path, name) in [
        ("/a%20b.txt", "a b.txt"),
        ("/%C3%A4.txt", "ä.txt"),
        ("/ä.txt", "ä.txt"),
        ("/100%25.txt", "100%.txt"),
        ("/a%3Fb%23c.txt", "a?b#c.txt"),
        ("/a:b", "a:b"),
        ("/%252e%252e", "%2e%2e"),
    ] {
        assert_eq!(text(&get(&files, path)), name, "{path}");
    }
}

#[test]
fn a_name_that_is_not_utf8_is_found() {
    use std::os::unix::ffi::OsStrExt as _;
    let site = Site::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(site.folder().join(name), "latin").unwrap();
    assert_eq!(text(&get(&site.open(), "/caf%E9.txt")), "latin");
}

#[test]
fn what_is_not_there_is_a_404_for_programs_and_for_people() {
    let files = Site::with("a.txt", "a");
    let files = files.open();
    for path in [
        "/b.txt",
        "/a.txt/",
        "/a.txt/b",
        "/A.TXT",
        "/a.txt%00",
        "/%00",
        &format!("/{}", "x".repeat(5_000)),
    ] {
        let answer = get(&files, path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.field("Content-Type"),
            Some("application/problem+json")
        );
        assert!(text(&answer).contains("no-such-file"));
        assert!(answer.fault.is_none(), "{path}");
    }
    let browser = Conditions {
        accept: Some("text/html,application/xhtml+xml,*/*;q=0.8".to_owned()),
        ..Conditions::default()
    };
    let answer = get_if(&files, "/b.txt", &browser);
    assert_eq!(
        answer.field("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert!(text(&answer).contains("404 Not Found"));
}

#[test]
fn a_path_that_is_none_is_a_400() {
    let site = Site::with("a.txt", "a");
    for path in ["", "a.txt", "*", "/%", "/%4", "/%zz", "/a.txt%"] {
        assert_eq!(get(&site.open(), path).status, 400, "{path}");
    }
}

#[test]
fn a_change_is_another_etag() {
    let site = Site::with("a.txt", "one");
    let files = site.open();
    let etag = || get(&files, "/a.txt").field("ETag").unwrap().to_owned();
    let first = etag();
    assert_eq!(first, etag());
    site.write("a.txt", "three");
    let longer = etag();
    site.change_at("a.txt", NOW - 5);
    let later = etag();
    site.write("b.txt", "three");
    std::fs::rename(site.path("b.txt"), site.path("a.txt")).unwrap();
    site.change_at("a.txt", NOW - 5);
    let replaced = etag();
    let all = [first, longer, later, replaced];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[index + 1..].contains(one), "{all:?}");
    }
}

#[test]
fn last_modified_is_never_in_the_future() {
    let site = Site::with("a.txt", "a");
    site.change_at("a.txt", NOW + 3_600);
    let answer = get(&site.open(), "/a.txt");
    assert_eq!(
        answer.field("Last-Modified"),
        Some("Sat, 21 Nov 2026 00:00:00 GMT")
    );
}

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was() {
    let site = Site::with("a.txt", "old content");
    let files = site.open();
    let answer = get(&files, "/a.txt");
    site.write("new", "new");
    std::fs::rename(site.path("new"), site.path("a.txt")).unwrap();
    assert_eq!(text(&answer), "old content");
    assert_eq!(text(&get(&files, "/a.txt")), "new");
}

#[test]
fn the_folder_stays_the_one_that_was_opened() {
    let site = Site::with("a.txt", "mine");
    let files = site.open();
    std::fs::rename(site.folder(), site.outer.join("moved")).unwrap();
    site.write("a.txt", "another's");
    assert_eq!(text(&get(&files, "/a.txt")), "mine");
}

#[test]
fn cache_control_is_as_set() {
    let site = Site::with("a.txt", "a");
    for value in [None, Some("public, max-age=60")] {
        let files = site.open_with(Settings {
            cache_control: value.map(str::to_owned),
            ..Settings::default()
        });
        assert_eq!(get(&files, "/a.txt").field("Cache-Control"), value);
    }
}

#[test]
fn an_answer_can_go_to_another_thread() {
    let site = Site::with("a.txt", "a");
    let files = std::sync::Arc::new(site.open());
    let (path, conditions) = ("/a.txt".to_owned(), Conditions::default());
    let answer = std::thread::spawn(move || {
        let request = Request {
            method: Method::Get,
            path: &path,
            query: None,
            conditions: &conditions,
        };
        files.answer(&request, NOW)
    });
    assert_eq!(text(&answer.join().unwrap()), "a");
}
