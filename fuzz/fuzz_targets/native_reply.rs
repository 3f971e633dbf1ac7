//! Whatever a server sends is a reply with one spelling on one line, or a violation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::native::decode_reply;

fuzz_target!(|data: &[u8]| {
    let Ok(reply) = decode_reply(data) else {
        return;
    };
    let mut first = Vec::new();
    reply.encode(&mut first);
    assert!(!first.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
    let again = decode_reply(&first).expect("what was encoded is a reply");
    let mut second = Vec::new();
    again.encode(&mut second);
    assert_eq!(first, second);
});
