//! The tables of PROTOCOL.md and of the code are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_wire::native::codes::{BYES, ERRORS};
use taut_wire::native::{DEPTH_MAX, LABEL_BYTES_MAX, REFERENCE_BYTES_MAX};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../PROTOCOL.md"));

/// The rows under a heading, each as its cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split_once(&format!("\n{heading}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn every_refusal_stands_in_both() {
    let written: Vec<(String, String)> = rows("## Refusals")
        .iter()
        .map(|cells| (cells[0].to_owned(), cells[1].to_owned()))
        .collect();
    let coded: Vec<(String, String)> = ERRORS
        .iter()
        .map(|error| (format!("`{}`", error.code), error.status.to_string()))
        .collect();
    assert_eq!(written, coded);
}

#[test]
fn every_farewell_stands_in_both() {
    let written: Vec<[String; 3]> = rows("## Farewells")
        .iter()
        .map(|cells| [0, 1, 2].map(|index| cells[index].to_owned()))
        .collect();
    let coded: Vec<[String; 3]> = BYES
        .iter()
        .map(|bye| {
            let closes: Vec<String> = bye.closes.iter().map(u16::to_string).collect();
            let back = if bye.comes_back { "yes" } else { "no" };
            [
                format!("`{}`", bye.code),
                closes.join(", "),
                back.to_owned(),
            ]
        })
        .collect();
    assert_eq!(written, coded);
}

#[test]
fn no_code_stands_twice() {
    for (index, error) in ERRORS.iter().enumerate() {
        assert!(ERRORS[..index].iter().all(|other| other.code != error.code));
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    assert!(PAGE.contains(&format!("| `ref` | {REFERENCE_BYTES_MAX} bytes as JSON |")));
    assert!(PAGE.contains(&format!(
        "| `event`, `key`, `id` | {LABEL_BYTES_MAX} bytes each |"
    )));
    assert!(PAGE.contains(&format!("| nesting of Json | {DEPTH_MAX} levels |")));
}
