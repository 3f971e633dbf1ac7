/// Appends `text` for a terminal on one line: C0 but the tab, DEL, C1, the line and paragraph separators, and the marks that turn
/// or isolate the writing direction become `\x1b` and `\u{202e}`.
///
/// Bytes that are not UTF-8 become U+FFFD: the hub keeps only text, this holds even if it did not.
pub fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        escape_str(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn escape_str(out: &mut Vec<u8>, text: &str) {
    let mut plain_from = 0;
    for (at, character) in text.char_indices() {
        if !is_harmful(character) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        let code = u32::from(character);
        let escaped = if code < 0x100 {
            format!("\\x{code:02x}")
        } else {
            format!("\\u{{{code:x}}}")
        };
        out.extend_from_slice(escaped.as_bytes());
        plain_from = at + character.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
}

/// Whether a terminal would act on it rather than show it.
fn is_harmful(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{61c}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fff9}'..='\u{fffb}' => true,
        _ => character.is_control(),
    }
}
