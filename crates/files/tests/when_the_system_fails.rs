//! A failure of this side is a 500 with a reason for the log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use site::{Site, get, text};

#[test]
fn too_many_open_files_are_a_500_and_not_a_404() {
    let site = Site::with("a\u{1b}.txt", "a");
    let files = site.open();
    let before = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        ..before
    };
    setrlimit(Resource::Nofile, none).unwrap();
    let answer = get(&files, "/a%1B.txt");
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!(answer.status, 500);
    assert!(!text(&answer).contains("a.txt"));
    let fault = answer.fault.unwrap().to_string();
    assert!(
        fault.starts_with("/a\\u{1b}.txt: Too many open files"),
        "{fault}"
    );
    assert_eq!(get(&files, "/a%1B.txt").status, 200);
}
