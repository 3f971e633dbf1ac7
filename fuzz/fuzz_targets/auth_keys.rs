//! A key set is read or refused; a file of revocations loses no line that is whole, and says the same when it is written anew.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_auth::{JWKS_KEYS_MAX, KeySet, Revocations};

fuzz_target!(|data: &[u8]| {
    if let Ok(set) = KeySet::parse(data) {
        assert!(!set.keys.is_empty() && set.keys.len() <= JWKS_KEYS_MAX);
    }
    let (table, _) = Revocations::decode(data, 0);
    let (again, damage) = Revocations::decode(table.encode().as_bytes(), 0);
    assert_eq!((again.len(), damage), (table.len(), taut_auth::Damage::default()));
});
