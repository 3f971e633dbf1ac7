//! What a connection speaks is told once: more bytes never change it, and the end always tells it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::sniff::{Sniffed, mqtt_refusal, sniff};

fuzz_target!(|input: &[u8]| {
    let mut told = Sniffed::More;
    for length in 0..=input.len().min(512) {
        let found = sniff(&input[..length], false);
        assert!(
            told == Sniffed::More || found == told,
            "{told:?} became {found:?}"
        );
        assert_ne!(sniff(&input[..length], true), Sniffed::More);
        told = found;
    }
    let found = sniff(input, false);
    assert!(told == Sniffed::More || found == told);
    let ended = sniff(input, true);
    assert!(found == Sniffed::More || ended == found);
    if let Sniffed::Mqtt { version } = ended {
        assert_eq!(
            usize::from(mqtt_refusal(version)[1]),
            mqtt_refusal(version).len() - 2
        );
    }
});
