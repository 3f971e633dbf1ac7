//! A folder answers with its index, behind a slash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use site::{NOW, Site, ask, get, text};
use taut_files::{Conditions, Files, Method, OpenError, Request, Settings};

#[test]
fn the_index_answers_for_its_folder() {
    let site = Site::with("index.html", "top");
    site.write("sub/index.html", "below");
    let files = site.open();
    for (path, expected) in [
        ("/", "top"),
        ("/index.html", "top"),
        ("/sub/", "below"),
        ("/sub/index.html", "below"),
    ] {
        let answer = get(&files, path);
        assert_eq!((answer.status, text(&answer).as_str()), (200, expected));
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/html; charset=utf-8")
        );
    }
}

#[test]
fn without_its_slash_a_folder_is_redirected_to_it() {
    let site = Site::with("a b/ü/index.html", "x");
    site.write("a b/index.html", "y");
    let files = site.open();
    let conditions = Conditions::default();
    for (path, query, location) in [
        ("/a%20b", None, "/a%20b/"),
        ("/a b", None, "/a%20b/"),
        (
            "/a%20b/%C3%BC",
            Some("x=1&y=%20"),
            "/a%20b/%C3%BC/?x=1&y=%20",
        ),
        (
            "/a%20b",
            Some("a\r\nSet-Cookie: b"),
            "/a%20b/?aSet-Cookie:b",
        ),
        ("/a%20b", Some(""), "/a%20b/?"),
    ] {
        let request = Request {
            method: Method::Get,
            path,
            query,
            conditions: &conditions,
        };
        let answer = files.answer(&request, NOW);
        assert_eq!(answer.status, 301, "{path}");
        assert_eq!(answer.field("Location"), Some(location));
        assert_eq!(answer.content_length(), Some(0));
    }
}

#[test]
fn a_redirect_never_names_another_host() {
    let site = Site::with("evil.example/index.html", "x");
    site.write("index.html", "top");
    let files = site.open();
    for path in [
        "//evil.example",
        "//evil.example/",
        "///evil.example",
        "/%2Fevil.example",
        "/%5Cevil.example",
        "/\\evil.example",
        "//evil.example/..",
        "/./evil.example",
        "//",
    ] {
        let answer = get(&files, path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.field("Location"), None);
    }
}

#[test]
fn a_folder_without_an_index_is_not_there() {
    let site = Site::with("sub/a.txt", "a");
    site.folder_at("odd/index.html");
    let files = site.open();
    let nothing = get(&files, "/nothing");
    for path in ["/", "/sub/", "/sub", "/odd/", "/odd"] {
        let answer = get(&files, path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.fields, nothing.fields);
        assert_eq!(text(&answer), text(&nothing));
    }
}

#[test]
fn the_index_is_the_one_that_is_set() {
    let site = Site::with("start.txt", "start");
    site.write("index.html", "index");
    let with = |index: &str| {
        site.open_with(Settings {
            index: index.to_owned(),
            ..Settings::default()
        })
    };
    assert_eq!(text(&get(&with("start.txt"), "/")), "start");
    assert_eq!(get(&with(""), "/").status, 404);
    assert_eq!(get(&with("../outside"), "/").status, 404);
}

#[test]
fn head_of_a_folder_is_like_get() {
    let site = Site::with("sub/index.html", "12345");
    let files = site.open();
    let head = |path| ask(&files, Method::Head, path, &Conditions::default());
    assert_eq!(head("/sub/").content_length(), Some(5));
    assert_eq!(head("/sub").field("Location"), Some("/sub/"));
}

#[test]
fn what_is_no_folder_is_not_opened() {
    let site = Site::with("a.txt", "a");
    let open = |name| Files::open(&site.path(name), Settings::default());
    let error = open("a.txt").unwrap_err();
    assert!(matches!(error, OpenError::NotAFolder { .. }), "{error}");
    let error = open("nothing").unwrap_err();
    assert!(matches!(error, OpenError::Unopened { .. }), "{error}");
    assert!(error.to_string().contains("nothing"), "{error}");
}
