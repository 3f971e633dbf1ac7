//! Files are read, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use site::{Site, ask};
use taut_files::{Conditions, Method};
use taut_wire::http;

#[test]
fn options_tells_the_methods() {
    let site = Site::with("a.txt", "a");
    for path in ["/a.txt", "/nothing", "*"] {
        let answer = ask(&site.open(), Method::Options, path, &Conditions::default());
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(answer.content_length(), None);
    }
}

#[test]
fn any_other_method_is_refused_and_told_which_there_are() {
    let site = Site::with("a.txt", "a");
    let answer = ask(
        &site.open(),
        Method::Other,
        "/a.txt",
        &Conditions::default(),
    );
    assert_eq!(answer.status, 405);
    assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn methods_come_from_a_head() {
    for (name, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("OPTIONS", Method::Options),
        ("POST", Method::Other),
        ("get", Method::Other),
        ("PROPFIND", Method::Other),
    ] {
        assert_eq!(Method::from(http::Method::from_name(name)), method);
    }
}
