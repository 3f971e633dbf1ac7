use taut_hub::{Page, Position, Refusal, RoomName, Roster, State};
use taut_wire::engineio::RequestError;
use taut_wire::http::{self, date, problem};
use taut_wire::native::{self, Taken};

use super::{Problem, Streaming};
use crate::native::{NO_KEY, roster, with_deliveries, with_page};

const JSON: &str = "application/json";
/// Answers that hold messages must not be taken from a cache.
const FRESH: (&str, &str) = ("Cache-Control", "no-store");
/// What the page may do: itself, and sockets to anywhere, so that its console is a place to try things.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How the answer to a request is written.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The connection goes on after it.
    pub keep_alive: bool,
    /// The request was HTTP/1.0.
    pub http10: bool,
    /// Only the head goes out.
    pub head_only: bool,
    /// The page that asked, where one did and may read the answer.
    pub origin: Option<String>,
    /// The page may send its cookies along (Engine.IO clients with `withCredentials`).
    pub credentials: bool,
}

impl Reply {
    /// The last answer of a connection, to nobody in particular.
    #[must_use]
    pub fn last() -> Self {
        Self::default()
    }
}

/// A file of the client library, as it goes out.
#[derive(Debug, Clone, Copy)]
pub struct LibraryFile<'a> {
    /// What is in it.
    pub bytes: &'a [u8],
    /// Its media type.
    pub content_type: &'a str,
    /// Its entity tag, in quotes.
    pub tag: &'a str,
    /// The client has this version already.
    pub is_known: bool,
}

/// Writes answers. One per core: it keeps the `Date` of the current second.
#[derive(Debug)]
pub struct Responder {
    date: String,
    unix_s: u64,
}

impl Default for Responder {
    fn default() -> Self {
        Self::new()
    }
}

impl Responder {
    /// A responder in 1970; see [`Responder::look_at_clock`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            date: date::imf_fixdate(0),
            unix_s: 0,
        }
    }

    /// Takes the time, in seconds since 1970.
    pub fn look_at_clock(&mut self, unix_s: u64) {
        if unix_s != self.unix_s {
            self.unix_s = unix_s;
            self.date = date::imf_fixdate(unix_s);
        }
    }

    /// The live page.
    pub fn page(&self, out: &mut Vec<u8>, reply: &Reply, html: &[u8]) {
        let fields = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-cache"),
            ("Content-Security-Policy", PAGE_POLICY),
            ("Referrer-Policy", "no-referrer"),
            ("Vary", "Accept"),
        ];
        self.whole(out, reply, 200, &fields, html);
    }

    /// Its icon.
    pub fn icon(&self, out: &mut Vec<u8>, reply: &Reply, svg: &[u8]) {
        let fields = [
            ("Content-Type", "image/svg+xml"),
            ("Cache-Control", "max-age=86400"),
        ];
        self.whole(out, reply, 200, &fields, svg);
    }

    /// That all is well, for whoever looks after the server.
    pub fn well(&self, out: &mut Vec<u8>, reply: &Reply) {
        let fields = [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
        ];
        self.whole(out, reply, 200, &fields, b"{\"ok\":true}\n");
    }

    /// Packets for a client that polls, or the `ok` of a POST (Engine.IO protocol v4, “HTTP long-polling”).
    pub fn packets(&self, out: &mut Vec<u8>, reply: &Reply, payload: &[u8]) {
        let fields = [("Content-Type", "text/plain; charset=UTF-8"), FRESH];
        self.whole(out, reply, 200, &fields, payload);
    }

    /// No, in the words that Engine.IO clients know.
    pub fn engine_refused(&self, out: &mut Vec<u8>, reply: &Reply, error: RequestError) {
        let mut body = Vec::new();
        error.encode_json(&mut body);
        let fields = [("Content-Type", JSON), FRESH];
        self.whole(out, reply, error.status(), &fields, &body);
    }

    /// A file of the client library.
    pub fn library(&self, out: &mut Vec<u8>, reply: &Reply, file: &LibraryFile<'_>) {
        let mut fields = vec![
            ("Cache-Control", "public, max-age=0"),
            ("ETag", file.tag),
            // Any page may load it, as it may from any other place that serves it.
            ("Cross-Origin-Resource-Policy", "cross-origin"),
        ];
        if file.is_known {
            return self.whole(out, reply, 304, &fields, b"");
        }
        fields.push(("Content-Type", file.content_type));
        self.whole(out, reply, 200, &fields, file.bytes);
    }

    /// What a browser may send here (the CORS protocol of the Fetch standard), and what `OPTIONS` asks in general.
    pub fn preflight(&self, out: &mut Vec<u8>, reply: &Reply, allow: &str) {
        let mut fields = vec![("Allow", allow)];
        if reply.origin.is_some() {
            fields.extend([
                ("Access-Control-Allow-Methods", allow),
                (
                    "Access-Control-Allow-Headers",
                    "Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Authorization",
                ),
                ("Access-Control-Max-Age", "600"),
            ]);
        }
        self.whole(out, reply, 204, &fields, b"");
    }

    /// The answer to a POST, PUT or DELETE.
    pub fn published(
        &self,
        out: &mut Vec<u8>,
        reply: &Reply,
        taken: Taken,
        at: Position,
        duplicate: bool,
    ) {
        let at = at.to_string();
        let mut body = Vec::new();
        native::encode_receipt(&mut body, taken, Some(&at), duplicate);
        body.push(b'\n');
        let tag = entity_tag(&at);
        let mut fields = vec![("Content-Type", JSON), FRESH];
        // What was set is what a GET of the key shows from now on.
        fields.extend((taken == Taken::Set).then_some(("ETag", tag.as_str())));
        self.whole(out, reply, 200, &fields, &body);
    }

    /// The answer to a POST on the lane `latest`: it is on its way, and nobody will ever know more of it than that (RFC 9110 §15.3.3).
    pub fn said(&self, out: &mut Vec<u8>, reply: &Reply) {
        let mut body = Vec::new();
        native::encode_receipt(&mut body, Taken::Publish, None, false);
        body.push(b'\n');
        self.whole(out, reply, 202, &[("Content-Type", JSON), FRESH], &body);
    }

    /// The answer to `?state`.
    pub fn state(&self, out: &mut Vec<u8>, reply: &Reply, state: &State) {
        let mut body = Vec::new();
        let at = state.at.to_string();
        with_deliveries(&state.room, state.at, &state.entries, |deliveries| {
            let room = state.room.as_str();
            native::encode_set_keys(&mut body, room, &at, deliveries.iter().copied());
        });
        body.push(b'\n');
        let fields = [("Content-Type", JSON), FRESH, ("Vary", "Accept")];
        self.whole(out, reply, 200, &fields, &body);
    }

    /// The answer to `?key=`: the message that set it, whose position is its entity tag; or nothing where that is one of `known`.
    pub fn got(&self, out: &mut Vec<u8>, reply: &Reply, state: &State, known: Option<&str>) {
        let Some(found) = state.entries.first() else {
            return self.problem(out, reply, &Problem::new(404, "no-key", NO_KEY));
        };
        let at = Position {
            epoch: state.at.epoch,
            offset: found.offset,
        };
        let tag = entity_tag(&at.to_string());
        let fields = [
            ("Content-Type", JSON),
            ("Cache-Control", "no-cache"),
            ("ETag", tag.as_str()),
        ];
        if known.is_some_and(|known| lists_tag(known, &tag)) {
            return self.whole(out, reply, 304, &fields[1..], b"");
        }
        let mut body = Vec::new();
        with_deliveries(&state.room, state.at, &state.entries[..1], |deliveries| {
            for delivery in deliveries {
                native::encode_delivery(&mut body, delivery);
            }
        });
        body.push(b'\n');
        self.whole(out, reply, 200, &fields, &body);
    }

    /// The answer to a read.
    pub fn history(&self, out: &mut Vec<u8>, reply: &Reply, page: &Page) {
        let mut body = Vec::new();
        with_page(page, |head, messages| {
            native::encode_page(&mut body, head, messages.iter().copied());
        });
        body.push(b'\n');
        let fields = [("Content-Type", JSON), FRESH, ("Vary", "Accept")];
        self.whole(out, reply, 200, &fields, &body);
    }

    /// The answer to `?who`.
    pub fn who(&self, out: &mut Vec<u8>, reply: &Reply, room: &RoomName, present: &Roster) {
        let mut body = Vec::new();
        native::encode_roster(&mut body, room.as_str(), &roster(present));
        body.push(b'\n');
        self.whole(out, reply, 200, &[("Content-Type", JSON), FRESH], &body);
    }

    /// JSON that is written already.
    pub fn json(&self, out: &mut Vec<u8>, reply: &Reply, body: &[u8]) {
        self.whole(out, reply, 200, &[("Content-Type", JSON), FRESH], body);
    }

    /// A refusal, as RFC 9457 writes it.
    pub fn problem(&self, out: &mut Vec<u8>, reply: &Reply, refusal: &Problem) {
        let mut body = Vec::new();
        let title = http::reason_phrase(refusal.status);
        problem::encode(
            &mut body,
            refusal.status,
            title,
            &refusal.detail,
            refusal.code,
        );
        body.push(b'\n');
        let retry = refusal.retry_s.map(|seconds| seconds.to_string());
        let mut fields = vec![("Content-Type", problem::CONTENT_TYPE), FRESH];
        fields.extend(refusal.allow.map(|allow| ("Allow", allow)));
        fields.extend(retry.as_deref().map(|retry| ("Retry-After", retry)));
        // RFC 9110 §11.6.1: a 401 says how to come in.
        let challenge = refusal
            .challenge
            .map(|error| format!("Bearer realm=\"taut\", error=\"{error}\""));
        if refusal.status == 401 {
            let challenge = challenge.as_deref().unwrap_or("Bearer realm=\"taut\"");
            fields.push(("WWW-Authenticate", challenge));
        }
        if refusal.names_websocket {
            fields.extend([("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]);
        }
        self.whole(out, reply, refusal.status, &fields, &body);
    }

    /// The head of a stream; what follows is chunked, or for HTTP/1.0 ends with the connection.
    pub fn stream_head(&self, out: &mut Vec<u8>, reply: &Reply, streaming: Streaming) {
        let kind = match streaming {
            Streaming::Sse => "text/event-stream",
            Streaming::Ndjson => "application/x-ndjson",
        };
        let mut fields = vec![
            ("Content-Type", kind),
            FRESH,
            ("Vary", "Accept"),
            // nginx would hold events back to fill its buffer.
            ("X-Accel-Buffering", "no"),
        ];
        if !reply.http10 {
            fields.push(("Transfer-Encoding", "chunked"));
        }
        self.head(out, reply, 200, &fields);
    }

    /// The head of an answer from a folder; its body follows behind it. `length` is its `Content-Length`, which not every status has.
    pub fn file_head(
        &self,
        out: &mut Vec<u8>,
        reply: &Reply,
        status: u16,
        fields: &[(&'static str, String)],
        length: Option<u64>,
    ) {
        let length = length.map(|length| length.to_string());
        let mut all: Vec<(&str, &str)> = fields
            .iter()
            // Every answer has it from here.
            .filter(|(name, _)| !name.eq_ignore_ascii_case("X-Content-Type-Options"))
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.extend(length.as_deref().map(|length| ("Content-Length", length)));
        self.head(out, reply, status, &all);
    }

    fn whole(
        &self,
        out: &mut Vec<u8>,
        reply: &Reply,
        status: u16,
        fields: &[(&str, &str)],
        body: &[u8],
    ) {
        let length = body.len().to_string();
        let mut all = fields.to_vec();
        // RFC 9110 §8.6: a 204 has no length, and that of a 304 would be its 200's.
        if status != 204 && status != 304 {
            all.push(("Content-Length", &length));
        }
        self.head(out, reply, status, &all);
        if !reply.head_only {
            out.extend_from_slice(body);
        }
    }

    fn head(&self, out: &mut Vec<u8>, reply: &Reply, status: u16, fields: &[(&str, &str)]) {
        let mut all = Vec::with_capacity(fields.len() + 8);
        all.push(("Date", self.date.as_str()));
        all.push(("X-Content-Type-Options", "nosniff"));
        let upgrades = fields.iter().any(|(name, _)| *name == "Upgrade");
        all.extend(match (reply.keep_alive, reply.http10, upgrades) {
            (false, _, true) => Some(("Connection", "upgrade, close")),
            (false, _, false) => Some(("Connection", "close")),
            (true, _, true) => Some(("Connection", "upgrade")),
            (true, true, false) => Some(("Connection", "keep-alive")),
            (true, false, false) => None,
        });
        if let Some(origin) = &reply.origin {
            all.push(("Access-Control-Allow-Origin", origin));
            all.push(("Vary", "Origin"));
            if reply.credentials {
                all.push(("Access-Control-Allow-Credentials", "true"));
            }
            if fields.iter().any(|(name, _)| *name == "ETag") {
                all.push(("Access-Control-Expose-Headers", "ETag"));
            }
        }
        all.extend_from_slice(fields);
        http::encode_response_head(out, status, &all);
    }
}

/// A position as an entity tag (RFC 9110 §8.8.3); positions need no escaping.
fn entity_tag(at: &str) -> String {
    format!("\"{at}\"")
}

/// Whether an `If-None-Match` names the tag, by the weak comparison that it asks for.
fn lists_tag(list: &str, tag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|listed| listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag)
}

/// What the hub refused, as an HTTP answer.
#[must_use]
pub fn refused(refusal: &Refusal) -> Problem {
    Problem {
        retry_s: refusal.retry_ms().map(|ms| ms.div_ceil(1_000)),
        ..Problem::new(
            native::codes::status(refusal.code()),
            refusal.code(),
            refusal.to_string(),
        )
    }
}
