//! What a person types is a message unless it begins with one slash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use taut_wire::text::{Line, decode_line, encode_say, meant};

fn line(typed: &str) -> Line<'_> {
    decode_line(typed.as_bytes()).unwrap()
}

#[test]
fn only_an_empty_line_is_nothing() {
    assert_eq!(line(""), Line::Nothing);
    assert_eq!(line(" "), Line::Say(" "));
    assert_eq!(line(" /who"), Line::Say(" /who"));
}

#[test]
fn two_slashes_say_one() {
    assert_eq!(line("//"), Line::Say("/"));
    assert_eq!(line("//join x"), Line::Say("/join x"));
    assert_eq!(line("///"), Line::Say("//"));
}

#[test]
fn commands_forgive_white_space_and_nothing_else() {
    assert_eq!(line("/join  a room "), Line::Join("a room"));
    assert_eq!(line("/join\tx"), Line::Join("x"));
    assert_eq!(line("/join"), Line::Join(""));
    assert_eq!(line("/nick "), Line::Nick(""));
    assert_eq!(line("/history 12"), Line::History(Some(12)));
    assert_eq!(line("/history soon"), Line::History(None));
    assert_eq!(line("/who is it"), Line::Who);
    assert_eq!(line("/state"), Line::State);
    assert_eq!(line("/get  a key "), Line::Get("a key"));
    assert_eq!(line("/set price  1 2 "), Line::Set("price", "1 2"));
    assert_eq!(line("/set price"), Line::Set("price", ""));
    assert_eq!(line("/set"), Line::Set("", ""));
    assert_eq!(line("/delete a key"), Line::Delete("a key"));
    assert_eq!(line("/"), Line::Unknown(""));
    assert_eq!(line("/WHO"), Line::Unknown("WHO"));
    assert_eq!(line("/ join x"), Line::Unknown(""));
    assert_eq!(meant("WHO"), Some("who"));
}

#[test]
fn bad_utf8_is_a_violation() {
    assert!(decode_line(b"caf\xe9").is_err());
    assert!(decode_line(b"/nick \xff\xfb\x01").is_err());
}

proptest! {
    #[test]
    fn what_a_client_says_is_what_is_said(text in "[^\r\n]+") {
        let mut out = Vec::new();
        encode_say(&mut out, &text);
        prop_assert_eq!(decode_line(&out).unwrap(), Line::Say(&text));
    }

    #[test]
    fn any_bytes_are_a_line_or_a_violation(bytes in any::<Vec<u8>>()) {
        prop_assert_eq!(decode_line(&bytes).is_ok(), std::str::from_utf8(&bytes).is_ok());
    }
}
