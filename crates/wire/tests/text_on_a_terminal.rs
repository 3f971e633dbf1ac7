//! Nobody writes on another's terminal, nor in another's name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use taut_wire::native::{Member, Payload};
use taut_wire::text::{
    LINES_MAX, Said, encode_entry, encode_error, encode_help, encode_message, encode_notice,
    encode_presence, encode_unknown, encode_who,
};

fn said(from: &str, event: &str, body: Payload<'_>) -> String {
    let mut out = Vec::new();
    encode_message(&mut out, &Said { from, event, body });
    String::from_utf8(out).unwrap()
}

fn is_harmful(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n'))
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Any text, with more than its share of what has to be escaped.
fn any_text() -> impl Strategy<Value = String> {
    let sharp = prop::sample::select(
        "\0\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{1f} \"\\/\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{a0}¿é\u{61c}\u{200e}\u{2027}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{fff9}\u{feff}🙂"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![any::<char>(), sharp], 0..24)
        .prop_map(|characters| characters.into_iter().collect())
}

fn member(name: &str) -> Member<'_> {
    Member {
        name: name.into(),
        user: None,
        door: "mqtt".into(),
        id: "0-1".into(),
        conns: Vec::new(),
        conns_count: 1,
        data: None,
    }
}

#[test]
fn a_last_line_end_begins_no_line() {
    assert_eq!(said("ana", "message", Payload::Text(b"hi\n")), "ana: hi");
    assert_eq!(said("ana", "message", Payload::Text(b"hi\r\n")), "ana: hi");
    assert_eq!(said("ana", "message", Payload::Text(b"")), "ana: ");
    assert_eq!(
        said("ana", "message", Payload::Text(b"\n\nx")),
        "ana: \nana| \nana| x"
    );
}

#[test]
fn binary_is_its_size() {
    assert_eq!(
        said("ana", "message", Payload::Binary(&[0])),
        "ana: <1 byte>"
    );
    assert_eq!(
        said("ana", "move", Payload::Binary(&[])),
        "ana [move]: <0 bytes>"
    );
}

#[test]
fn a_message_of_line_ends_does_not_grow_without_bound() {
    let lines = "\n".repeat(65_536);
    let shown = said(&"n".repeat(64), "message", Payload::Text(lines.as_bytes()));
    assert_eq!(shown.lines().count(), LINES_MAX + 1);
    assert!(shown.ends_with("… 65336 more bytes"), "{shown}");
}

#[test]
fn exactly_as_many_lines_as_are_shown_are_shown_whole() {
    let lines = "x\n".repeat(LINES_MAX);
    let shown = said("ana", "message", Payload::Text(lines.as_bytes()));
    assert_eq!(shown.lines().count(), LINES_MAX);
    assert!(shown.ends_with("| x"));
}

#[test]
fn comings_and_goings_take_a_line_each() {
    let mut out = Vec::new();
    encode_presence(
        &mut out,
        &[member("bo"), member("c\u{1b}y")],
        &[member("di")],
    );
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "* bo joined (mqtt)\n* c\\x1by joined (mqtt)\n* di left"
    );
    let mut nobody = Vec::new();
    encode_presence(&mut nobody, &[], &[]);
    assert!(nobody.is_empty());
}

#[test]
fn a_list_that_is_cut_says_so() {
    let mut out = Vec::new();
    encode_who(&mut out, "lobby", 9, &[member("bo"), member("cy")]);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "* 9 in lobby: bo (mqtt), cy (mqtt) … and 7 more");
}

#[test]
fn the_servers_words_are_escaped_and_marked_on_every_line() {
    for encode in [encode_notice, encode_error, encode_unknown] {
        let mut out = Vec::new();
        encode(&mut out, "a\nb\u{9b}2J");
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("a\\x0ab\\x9b2J"), "{text}");
    }
    let mut help = Vec::new();
    encode_help(&mut help);
    let help = String::from_utf8(help).unwrap();
    assert!(help.lines().all(|line| line.starts_with("* ")), "{help}");
}

#[test]
fn an_endless_command_is_cut() {
    let mut out = Vec::new();
    encode_unknown(&mut out, &"é".repeat(30_000));
    assert!(out.len() < 200);
}

proptest! {
    #[test]
    fn nothing_harmful_is_shown(from in any_text(), event in any_text(), text in any_text()) {
        let shown = said(&from, &event, Payload::Text(text.as_bytes()));
        prop_assert!(!shown.contains(is_harmful), "{:?}", shown);
    }

    #[test]
    fn every_line_begins_with_who_said_it(text in any_text(), breaks in "[a\r\n]{0,40}") {
        let text = format!("{text}{breaks}");
        let shown = said("ana", "message", Payload::Text(text.as_bytes()));
        let begins = |line: &str| line.starts_with("ana: ") || line.starts_with("ana| ");
        prop_assert!(shown.split('\n').all(begins), "{:?}", shown);
    }

    #[test]
    fn bytes_that_are_no_text_are_still_shown_as_text(bytes in any::<Vec<u8>>()) {
        let shown = said("ana", "message", Payload::Text(&bytes));
        prop_assert!(!shown.contains(is_harmful), "{:?}", shown);
    }
}

#[test]
fn what_is_set_stands_behind_its_key_and_no_line_looks_like_a_message() {
    let entry = |key: &str, body: Payload<'_>| {
        let mut out = Vec::new();
        encode_entry(&mut out, key, body);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(entry("price", Payload::Json(b"1.08")), "* price = 1.08");
    assert_eq!(
        entry("a\x1b[2J", Payload::Text(b"one\nbo: two\r\n\x07")),
        "* a\\x1b[2J = one\n* | bo: two\n* | \\x07"
    );
    assert_eq!(entry("b", Payload::Binary(&[0])), "* b = <1 byte>");
    assert_eq!(entry("e", Payload::Text(b"")), "* e = ");
    let many = entry("k", Payload::Text("\n".repeat(10_000).as_bytes()));
    assert_eq!(many.lines().count(), LINES_MAX + 1);
}
