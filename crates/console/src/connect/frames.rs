//! One WebSocket frame as a line of the story.

use taut_wire::ws::{CloseCode, Opcode, Seen};

use super::story::{preview, size};

/// The facts of a frame, and the beginning of what it carries.
pub(super) fn line(seen: &Seen) -> String {
    let kind = match Opcode::of(seen.opcode) {
        Some(Opcode::Continuation) => "continuation".to_owned(),
        Some(Opcode::Text) => "text".to_owned(),
        Some(Opcode::Binary) => "binary".to_owned(),
        Some(Opcode::Close) => "close".to_owned(),
        Some(Opcode::Ping) => "ping".to_owned(),
        Some(Opcode::Pong) => "pong".to_owned(),
        None => "unknown opcode".to_owned(),
    };
    let fin = if seen.fin { "FIN" } else { "more to come" };
    let mask = match seen.mask {
        Some(key) => format!(
            "mask {:02x}{:02x}{:02x}{:02x}",
            key[0], key[1], key[2], key[3]
        ),
        None => "no mask".to_owned(),
    };
    let reserved = match seen.reserved {
        0 => String::new(),
        0b100 => ", RSV1 (compressed)".to_owned(),
        bits => format!(", reserved bits {bits:03b}"),
    };
    let head = format!(
        "frame: {kind} (opcode {:#x}), {fin}, {mask}{reserved}, {}",
        seen.opcode,
        size(seen.payload_bytes)
    );
    match Opcode::of(seen.opcode) {
        Some(Opcode::Close) => format!("{head}: {}", close(&seen.beginning)),
        _ if seen.payload_bytes == 0 => head,
        _ if seen.reserved == 0b100 => head,
        _ => {
            let shown = preview(&seen.beginning);
            let is_cut = seen.payload_bytes > seen.beginning.len() as u64 && !shown.ends_with('…');
            format!("{head}: {shown}{}", if is_cut { "…" } else { "" })
        }
    }
}

fn close(payload: &[u8]) -> String {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return "without a code".to_owned();
    };
    let code = u16::from_be_bytes(*code);
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(", reason {}", preview(reason))
    };
    format!("code {code} ({}){reason}", meaning(CloseCode(code)))
}

/// What a close code stands for (RFC 6455 §7.4.1 and IANA's list).
pub(super) fn meaning(code: CloseCode) -> &'static str {
    match code.0 {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1005 => "no code",
        1006 => "abnormal closure",
        1007 => "invalid data",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "an extension is needed",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        1015 => "TLS handshake failed",
        3000..=3999 => "registered with IANA",
        4000..=4999 => "the application's own",
        _ => "reserved",
    }
}
