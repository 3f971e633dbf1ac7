use memchr::memchr2;

/// Appends one event with its empty line.
///
/// `id` and `event` are one line each; a CR, LF or NUL in them is left out. `data` may have lines of its own, which the reader joins by LF.
pub fn encode_event(out: &mut Vec<u8>, id: Option<&str>, event: Option<&str>, data: &str) {
    if let Some(id) = id {
        encode_field(out, "id: ", id);
    }
    if let Some(event) = event {
        encode_field(out, "event: ", event);
    }
    let mut rest = data.as_bytes();
    loop {
        out.extend_from_slice(b"data: ");
        let Some(end) = memchr2(b'\n', b'\r', rest) else {
            out.extend_from_slice(rest);
            out.extend_from_slice(b"\n\n");
            return;
        };
        out.extend_from_slice(&rest[..end]);
        out.push(b'\n');
        let line_end = if rest[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + line_end..];
    }
}

/// Appends an `id` alone: the reader remembers it and no event is seen.
pub fn encode_id(out: &mut Vec<u8>, id: &str) {
    encode_field(out, "id: ", id);
    out.push(b'\n');
}

/// Appends how long a reader shall wait before it connects again, in milliseconds.
pub fn encode_retry(out: &mut Vec<u8>, retry_ms: u64) {
    encode_field(out, "retry: ", &retry_ms.to_string());
    out.push(b'\n');
}

/// Appends a comment, which no reader shows; an empty one keeps proxies from thinking that the stream is dead.
pub fn encode_comment(out: &mut Vec<u8>, text: &str) {
    encode_field(out, if text.is_empty() { ":" } else { ": " }, text);
    out.push(b'\n');
}

fn encode_field(out: &mut Vec<u8>, name_and_colon: &str, value: &str) {
    out.extend_from_slice(name_and_colon.as_bytes());
    out.extend(
        value
            .bytes()
            .filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)),
    );
    out.push(b'\n');
}
