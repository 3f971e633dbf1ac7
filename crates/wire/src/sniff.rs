//! One port: what a connection speaks, told from its first bytes, and a farewell for what has no door.
//!
//! Nothing is consumed and nothing is kept: the caller asks again with everything that has arrived, until the answer
//! is no longer [`Sniffed::More`]. The answer for a longer input never contradicts an earlier one.
//!
//! A first line is HTTP when it ends in ` HTTP/` and a version, whatever else it holds, so that a malformed request is
//! told so in HTTP; a person may say `GET some milk`. A line of text that ends like that is taken for HTTP: the price of one port.
//!
//! Absent on purpose: speaking first (browsers open idle sockets ahead of need), and clocks.

use memchr::memchr;

/// Bytes without a line end after which a first line is too long.
const FIRST_LINE_BYTES_MAX: usize = 64 << 10;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// It cannot be told yet.
    More,
    /// HTTP/1.x, or something malformed that means to be.
    Http,
    /// A TLS handshake (RFC 8446 §5.1).
    Tls,
    /// An MQTT CONNECT.
    Mqtt {
        /// The protocol level: 3, 4 (which is 3.1.1) or 5; `None` when the connection ended before it.
        version: Option<u8>,
    },
    /// HTTP/2 with prior knowledge (RFC 9113 §3.4).
    Http2Preface,
    /// JSON lines.
    Json,
    /// A person, or a program that writes lines.
    Text,
    /// More than 64 KiB without a line end.
    TooLong,
}

/// Says what `input`, everything that has arrived, speaks. `eof`: nothing more will come, so the answer is not [`Sniffed::More`].
pub fn sniff(input: &[u8], eof: bool) -> Sniffed {
    let sniffed = match input {
        [0x16] | [] => Sniffed::More,
        [0x16, 0x03, ..] => Sniffed::Tls,
        [0x10, rest @ ..] => sniff_mqtt(rest, eof),
        _ => sniff_line(input, eof),
    };
    if eof && sniffed == Sniffed::More {
        return Sniffed::Text;
    }
    sniffed
}

/// The rest of a CONNECT's fixed header, the protocol's name and its level (MQTT 5 §3.1). No text begins with its first byte.
fn sniff_mqtt(rest: &[u8], eof: bool) -> Sniffed {
    let unfinished = if eof {
        Sniffed::Mqtt { version: None }
    } else {
        Sniffed::More
    };
    let length_bytes = match rest.iter().take(4).position(|byte| byte & 0x80 == 0) {
        Some(last) => last + 1,
        None if rest.len() >= 4 => return Sniffed::Text,
        None => return unfinished,
    };
    let variable = &rest[length_bytes..];
    for name in [b"\x00\x04MQTT".as_slice(), b"\x00\x06MQIsdp"] {
        if variable.starts_with(name) {
            return match variable.get(name.len()) {
                Some(level) => Sniffed::Mqtt {
                    version: Some(*level),
                },
                None => unfinished,
            };
        }
        if name.starts_with(variable) {
            return unfinished;
        }
    }
    Sniffed::Text
}

fn sniff_line(input: &[u8], eof: bool) -> Sniffed {
    match input.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => return Sniffed::Json,
        None if input.len() > FIRST_LINE_BYTES_MAX => return Sniffed::TooLong,
        None => return Sniffed::More,
        Some(_) => {}
    }
    // Empty lines before a request are allowed (RFC 9112 §2.2).
    let blank = input
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let input = &input[blank..];
    let Some(end) = memchr(b'\n', input).or(eof.then_some(input.len())) else {
        return match input.len() > FIRST_LINE_BYTES_MAX {
            true if begins_like_request(input) => Sniffed::Http,
            true => Sniffed::TooLong,
            false => Sniffed::More,
        };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    if end > FIRST_LINE_BYTES_MAX && !begins_like_request(input) {
        Sniffed::TooLong
    } else if line == b"PRI * HTTP/2.0" {
        Sniffed::Http2Preface
    } else if ends_in_version(line) || (end > FIRST_LINE_BYTES_MAX) {
        Sniffed::Http
    } else {
        Sniffed::Text
    }
}

/// Whether a line ends in ` HTTP/` digit `.` digit.
fn ends_in_version(line: &[u8]) -> bool {
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Whether a line too long to end looks like a request: a method and a path, or a method that does not end itself.
///
/// It is judged by its first [`FIRST_LINE_BYTES_MAX`] bytes only, so that more bytes do not change the answer.
fn begins_like_request(line: &[u8]) -> bool {
    let line = &line[..line.len().min(FIRST_LINE_BYTES_MAX)];
    let (method, target) = match memchr(b' ', line) {
        Some(space) => (&line[..space], Some(&line[space + 1..])),
        None => (line, None),
    };
    method
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte))
        && !method.is_empty()
        && target.is_none_or(|target| {
            target.starts_with(b"/") || target.starts_with(b"http") || target.starts_with(b"*")
        })
}

/// What a TLS client is told: a fatal handshake_failure alert (RFC 8446 §6.2).
pub fn tls_refusal() -> [u8; 7] {
    [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]
}

/// What an MQTT client of `version` is told: "server unavailable", in MQTT 5 with the reason. One of a version that nobody knows is told that.
pub fn mqtt_refusal(version: Option<u8>) -> &'static [u8] {
    match version {
        // MQTT 3.1.1 §3.2.2.3: 3 is "server unavailable", 1 is "unacceptable protocol version".
        Some(3 | 4) => &[0x20, 0x02, 0x00, 0x03],
        // MQTT 5 §3.2.2: flags, reason code 0x88, and one property, 0x1F, the reason string.
        Some(5) => b"\x20\x1f\x00\x88\x1c\x1f\x00\x19MQTT has no door here yet",
        _ => &[0x20, 0x02, 0x00, 0x01],
    }
}

/// What an HTTP/2 client is told: empty SETTINGS, as every server must begin, and GOAWAY with HTTP_1_1_REQUIRED (RFC 9113 §3.4, §6.8, §7).
pub fn http2_refusal() -> [u8; 26] {
    const SETTINGS: [u8; 9] = [0, 0, 0, 0x04, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d];
    let mut refusal = [0; 26];
    refusal[..9].copy_from_slice(&SETTINGS);
    refusal[9..].copy_from_slice(&GOAWAY);
    refusal
}
