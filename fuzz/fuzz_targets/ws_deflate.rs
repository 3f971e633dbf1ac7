//! Any bytes inflated: within the limit or refused. Any bytes deflated: the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::ws::deflate::{Deflater, Inflater};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let mut inflater = Inflater::new();
    let bytes_max = usize::from(choice) * 16;
    if let Ok(inflated) = inflater.inflate(bytes, bytes_max) {
        assert!(inflated.len() <= bytes_max);
        assert_eq!(inflater.inflate(bytes, inflated.len()), Ok(inflated));
    }
    let mut compressed = Vec::new();
    if Deflater::new().deflate(bytes, 8 + choice % 8, &mut compressed) {
        assert!(compressed.len() < bytes.len());
        let inflated = inflater.inflate(&compressed, bytes.len());
        assert_eq!(inflated.as_deref(), Ok(bytes));
    } else {
        assert!(compressed.is_empty());
    }
});
