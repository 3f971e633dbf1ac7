use taut_wire::http;

/// What is asked for, as far as a folder can tell methods apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The file.
    Get,
    /// What GET would answer, without the body.
    Head,
    /// Which methods there are.
    Options,
    /// Anything else: a 405.
    Other,
}

impl From<http::Method<'_>> for Method {
    fn from(method: http::Method<'_>) -> Self {
        match method {
            http::Method::Get => Self::Get,
            http::Method::Head => Self::Head,
            http::Method::Options => Self::Options,
            _ => Self::Other,
        }
    }
}

/// What matters of a request. Its parts are plain text, so a caller may keep them as `String`s and go to another thread with them.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The path as it came, percent-encoded; begins with `/`.
    pub path: &'a str,
    /// The query without its `?`. It matters for a redirect only, which keeps it.
    pub query: Option<&'a str>,
    /// The fields that decide over the answer.
    pub conditions: &'a Conditions,
}

/// The request fields that decide what a file's answer is (RFC 9110 §12.5, §13.1, §14.2), as they came.
///
/// One that cannot be read counts as absent where the specification lets it: only a wrong `If-Match` makes a request fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`: entity tags, or `*`.
    pub if_match: Option<String>,
    /// `If-None-Match`: entity tags, or `*`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`: a date.
    pub if_modified_since: Option<String>,
    /// `If-Unmodified-Since`: a date.
    pub if_unmodified_since: Option<String>,
    /// `Range`: parts of the file.
    pub range: Option<String>,
    /// `If-Range`: an entity tag or a date, for which alone `Range` counts.
    pub if_range: Option<String>,
    /// `Accept`: media types, for listings and error answers.
    pub accept: Option<String>,
    /// `Accept-Encoding`: content codings, for precompressed files.
    pub accept_encoding: Option<String>,
}

impl Conditions {
    /// Takes them from a head. Fields that are lists may come several times; of the others a second one makes the field absent.
    #[must_use]
    pub fn from_headers(headers: &http::Headers<'_>) -> Self {
        let list = |name| {
            headers.all(name).fold(None, |list: Option<String>, value| {
                Some(list.map_or_else(|| value.to_owned(), |list| list + ", " + value))
            })
        };
        let single = |name| {
            let mut values = headers.all(name);
            values
                .next()
                .filter(|_| values.next().is_none())
                .map(str::to_owned)
        };
        Self {
            if_match: list("If-Match"),
            if_none_match: list("If-None-Match"),
            if_modified_since: single("If-Modified-Since"),
            if_unmodified_since: single("If-Unmodified-Since"),
            range: single("Range"),
            if_range: single("If-Range"),
            accept: list("Accept"),
            accept_encoding: list("Accept-Encoding"),
        }
    }
}
