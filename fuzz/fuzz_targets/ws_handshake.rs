//! Any head, as a request to our server and as a response to our client. What the server agrees to, the client takes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::http::{Limits, Method, parse_request, parse_response};
use taut_wire::ws::handshake::{
    AnswerSettings, Opening, answer, check_response, encode_answer, encode_request,
};

const SETTINGS: AnswerSettings<'_> = AnswerSettings {
    protocols: &["taut", "mqtt"],
    deflate: true,
};

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    if let Ok(Some((request, _))) = parse_request(data, &limits)
        && let Ok(agreed) = answer(&request, &SETTINGS)
    {
        let mut out = Vec::new();
        encode_answer(&mut out, &agreed);
        let parsed = parse_response(&out, &limits, &Method::Get);
        let (response, head_bytes) = parsed.expect("well formed").expect("whole");
        assert_eq!((response.status, head_bytes), (101, out.len()));
    }
    if let Ok(Some((response, _))) = parse_response(data, &limits, &Method::Get) {
        let opening = Opening {
            host: "localhost",
            path_and_query: "/",
            key: b"the sample nonce",
            protocols: SETTINGS.protocols,
            origin: None,
            headers: &[],
            deflate: true,
        };
        let _ = check_response(&response, &opening);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        check_opening(text, &limits);
    }
});

/// Whatever stands in the opening, it makes one request that our server takes, or none.
fn check_opening(text: &str, limits: &Limits) {
    let opening = Opening {
        host: "localhost",
        path_and_query: text,
        key: b"the sample nonce",
        protocols: &["taut"],
        origin: None,
        headers: &[("x-fuzz", text)],
        deflate: true,
    };
    let mut out = Vec::new();
    if encode_request(&mut out, &opening).is_err() {
        assert!(out.is_empty());
    } else if let Ok(parsed) = parse_request(&out, limits) {
        let (request, head_bytes) = parsed.expect("a whole head");
        assert_eq!(head_bytes, out.len());
        let agreed = answer(&request, &SETTINGS).expect("our own opening");
        let mut response = Vec::new();
        encode_answer(&mut response, &agreed);
        let parsed = parse_response(&response, limits, &Method::Get);
        let (response, _) = parsed.expect("well formed").expect("whole");
        check_response(&response, &opening).expect("our own answer");
    }
}
