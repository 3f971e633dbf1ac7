use super::Method;

/// Appends `HTTP/1.1 STATUS REASON`, the fields and the empty line.
///
/// A control character in a field is written as a space (RFC 9110 §5.5), so that no value can begin a line of its own.
pub fn encode_response_head(out: &mut Vec<u8>, status: u16, fields: &[(&str, &str)]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    encode_number(out, usize::from(status), 10);
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    encode_fields(out, fields);
}

/// Appends a request head; the client's side. `target` is percent-encoded already and begins with `/`.
pub fn encode_request(
    out: &mut Vec<u8>,
    method: &Method<'_>,
    target: &str,
    host: &str,
    fields: &[(&str, &str)],
) {
    out.extend_from_slice(method.name().as_bytes());
    out.push(b' ');
    out.extend(target.bytes().filter(|byte| *byte > b' ' && *byte != 0x7f));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    encode_field(out, "Host", host);
    encode_fields(out, fields);
}

/// Appends `data` as one chunk; nothing when it is empty, because an empty chunk ends the body.
pub fn encode_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    encode_number(out, data.len(), 16);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the chunk that ends a body.
pub fn encode_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// The words that go with a status (RFC 9110 §15); empty for one that has none here, which RFC 9112 §4 allows.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

fn encode_fields(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        encode_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

fn encode_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| {
        if super::head::is_field_byte(byte) {
            byte
        } else {
            b' '
        }
    }));
    out.extend_from_slice(b"\r\n");
}

fn encode_number(out: &mut Vec<u8>, mut number: usize, base: usize) {
    let begin = out.len();
    loop {
        out.push(b"0123456789abcdef"[number % base]);
        number /= base;
        if number == 0 {
            break;
        }
    }
    out[begin..].reverse();
}
