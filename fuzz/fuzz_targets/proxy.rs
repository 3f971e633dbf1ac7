//! A header of the PROXY protocol is read the same however much follows it, and needs no more bytes than it has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::proxy::decode;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some((proxied, length))) = decode(data) {
        assert!(length <= data.len());
        assert_eq!(decode(&data[..length]).expect("a header"), Some((proxied, length)));
        for cut in 0..length {
            assert_eq!(decode(&data[..cut]).expect("a beginning"), None);
        }
    }
});
