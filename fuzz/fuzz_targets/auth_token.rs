//! A token is taken apart or refused, and what refuses it holds nothing that a terminal would obey. What an attacker signs counts for nothing; what our own key has
//! signed is judged without a panic, whatever its claims are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use taut_auth::{Algorithm, Key, Revocations, SigningKey, Verifier};

const SECRET: &[u8] = b"thirty-two bytes, and some more of it";

fuzz_target!(|data: &[u8]| {
    let key = Key::secret(Algorithm::Hs256, None, SECRET).expect("a key");
    let verifier = Verifier {
        keys: vec![key],
        ..Verifier::default()
    };
    let judge = |token: &str| verifier.verify(token, &[], &Revocations::default(), 1_800_000_000);
    if let Ok(text) = std::str::from_utf8(data)
        && let Err(error) = judge(text)
    {
        assert!(!error.to_string().chars().any(char::is_control));
    }
    if let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(data) {
        let key = SigningKey::secret(Algorithm::Hs256, SECRET).expect("a key");
        if let Err(error) = judge(&key.mint(None, &claims).expect("a token")) {
            assert!(!error.to_string().chars().any(char::is_control));
        }
    }
});
