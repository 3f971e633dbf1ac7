//! Whatever a person types is a line or a violation, and whatever is said is shown without doing anything to a terminal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::native::Payload;
use taut_wire::text::{Line, Said, decode_line, encode_message, encode_say, encode_unknown};

fuzz_target!(|data: &[u8]| {
    let mut out = Vec::new();
    match decode_line(data) {
        Ok(Line::Say(text)) if !text.contains(['\n', '\r']) => {
            encode_say(&mut out, text);
            assert_eq!(out, data);
        }
        Ok(Line::Unknown(command)) => {
            encode_unknown(&mut out, command);
            assert_shown(&out, |line| line.starts_with("! "));
        }
        _ => {}
    }
    let mut shown = Vec::new();
    let said = Said {
        from: "ana",
        event: "message",
        body: Payload::Text(data),
    };
    encode_message(&mut shown, &said);
    assert_shown(&shown, |line| {
        line.starts_with("ana: ") || line.starts_with("ana| ")
    });
});

fn assert_shown(shown: &[u8], is_marked: fn(&str) -> bool) {
    let shown = std::str::from_utf8(shown).expect("what is shown is text");
    for line in shown.split('\n') {
        assert!(is_marked(line), "{line:?}");
        assert!(
            !line.contains(|c: char| c.is_control() && c != '\t'),
            "{line:?}"
        );
    }
}
