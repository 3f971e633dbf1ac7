//! Packed arguments are taken apart or not, and whatever a person gives as arguments has one spelling, in JSON and packed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::arguments::{check, encode_packed, from_json, pack, unpack};
use taut_wire::native::check_json;

fuzz_target!(|data: &[u8]| {
    encoded(data);
    if let Some(arguments) = unpack(data)
        && check_json(arguments.json.as_bytes()).is_ok()
        && check(arguments.json, arguments.attachments.len()).is_ok()
    {
        assert_eq!(pack(arguments.json, &arguments.attachments), data);
        // Somebody's own data may look like an attachment and be none.
        let json = encoded(data);
        check_json(json.as_bytes()).expect("what was encoded is JSON");
    }
    let Ok((array, attachments)) = std::str::from_utf8(data)
        .map_err(drop)
        .and_then(|json| from_json(json).map_err(drop))
    else {
        return;
    };
    check(&array, attachments.len()).expect("what was read fits together");
    let first = encoded(&pack(&array, &attachments));
    let (array, attachments) = from_json(&first).expect("what was encoded can be read");
    assert_eq!(encoded(&pack(&array, &attachments)), first);
});

fn encoded(packed: &[u8]) -> String {
    let mut json = Vec::new();
    encode_packed(&mut json, packed);
    assert!(!json.contains(&b'\n') && !json.contains(&b'\r'));
    String::from_utf8(json).expect("JSON is UTF-8")
}
