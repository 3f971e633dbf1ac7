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

/// The scheme that was most likely meant: one slip away, two for longer names.
fn nearest(given: &str) -> Option<Scheme> {
    Scheme::ALL
        .into_iter()
        .map(|scheme| (distance(given, scheme.name()), scheme))
        .filter(|(slips, scheme)| *slips <= given.len().min(scheme.name().len()) / 2)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, scheme)| scheme)
}

/// Letters inserted, dropped, replaced or swapped with their neighbour (optimal string alignment), for words of a few letters.
fn distance(given: &str, word: &str) -> usize {
    const LETTERS_MAX: usize = 8;
    let (given, word) = (given.as_bytes(), word.as_bytes());
    if given.len() > LETTERS_MAX || word.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut rows = [[0_usize; LETTERS_MAX + 1]; LETTERS_MAX + 1];
    for i in 0..=given.len() {
        for j in 0..=word.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let is_same = given[i - 1] == word[j - 1];
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + usize::from(!is_same));
            if i > 1 && j > 1 && given[i - 1] == word[j - 2] && given[i - 2] == word[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[given.len()][word.len()]
}
