//! One HTTP request and its whole response, streamed as it comes.

use std::io::Write as _;
use std::time::Duration;

use taut_dial::{Scheme, Stream, Url, broken, open};
use taut_wire::http::{self, BodyDecoder, Framing, Limits, Method};
use taut_wire::sse;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::output::Goes;
use super::story::preview;
use super::{Over, Session, failure};
use crate::show::Rendering;
use crate::{Code, Ended};

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// Asks, follows redirects where that was asked for, and prints.
pub(super) async fn run(session: &mut Session) -> Result<Over, Ended> {
    let mut request = Asked::new(session)?;
    let mut url = session.url.clone();
    for _ in 0..=REDIRECTS_MAX {
        match exchange(session, &url, &request).await? {
            Next::Done(status) if status >= 400 => {
                return Err(Ended::new(
                    Code::Refused,
                    format!("{url} answered {status} {}", http::reason_phrase(status)),
                ));
            }
            Next::Done(_) => return Ok(Over::ByUs),
            Next::Enough => return Ok(Over::ByUs),
            Next::Moved(status, to) => {
                session
                    .narrator
                    .tell('*', &format!("following the redirect ({status}) to {to}"))
                    .await?;
                if to.authority() != url.authority() || to.scheme != url.scheme {
                    request.forget_secrets();
                }
                if status == 303 || (matches!(status, 301 | 302) && request.method == "POST") {
                    request.become_get();
                }
                url = to;
            }
        }
    }
    Err(Ended::new(
        Code::Refused,
        format!("more than {REDIRECTS_MAX} redirects"),
    ))
}

/// What is asked.
struct Asked {
    method: String,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Asked {
    fn new(session: &Session) -> Result<Self, Ended> {
        let args = &session.args;
        let body = args.data.as_deref().map(read_body).transpose()?;
        let method = match (&args.method, args.head, &body) {
            (Some(method), ..) => method.clone(),
            (_, true, _) => "HEAD".to_owned(),
            (_, _, Some(_)) => "POST".to_owned(),
            _ => "GET".to_owned(),
        };
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(Ended::new(
                Code::Usage,
                format!("`{method}` is no method; write for example -X PUT"),
            ));
        }
        Ok(Self {
            method,
            fields: args.headers.clone(),
            body,
        })
    }

    fn names(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(found, _)| found.eq_ignore_ascii_case(name))
    }

    /// Another host must not learn what was meant for the first one.
    fn forget_secrets(&mut self) {
        self.fields.retain(|(name, _)| {
            !["authorization", "cookie", "host"]
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret))
        });
    }

    fn become_get(&mut self) {
        self.method = "GET".to_owned();
        self.body = None;
        self.fields
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    }

    /// The request as it goes out, and the same without secrets.
    fn encode(&self, url: &Url) -> (Vec<u8>, String) {
        let host = self
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map_or_else(|| url.host_field(), |(_, value)| value.clone());
        let mut fields: Vec<(String, String)> = self
            .fields
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
            .cloned()
            .collect();
        let mut add = |name: &str, value: String| {
            if !self.names(name) {
                fields.push((name.to_owned(), value));
            }
        };
        add("Accept", "*/*".to_owned());
        add("User-Agent", format!("taut/{}", env!("CARGO_PKG_VERSION")));
        add("Connection", "close".to_owned());
        if let Some(authorization) = url.authorization() {
            add("Authorization", authorization);
        }
        if let Some(body) = &self.body {
            add(
                "Content-Type",
                "application/x-www-form-urlencoded".to_owned(),
            );
            add("Content-Length", body.len().to_string());
        }
        let method = Method::Other(&self.method);
        let encode = |hide: bool| {
            let shown: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| match hide && is_secret(name) {
                    true => (name.as_str(), "(not shown)"),
                    false => (name.as_str(), value.as_str()),
                })
                .collect();
            let mut out = Vec::new();
            http::encode_request(&mut out, &method, &url.target, &host, &shown);
            out
        };
        let shown = String::from_utf8_lossy(&encode(true)).into_owned();
        let mut out = encode(false);
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        (out, shown)
    }
}

fn is_secret(name: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

fn read_body(data: &str) -> Result<Vec<u8>, Ended> {
    let read = match data.strip_prefix('@') {
        None => return Ok(data.as_bytes().to_vec()),
        Some("-") => {
            let mut body = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut body).map(|_| body)
        }
        Some(path) => std::fs::read(path),
    };
    read.map_err(|error| Ended::new(Code::Usage, format!("cannot read {data}: {error}")))
}

/// What comes after a response.
enum Next {
    /// Its status.
    Done(u16),
    /// As many events have come as were asked for.
    Enough,
    /// Its status, and where it leads.
    Moved(u16, Url),
}

/// A response's head, kept.
struct Head {
    status: u16,
    framing: Framing,
    is_events: bool,
    location: Option<String>,
    shown: Vec<u8>,
}

async fn exchange(session: &mut Session, url: &Url, asked: &Asked) -> Result<Next, Ended> {
    let (scenes, printing) = session.narrator.scenes();
    let opened = open(url, &session.settings, &scenes).await;
    drop(scenes);
    let _ = printing.await;
    let opened = opened.map_err(|error| failure::ended(&error))?;
    session.tell_open(&opened.local, &opened.peer).await?;
    let mut stream = opened.stream;
    let (request, shown) = asked.encode(url);
    session.narrator.tell('>', shown.trim_end()).await?;
    if let Some(body) = &asked.body {
        let text = format!("and a body of {} bytes {}", body.len(), preview(body));
        session.narrator.tell('>', &text).await?;
    }
    // A server may answer before it has read everything, and close.
    let written = stream.write_all(&request).await;
    let mut input = Vec::new();
    let head = read_head(session, url, asked, &mut stream, &mut input).await;
    let head = match (head, written) {
        (Ok(head), _) => head,
        (Err(_), Err(error)) => {
            return Err(failure::ended(&broken(
                &error,
                &url.to_string(),
                "the request was sent",
            )));
        }
        (Err(ended), _) => return Err(ended),
    };
    if session.args.location
        && matches!(head.status, 301 | 302 | 303 | 307 | 308)
        && let Some(location) = &head.location
    {
        return Ok(Next::Moved(head.status, resolve(url, location)?));
    }
    let mut printer = Printer::new(session, &head)?;
    printer.head(session, &head).await?;
    body(session, url, &mut stream, input, &head, &mut printer).await
}

async fn read_head(
    session: &Session,
    url: &Url,
    asked: &Asked,
    stream: &mut Stream,
    input: &mut Vec<u8>,
) -> Result<Head, Ended> {
    let patience = Duration::from_millis(session.answer_ms_max());
    let reading = async {
        loop {
            if let Some(head) = parse_head(session, url, asked, input)? {
                session
                    .narrator
                    .tell('<', String::from_utf8_lossy(&head.shown).trim_end())
                    .await?;
                // A 1xx is a word in between (RFC 9110 §15.2).
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            let mut buffer = vec![0; READ_BYTES];
            let count = read(session, url, stream, &mut buffer).await?;
            if count == 0 {
                return Err(ended_before_head(url, input));
            }
            input.extend_from_slice(&buffer[..count]);
        }
    };
    match timeout(patience, reading).await {
        Ok(head) => head,
        Err(_) => Err(Ended::new(
            Code::Silent,
            format!("{url} did not answer within {} s", patience.as_secs_f64()),
        )
        .hint("--timeout waits longer")),
    }
}

fn parse_head(
    session: &Session,
    url: &Url,
    asked: &Asked,
    input: &mut Vec<u8>,
) -> Result<Option<Head>, Ended> {
    if !b"HTTP/1.".starts_with(&input[..input.len().min(7)]) {
        return Err(Ended::new(
            Code::Violation,
            format!("{url} does not speak HTTP: it sent {}", preview(input)),
        ));
    }
    let limits = Limits {
        head_bytes_max: session.args.max_bytes.min(256 << 10),
        ..Limits::default()
    };
    let method = match asked.method.as_str() {
        "HEAD" => Method::Head,
        "CONNECT" => Method::Connect,
        other => Method::Other(other),
    };
    let parsed = http::parse_response(input, &limits, &method);
    let (response, length) = match parsed {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Ok(None),
        Err(violation) => {
            let code = match violation.status {
                431 => Code::Flood,
                _ => Code::Violation,
            };
            return Err(Ended::new(
                code,
                format!("{url} broke HTTP: {}", violation.violation),
            ));
        }
    };
    let field = |name| response.headers.first(name).map(str::to_owned);
    let head = Head {
        status: response.status,
        framing: response.framing,
        is_events: field("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")),
        location: field("location"),
        shown: input[..length].to_vec(),
    };
    input.drain(..length);
    Ok(Some(head))
}

async fn body(
    session: &mut Session,
    url: &Url,
    stream: &mut Stream,
    mut input: Vec<u8>,
    head: &Head,
    printer: &mut Printer,
) -> Result<Next, Ended> {
    let broke = |violation: http::Violation| {
        Ended::new(
            Code::Violation,
            format!("{url} broke HTTP: {}", violation.violation),
        )
    };
    let mut decoder = BodyDecoder::new(head.framing, u64::MAX).map_err(broke)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let mut used = 0;
        while !decoder.is_done() {
            let step = decoder.decode(&input[used..]).map_err(broke)?;
            if step.consumed == 0 && !step.done {
                break;
            }
            used += step.consumed;
            if printer.piece(session, step.data).await? == Goes::Enough {
                return Ok(Next::Enough);
            }
        }
        input.drain(..used);
        if decoder.is_done() {
            break;
        }
        let count = tokio::select! {
            read = read(session, url, stream, &mut buffer) => read?,
            gone = session.output.screen.gone() => return Err(gone.into()),
        };
        if count == 0 {
            if head.framing == Framing::ToEnd {
                break;
            }
            printer.end(session).await?;
            return Err(Ended::new(
                Code::CutShort,
                format!("{url} ended the connection in the middle of its response"),
            ));
        }
        session.narrator.bytes('<', &buffer[..count]).await?;
        input.extend_from_slice(&buffer[..count]);
    }
    printer.end(session).await?;
    session.narrator.tell('*', "the response is whole").await?;
    Ok(Next::Done(head.status))
}

async fn read(
    session: &Session,
    url: &Url,
    stream: &mut Stream,
    buffer: &mut [u8],
) -> Result<usize, Ended> {
    match stream.read(buffer).await {
        Ok(count) => Ok(count),
        // A peer that ends TLS without saying so has not said that it is done.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => {
            let _ = session;
            Err(failure::ended(&broken(
                &error,
                &url.to_string(),
                "the response came",
            )))
        }
    }
}

fn ended_before_head(url: &Url, input: &[u8]) -> Ended {
    if input.is_empty() {
        return Ended::new(
            Code::CutShort,
            format!("{url} ended the connection without an answer"),
        );
    }
    Ended::new(
        Code::CutShort,
        format!("{url} ended the connection in the middle of its response's head"),
    )
}

/// Where a redirect leads (RFC 3986 §5.2, for what servers send).
fn resolve(base: &Url, location: &str) -> Result<Url, Ended> {
    let absolute = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", base.scheme.name())
    } else {
        let origin = format!("{}://{}", base.scheme.name(), base.authority());
        if location.starts_with('/') {
            format!("{origin}{location}")
        } else {
            let path = base.target.split('?').next().unwrap_or("/");
            let folder = &path[..=path.rfind('/').unwrap_or(0)];
            format!("{origin}{folder}{location}")
        }
    };
    let to: Url = absolute.parse().map_err(|error| {
        Ended::new(
            Code::Violation,
            format!("{base} redirects to what is no URL: {error}"),
        )
    })?;
    if !matches!(to.scheme, Scheme::Http | Scheme::Https) {
        return Err(Ended::new(
            Code::Refused,
            format!("{base} redirects to {to}, which is not followed"),
        ));
    }
    Ok(to)
}

/// Where the response goes.
struct Printer {
    file: Option<std::fs::File>,
    events: Option<(sse::Parser, Vec<u8>)>,
    is_body_only: bool,
    ends_in_line: bool,
}

impl Printer {
    fn new(session: &Session, head: &Head) -> Result<Self, Ended> {
        let file = match &session.args.output {
            Some(path) => Some(std::fs::File::create(path).map_err(|error| {
                Ended::new(
                    Code::Failure,
                    format!("cannot write {}: {error}", path.display()),
                )
            })?),
            None => None,
        };
        let wants_events = session.output.is_json() || session.output.is_counting();
        Ok(Self {
            file,
            events: (head.is_events && wants_events)
                .then(|| (sse::Parser::new(session.args.max_bytes), Vec::new())),
            is_body_only: session.args.body,
            ends_in_line: true,
        })
    }

    async fn head(&mut self, session: &mut Session, head: &Head) -> Result<(), Ended> {
        if session.output.is_json() {
            let text = String::from_utf8_lossy(&head.shown).into_owned();
            let fields: Vec<(&str, &str)> = text
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name, value.trim()))
                .collect();
            let fields = serde_json::json!({ "status": head.status, "fields": fields });
            return session.output.event("response", fields).await;
        }
        if self.is_body_only {
            return Ok(());
        }
        let mut shown = Vec::new();
        match session.rendering {
            // Lines of a terminal end in a line feed alone.
            Rendering::Escaped => Rendering::Escaped.message(
                &mut shown,
                String::from_utf8_lossy(&head.shown)
                    .replace("\r\n", "\n")
                    .as_bytes(),
            ),
            _ => shown.extend_from_slice(&head.shown),
        }
        Ok(session.output.screen.data(shown).await?)
    }

    async fn piece(&mut self, session: &mut Session, data: &[u8]) -> Result<Goes, Ended> {
        if data.is_empty() {
            return Ok(Goes::On);
        }
        self.ends_in_line = data.last() == Some(&b'\n');
        if let Some(file) = &mut self.file {
            return match file.write_all(data) {
                Ok(()) => Ok(Goes::On),
                Err(error) => Err(Ended::new(
                    Code::Failure,
                    format!("cannot write the body: {error}"),
                )),
            };
        }
        if self.events.is_some() {
            return self.parse_events(session, data).await;
        }
        session.output.piece(data).await
    }

    async fn parse_events(&mut self, session: &mut Session, data: &[u8]) -> Result<Goes, Ended> {
        let Some((parser, waiting)) = &mut self.events else {
            return Ok(Goes::On);
        };
        waiting.extend_from_slice(data);
        let mut used = 0;
        loop {
            let (consumed, event) = parser.decode(&waiting[used..]).map_err(|violation| {
                Ended::new(Code::Flood, format!("an event is too long: {violation}"))
            })?;
            used += consumed;
            let Some(event) = event else {
                if consumed == 0 {
                    break;
                }
                continue;
            };
            if session.output.is_json() {
                let fields =
                    serde_json::json!({ "type": event.event, "data": event.data, "id": event.id });
                session.output.event("message", fields).await?;
            } else {
                let text = format!(
                    "event: {}\ndata: {}\n\n",
                    event.event,
                    event.data.replace('\n', "\ndata: ")
                );
                session.output.screen.data(text.into_bytes()).await?;
            }
            if session.output.count_one() == Goes::Enough {
                return Ok(Goes::Enough);
            }
        }
        waiting.drain(..used);
        Ok(Goes::On)
    }

    async fn end(&mut self, session: &mut Session) -> Result<(), Ended> {
        session.output.end().await?;
        if session.rendering == Rendering::Escaped
            && !self.ends_in_line
            && !session.output.is_json()
        {
            session.output.screen.data(b"\n".to_vec()).await?;
        }
        Ok(())
    }
}
