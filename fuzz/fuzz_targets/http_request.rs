//! A request head is judged alike at every length, and one that is accepted leaves no doubt where its message ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::http::{self, Framing, Limits, Method, Request, Version, target};

const LIMITS: Limits = Limits {
    head_bytes_max: 1024,
    headers_max: 16,
    target_bytes_max: 256,
};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let cut = input.len() * usize::from(choice) / 255;
    let early = http::parse_request(&input[..cut], &LIMITS);
    let whole = http::parse_request(input, &LIMITS);
    match (&early, &whole) {
        (Ok(None), _) => {}
        (early, whole) => assert_eq!(format!("{early:?}"), format!("{whole:?}")),
    }
    if let Ok(Some((request, length))) = whole {
        check(&request, &input[..length]);
        let _ = http::accepts(&request, &["text/html", "text/event-stream"]);
        let _ = http::Hops::read(&request.headers).map(|hops| hops.client(|_| true));
        let _ = target::decode_path(request.path);
        target::query_pairs(request.query.unwrap_or_default()).for_each(drop);
    }
});

fn check(request: &Request<'_>, head: &[u8]) {
    assert!(head.len() <= LIMITS.head_bytes_max);
    assert!(head.ends_with(b"\r\n\r\n"));
    let lines: Vec<_> = head.split(|byte| *byte == b'\n').collect();
    assert!(
        lines[..lines.len() - 1]
            .iter()
            .all(|line| line.ends_with(b"\r"))
    );
    assert!(
        lines
            .iter()
            .all(|line| line.iter().filter(|byte| **byte == b'\r').count() <= 1)
    );
    assert!(!head.contains(&0));

    assert_ne!(request.method, Method::Connect);
    assert!(
        request.path.starts_with('/') || (request.path == "*" && request.method == Method::Options)
    );
    assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic()));
    let count = |name: &str| request.headers.all(name).count();
    assert!(count("host") <= 1);
    assert!(request.host.is_some() || request.version == Version::Http10);
    match (count("content-length"), count("transfer-encoding")) {
        (0, 0) => assert_eq!(request.framing, Framing::None),
        (1, 0) => {
            let length = request.headers.first("content-length");
            let length = length.and_then(|length| length.parse().ok());
            assert_eq!(length.map(Framing::Length), Some(request.framing));
        }
        (0, 1) => assert_eq!(request.framing, Framing::Chunked),
        more => panic!("two ways to tell the length: {more:?}"),
    }
    for (name, value) in request.headers.iter() {
        assert!(
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
        assert!(
            value
                .iter()
                .all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
        );
    }
}
