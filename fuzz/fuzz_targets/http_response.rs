//! A response head is judged alike at every length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::http::{self, Framing, Limits, Method};

const LIMITS: Limits = Limits {
    head_bytes_max: 1024,
    headers_max: 16,
    target_bytes_max: 256,
};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let method = if choice & 1 == 0 {
        Method::Get
    } else {
        Method::Head
    };
    let cut = input.len() * usize::from(choice >> 1) / 127;
    let early = http::parse_response(&input[..cut], &LIMITS, &method);
    let whole = http::parse_response(input, &LIMITS, &method);
    match (&early, &whole) {
        (Ok(None), _) => {}
        (early, whole) => assert_eq!(format!("{early:?}"), format!("{whole:?}")),
    }
    if let Ok(Some((response, length))) = whole {
        assert!(input[..length].ends_with(b"\r\n\r\n"));
        assert!((100..=999).contains(&response.status));
        assert!(!response.keep_alive || response.framing != Framing::ToEnd);
    }
});
