//! A packet that was read is written and read again as it was; its values are those of its array; its attachments are bounded.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use taut_wire::socketio::{
    ACK_ID_MAX, Argument, Assembly, Content, Limits, List, Progress, decode, encode, encode_event,
};

const LIMITS: Limits = Limits {
    attachments_max: 5,
    namespace_bytes_max: 20,
};
const ATTACHMENT: &[u8] = b"bytes";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(packet) = decode(text, &LIMITS) else {
        return;
    };
    assert!(packet.namespace.starts_with('/'));
    assert!(packet.namespace.len() <= LIMITS.namespace_bytes_max);
    assert!(packet.attachments <= LIMITS.attachments_max);
    assert!(packet.id.is_none_or(|id| id <= ACK_ID_MAX));
    let mut written = Vec::new();
    encode(&mut written, &packet);
    let written = String::from_utf8(written).expect("a packet is text");
    assert_eq!(decode(&written, &LIMITS).as_ref(), Ok(&packet));
    match &packet.content {
        Content::Event(event) => {
            values(&event.arguments);
            if packet.id.is_none() {
                let json = Argument::Json(event.arguments.json.as_bytes());
                let mut straight = Vec::new();
                let (namespace, attachments) = (packet.namespace, packet.attachments);
                encode_event(&mut straight, namespace, attachments, &event.name, &[json]);
                assert_eq!(straight, written.as_bytes());
            }
        }
        Content::Ack(list) => values(list),
        _ => assert_eq!(packet.attachments, 0),
    }
    let Ok(mut assembly) = Assembly::begin(&packet, 17) else {
        return;
    };
    assert_eq!(assembly.packet(), packet);
    let mut progress = Progress::Missing(packet.attachments);
    while progress != Progress::Whole {
        match assembly.attach(Cow::Borrowed(ATTACHMENT)) {
            Ok(next) => progress = next,
            Err(_) => break,
        }
    }
    let come = assembly.attachments().len();
    // Three attachments have 15 bytes, a fourth would be too long.
    assert_eq!(come, 3.min(packet.attachments as usize));
    assert_eq!(progress == Progress::Whole, assembly.missing() == 0);
});

fn values(list: &List<'_>) {
    let mut again = String::new();
    let mut count = 0;
    for value in list.values() {
        if count > 0 {
            again.push(',');
        }
        again.push_str(value.get());
        count += 1;
    }
    assert_eq!(count, list.count);
    // Only the white space between the values is lost.
    assert!(again.len() <= list.json.len());
    let dense = |text: &str| text.split_ascii_whitespace().collect::<String>();
    assert_eq!(dense(&again), dense(list.json));
}
