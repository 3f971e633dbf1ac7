//! Writing JSON strings and passing JSON values on, without a serializer: this is on the way of every delivery.

/// What a byte needs inside a JSON string: nothing, a look at what follows (2: `\u{80}`–`\u{9f}`, 3: `\u{2028}` and `\u{2029}`), or an escape.
const PLAIN: u8 = 0;
const HEX: u8 = 1;
const C1: u8 = 2;
const SEPARATOR: u8 = 3;

/// For each byte one of the above, or the letter of its short escape.
///
/// Beyond what RFC 8259 §7 demands, DEL, the C1 controls, U+2028 and U+2029 are escaped: some of them end a line for common readers
/// (Python's `splitlines`, JavaScript before 2019), and all of them do things to a terminal.
const TABLE: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = HEX;
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[0x7f] = HEX;
    table[0xc2] = C1;
    table[0xe2] = SEPARATOR;
    table
};

/// How many bytes are looked at together.
const BLOCK: usize = 32;

/// Appends `text` as a JSON string with its quotes.
pub fn encode_string(out: &mut Vec<u8>, text: &str) {
    quote(out, text.as_bytes());
}

/// Appends the one JSON value in `json`, on one line: its raw line ends, which JSON knows only as white space, become spaces.
pub fn encode_json(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
        out.extend_from_slice(&rest[..end]);
        out.push(b' ');
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends UTF-8 bytes as a JSON string. Bytes that are not UTF-8 pass as they are, without a panic.
pub(crate) fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = first_special(rest) {
        out.extend_from_slice(&rest[..at]);
        let used = escape(out, &rest[at..]);
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte stands that is not written as it is, or may not be.
fn first_special(text: &[u8]) -> Option<usize> {
    let is_special = |byte: &u8| TABLE[usize::from(*byte)] != PLAIN;
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    // Most text has none, and without a table a block is looked at in a few instructions.
    let plain = blocks.iter().take_while(|block| is_plain(block)).count();
    let from = plain * BLOCK;
    let looked_at = if plain < blocks.len() {
        &text[from..]
    } else {
        rest
    };
    looked_at.iter().position(is_special).map(|at| from + at)
}

/// Whether every byte of a block is printable ASCII that JSON writes as it is.
fn is_plain(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(true, |plain, byte| {
        plain & (*byte >= 0x20) & (*byte < 0x7f) & (*byte != b'"') & (*byte != b'\\')
    })
}

/// Writes the character at the front of `text`, escaped if it has to be; how many bytes of `text` that was.
fn escape(out: &mut Vec<u8>, text: &[u8]) -> usize {
    let kind = text.first().map_or(PLAIN, |byte| TABLE[usize::from(*byte)]);
    match (kind, text) {
        (HEX, [byte, ..]) => {
            hex(out, u16::from(*byte));
            1
        }
        (C1, [_, second @ 0x80..=0x9f, ..]) => {
            hex(out, u16::from(*second));
            2
        }
        (SEPARATOR, [_, 0x80, third @ 0xa8..=0xa9, ..]) => {
            hex(out, 0x2028 + u16::from(*third - 0xa8));
            3
        }
        (PLAIN | C1 | SEPARATOR, [byte, ..]) => {
            out.push(*byte);
            1
        }
        (letter, _) => {
            out.extend_from_slice(&[b'\\', letter]);
            1
        }
    }
}

fn hex(out: &mut Vec<u8>, code: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(DIGITS[usize::from((code >> shift) & 15)]);
    }
}

/// Appends a number.
pub(crate) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
