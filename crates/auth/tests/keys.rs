//! Keys of the API and signatures of webhooks.
#![allow(clippy::unwrap_used)]

use taut_auth::{ApiKey, WebhookKey};

#[test]
fn an_api_key_is_found_by_itself_and_its_hash_gives_nothing_away() {
    let (key, hash) = ApiKey::generate([7; 32]);
    let (other, _) = ApiKey::generate([8; 32]);
    assert!(key.starts_with("taut_") && key.len() == 48);
    let read: ApiKey = hash.to_string().parse().unwrap();
    let keys = [ApiKey::generate([9; 32]).1, read];
    assert_eq!(ApiKey::find(&key, &keys), Some(1));
    for wrong in [
        &*other,
        &key[..47],
        "",
        &hash.to_string(),
        &"x".repeat(10_000),
    ] {
        assert_eq!(ApiKey::find(wrong, &keys), None);
    }
    assert_eq!(format!("{hash:?}"), "ApiKey");
    for text in [
        "",
        "sha256:",
        "sha256:zz",
        &key,
        &format!("sha256:{}", "+1".repeat(32)),
    ] {
        assert!(text.parse::<ApiKey>().is_err(), "{text}");
    }
}

#[test]
fn a_webhook_signature_holds_for_its_body_and_its_time() {
    let key = WebhookKey::new(&[1; 32]).unwrap();
    let header = key.sign(b"{}", 1_000);
    assert_eq!(
        header,
        "t=1000,v1=265746290352f689a04ef62ec29aeb56635096ac1841eb83e1d8f8a423ea14ea"
    );
    assert!(key.verifies(&header, b"{}", 300, 1_300));
    assert!(!key.verifies(&header, b"{}", 300, 1_301));
    assert!(!key.verifies(&header, b"[]", 300, 1_000));
    assert!(!key.verifies(&header.replace("1000", "1200"), b"{}", 300, 1_200));
    for wrong in ["", "t=", "t=x,v1=", "t=1000", "v1=1,t=1000", "t=1000,v1="] {
        assert!(!key.verifies(wrong, b"{}", 300, 1_000));
    }
    assert!(WebhookKey::new(&[1; 31]).is_err());
}
