//! What to write instead: the reasons that show a right URL, made of what the person wrote.

use taut_wire::text::escape;

use super::Scheme;

/// Schemes as a sentence lists them.
const KNOWN: &str = "tcp://, tls://, udp://, unix:, ws://, wss://, http:// and https://";

/// Characters of a URL that are shown at most.
const SHOWN_MAX: usize = 200;

/// The URL as errors repeat it: no password, no terminal escapes, no page-long line.
pub(super) fn shown(input: &str) -> String {
    let begin = input.find("://").map_or(0, |at| at + 3);
    let end = input[begin..]
        .find(['/', '?', '#'])
        .map_or(input.len(), |at| begin + at);
    let masked = match input[begin..end].rfind('@').map(|at| begin + at) {
        Some(at) => {
            let user = input[begin..at].split(':').next().unwrap_or_default();
            format!("{}{user}:***{}", &input[..begin], &input[at..])
        }
        None => input.to_owned(),
    };
    let mut escaped = Vec::new();
    escape(&mut escaped, masked.as_bytes());
    let escaped = String::from_utf8_lossy(&escaped);
    if escaped.chars().count() <= SHOWN_MAX {
        return escaped.into_owned();
    }
    escaped
        .chars()
        .take(SHOWN_MAX)
        .chain(std::iter::once('…'))
        .collect()
}

/// For what has no `://`.
pub(super) fn without_scheme(input: &str) -> String {
    if input.starts_with(['/', '.', '~']) || input.ends_with(".sock") {
        return format!("it has no scheme; for a Unix socket write unix:{input}");
    }
    if let Some((name, rest)) = input.split_once(':')
        && let Some(scheme) = Scheme::from_name(name)
    {
        let rest = rest.trim_start_matches('/');
        let rest = if rest.is_empty() {
            "localhost:8080"
        } else {
            rest
        };
        return format!(
            "after `{name}:` come two slashes; write {}://{rest}",
            scheme.name()
        );
    }
    let place = host_of(input);
    let place = match place.strip_prefix(':') {
        Some(port) => format!("localhost:{port}"),
        None if place.parse::<u16>().is_ok() => format!("localhost:{place}"),
        None if place.contains(':') => place.to_owned(),
        None => format!("{place}:8080"),
    };
    format!(
        "it has no scheme; write ws://{place} for a WebSocket, http://{place} for HTTP, tcp://{place} or udp://{place} for plain bytes"
    )
}

/// For a scheme that nobody here knows.
pub(super) fn unknown_scheme(name: &str, rest: &str) -> String {
    let place = host_of(rest);
    let meant = match name.to_ascii_lowercase().as_str() {
        "websocket" | "websockets" | "socket.io" => Some(Scheme::Ws),
        "ssl" | "tcps" | "tcp+tls" => Some(Scheme::Tls),
        "raw" | "telnet" | "socket" | "text" | "tcp4" | "tcp6" => Some(Scheme::Tcp),
        "dtls" => None,
        lower => nearest(lower),
    };
    match meant {
        Some(meant) => {
            let meant = meant.name();
            format!("`{name}://` is no scheme here; did you mean {meant}://{place}?")
        }
        None => {
            format!("`{name}://` is not one of {KNOWN}; write for example tcp://{place}")
        }
    }
}

/// For a scheme without a port of its own.
pub(super) fn no_port(scheme: Scheme, host: &str) -> String {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = if scheme == Scheme::Tls { 443 } else { 9000 };
    format!(
        "{0}:// needs a port; write for example {0}://{host}:{port}",
        scheme.name()
    )
}

/// The host and port that a person meant, for an example; never their password.
fn host_of(rest: &str) -> &str {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let place = &rest[..end];
    match place.rsplit('@').next().unwrap_or(place) {
        "" => "localhost:8080",
        place => place,
    }
}

/// The scheme at most two slips away.
fn nearest(given: &str) -> Option<Scheme> {
    Scheme::ALL
        .into_iter()
        .map(|scheme| (distance(given, scheme.name()), scheme))
        .filter(|(slips, scheme)| *slips <= 2 && *slips < scheme.name().len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, scheme)| scheme)
}

/// Letters inserted, dropped or replaced (Levenshtein), for words of a few letters.
fn distance(given: &str, word: &str) -> usize {
    if given.len() > 8 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (i, letter) in given.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in word.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[word.len()]
}
