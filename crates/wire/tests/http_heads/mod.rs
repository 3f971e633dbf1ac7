//! How the tests ask: a head is judged whole and at every length before that.

use taut_wire::http::{self, Limits, Request, Violation};

/// The head that the input begins with; the test fails where there is none.
pub(crate) fn accepted(input: &[u8]) -> Request<'_> {
    match http::parse_request(input, &Limits::default()) {
        Ok(Some((request, _))) => request,
        other => panic!("{} gave {other:?}", input.escape_ascii()),
    }
}

/// The violation of a head that is refused; every prefix either asks for more or is refused for the same reason.
pub(crate) fn refused(input: &[u8]) -> Violation {
    let Err(violation) = http::parse_request(input, &Limits::default()) else {
        panic!("accepted {}", input.escape_ascii());
    };
    let mut early = false;
    for length in 0..=input.len().min(4_096) {
        match http::parse_request(&input[..length], &Limits::default()) {
            Ok(None) => assert!(!early, "a refusal was taken back at byte {length}"),
            Ok(Some(_)) => panic!("accepted {}", input[..length].escape_ascii()),
            Err(found) => {
                assert_eq!(found, violation, "at byte {length}");
                early = true;
            }
        }
    }
    violation
}

/// A GET with these header lines, each ended by CRLF.
pub(crate) fn with_fields(fields: &str) -> Vec<u8> {
    format!("GET /r/lobby HTTP/1.1\r\n{fields}\r\n").into_bytes()
}
