//! A payload's packets are those between its separators, up to the first violation, and what was read is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::engineio::{
    Packet, SEPARATOR, decode_handshake, decode_text, payload, push_payload,
};

const PACKETS_MAX: usize = 16;

fuzz_target!(|data: &[u8]| {
    let Ok(body) = std::str::from_utf8(data) else {
        return;
    };
    let all: Vec<_> = payload(body, PACKETS_MAX).collect();
    let parts: Vec<_> = body.split(char::from(SEPARATOR)).collect();
    assert!(!all.is_empty() && all.len() <= parts.len().min(PACKETS_MAX + 1));
    let good = all.iter().take_while(|packet| packet.is_ok()).count();
    assert!(good <= PACKETS_MAX && good + 1 >= all.len());
    // Only a violation ends a payload early.
    assert!(good < all.len() || good == parts.len());
    let mut written = Vec::new();
    for (packet, part) in all.iter().flatten().zip(&parts) {
        assert_eq!(decode_text(part).as_ref(), Ok(packet));
        push_payload(&mut written, packet);
        if let Packet::Open(text) = packet
            && let Ok(handshake) = decode_handshake(text)
        {
            let mut again = Vec::new();
            handshake.encode(&mut again);
            let again = String::from_utf8(again).expect("a handshake is text");
            assert_eq!(decode_handshake(&again), Ok(handshake));
        }
    }
    let written = String::from_utf8(written).expect("a payload is text");
    let again: Vec<_> = payload(&written, PACKETS_MAX).flatten().collect();
    assert!(again.iter().eq(all.iter().flatten()));
});
