use serde_json::{Value, json};
use taut_files::Conditions;
use taut_wire::http::{Framing, Method, Request, Version, accepts};

/// A request, with bytes of its own.
#[derive(Debug)]
pub(super) struct Asked {
    /// As it came, with its empty line.
    pub(super) head: Vec<u8>,
    pub(super) method: String,
    /// Percent-encoded.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) version: Version,
    /// Names as they came, and values.
    pub(super) fields: Vec<(String, String)>,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    /// Whether it likes a stream of events best.
    pub(super) wants_events: bool,
    pub(super) conditions: Conditions,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn new(head: &[u8], request: &Request<'_>) -> Self {
        let fields = request.headers.iter();
        Self {
            head: head.to_vec(),
            method: request.method.name().to_owned(),
            path: request.path.to_owned(),
            query: request.query.map(str::to_owned),
            version: request.version,
            fields: fields
                .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
                .collect(),
            framing: request.framing,
            keep_alive: request.keep_alive,
            expects_continue: request.expects_continue,
            wants_events: request.method == Method::Get
                && accepts(request, &["text/plain", "text/event-stream"]) == Some(1),
            conditions: Conditions::from_headers(&request.headers),
            body: Vec::new(),
        }
    }

    pub(super) fn method(&self) -> Method<'_> {
        Method::from_name(&self.method)
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// GET, or HEAD, which is answered as GET.
    pub(super) fn is_get(&self) -> bool {
        self.method == "GET" || self.is_head()
    }

    pub(super) fn is_1_0(&self) -> bool {
        self.version == Version::Http10
    }

    /// The first value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The request line, as far as it means something.
    pub(super) fn line(&self) -> String {
        let (between, query) = match &self.query {
            Some(query) => ("?", query.as_str()),
            None => ("", ""),
        };
        let version = if self.is_1_0() { "1.0" } else { "1.1" };
        format!(
            "{} {}{between}{query} HTTP/{version}",
            self.method, self.path
        )
    }

    /// As `--json` prints it.
    pub(super) fn json(&self) -> Vec<(&'static str, Value)> {
        let mut object = vec![("method", json!(self.method)), ("path", json!(self.path))];
        if let Some(query) = &self.query {
            object.push(("query", json!(query)));
        }
        object.push(("headers", json!(self.fields)));
        object
    }
}
