//! A server that loses, doubles, swaps, changes and misdirects on purpose, and counts what it did: the generator must find the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod faulty;

use clap::{Args, Command, FromArgMatches};
use faulty::{Faults, Server};
use serde_json::Value;
use taut_bench::{BenchArgs, measure};

/// What `taut bench …` measures of the server.
fn bench(server: &Server, arguments: &str) -> Value {
    let url = format!("ws://{}", server.address);
    let fixed = ["--url", &url, "--pin", "none", "--rounds", "1", "--json"];
    let words = std::iter::once("bench")
        .chain(arguments.split(' '))
        .chain(fixed);
    let matches = BenchArgs::augment_args(Command::new("bench")).get_matches_from(words);
    let report = measure(&BenchArgs::from_arg_matches(&matches).unwrap()).unwrap();
    report["measurements"][0]["programs"][0].clone()
}

fn count(found: &Value, name: &str) -> u64 {
    found[name].as_u64().unwrap()
}

const FANOUT: &str = "fanout --members 5 --window 16 --seconds 0.2 --warm-up 0 --patience 1";

#[test]
fn a_sound_server_is_clean() {
    let server = Server::start(Faults::default());
    let found = bench(&server, FANOUT);
    assert!(count(&found, "count") > 0);
    for fault in ["lost", "duplicated", "reordered", "strayed", "changed"] {
        assert_eq!(count(&found, fault), 0, "{fault}");
    }
}

#[test]
fn losses_doubles_swaps_and_changes_are_counted_as_they_happened() {
    let server = Server::start(Faults {
        lose_every: 7,
        double_every: 11,
        swap_every: 13,
        change_every: 17,
        ..Faults::default()
    });
    let found = bench(&server, FANOUT);
    let did = server.did();
    assert!(did.lost > 0 && did.doubled > 0 && did.swapped > 0 && did.changed > 0);
    // A changed message did not arrive as what it was.
    assert_eq!(count(&found, "lost"), did.lost + did.changed);
    assert_eq!(count(&found, "changed"), did.changed);
    assert_eq!(count(&found, "duplicated"), did.doubled);
    assert_eq!(count(&found, "reordered"), did.swapped);
}

#[test]
fn a_server_that_falls_silent_does_not_hold_the_generator_up() {
    let server = Server::start(Faults {
        silent_from: 100,
        ..Faults::default()
    });
    let found = bench(&server, FANOUT);
    assert_eq!(count(&found, "count"), 5 * 100);
    assert_eq!(count(&found, "lost"), server.did().lost);
    assert!(count(&found, "lost") > 0);
}

#[test]
fn a_message_in_the_wrong_room_is_told() {
    let server = Server::start(Faults {
        stray_every: 5,
        ..Faults::default()
    });
    let rooms = "rooms --members 6 --of 3 --seconds 0.2 --warm-up 0 --patience 1";
    let found = bench(&server, rooms);
    assert!(server.did().strayed > 0);
    assert_eq!(count(&found, "strayed"), server.did().strayed);
    assert_eq!(count(&found, "lost"), 0);
}

#[test]
fn a_fixed_rate_finds_the_same() {
    let server = Server::start(Faults {
        lose_every: 10,
        ..Faults::default()
    });
    let rate = "fanout --members 3 --rate 1000 --seconds 0.2 --warm-up 0 --patience 1";
    let found = bench(&server, rate);
    assert!(server.did().lost > 0);
    assert_eq!(count(&found, "lost"), server.did().lost);
    assert_eq!(count(&found, "count") + count(&found, "lost"), 3 * 200);
}
