//! The part behind the host: what an HTTP request asks for.

use super::Scheme;

/// Bytes of a target at most; servers commonly take 8 KiB.
const TARGET_BYTES_MAX: usize = 64 << 10;

/// Reads `/path?query#fragment` into the target that is sent; empty where no HTTP is spoken.
pub(super) fn read(scheme: Scheme, rest: &str, host: &str, port: u16) -> Result<String, String> {
    if !scheme.is_http() {
        return if rest.is_empty() || rest == "/" {
            Ok(String::new())
        } else {
            Err(format!(
                "{0}:// has no paths; write {0}://{host}:{port}",
                scheme.name()
            ))
        };
    }
    let target = match rest.split_once('#') {
        // RFC 6455 §3: a fragment means nothing there, so whoever wrote it meant something else.
        Some(_) if scheme.is_websocket() => {
            return Err("a WebSocket's URL has no fragment; write %23 where a `#` is meant".into());
        }
        Some((target, _)) => target,
        None => rest,
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(format!(
            "its path and query are longer than {TARGET_BYTES_MAX} bytes"
        ));
    }
    let mut sendable = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        sendable.push('/');
    }
    for byte in target.bytes() {
        // As browsers do: what cannot stand in a request is encoded, what is encoded already stays.
        if byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte) {
            sendable.push(char::from(byte));
        } else {
            sendable.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(sendable)
}
