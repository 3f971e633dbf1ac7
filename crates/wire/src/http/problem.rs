//! Error answers that a program can read (RFC 9457).

use serde::Serialize;

/// The media type of what [`encode`] writes.
pub const CONTENT_TYPE: &str = "application/problem+json";

#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

/// Appends a problem object: the kind of thing that went wrong, the status, what happened here and what to do, and the code for programs.
///
/// Its `type` is left out and so is `about:blank` (RFC 9457 §3.1.1): the code tells problems apart.
pub fn encode(out: &mut Vec<u8>, status: u16, title: &str, detail: &str, code: &str) {
    let problem = Problem {
        title,
        status,
        detail,
        code,
    };
    // Writing strings and a number into a Vec has no way to fail.
    let _ = serde_json::to_writer(out, &problem);
}
