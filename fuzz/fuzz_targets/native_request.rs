//! Whatever a client sends is a request with one spelling on one line, or gets an answer that is JSON on one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::native::{decode_reply, decode_request};

fuzz_target!(|data: &[u8]| {
    let mut first = Vec::new();
    match decode_request(data) {
        Err(rejected) => {
            rejected.encode(&mut first);
            decode_reply(&first).expect("a refusal is a reply");
        }
        Ok(request) => {
            request.encode(&mut first);
            let again = decode_request(&first).expect("what was encoded is a request");
            let mut second = Vec::new();
            again.encode(&mut second);
            assert_eq!(first, second);
        }
    }
    assert!(!first.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
});
