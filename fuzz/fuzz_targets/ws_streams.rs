//! One stream, decoded at once and in pieces. The first byte chooses the pieces and whether deflate was agreed on.

use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::{Decoder, Event, Role, Settings, Violation};

pub fn check(role: Role, data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let settings = Settings {
        role,
        message_bytes_max: 4096,
        deflate: choice & 1 != 0,
    };
    let piece_bytes = usize::from(choice >> 1) + 1;
    let whole = decode(&settings, stream, stream.len().max(1));
    let pieces = decode(&settings, stream, piece_bytes);
    assert_eq!(whole, pieces);
    for event in &whole.0 {
        let bytes = match event {
            Event::Text(text) => text.len(),
            Event::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        assert!(bytes <= settings.message_bytes_max);
    }
}

/// The events up to a close, a violation or the end.
fn decode(
    settings: &Settings,
    stream: &[u8],
    piece_bytes: usize,
) -> (Vec<Event<'static>>, Option<Violation>) {
    let mut inflater = Inflater::new();
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    let mut kept = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        kept.extend_from_slice(piece);
        let mut start = 0;
        loop {
            let decoded = match decoder.decode(settings, &mut kept[start..], &mut inflater) {
                Ok(decoded) => decoded,
                Err(violation) => return (events, Some(violation)),
            };
            start += decoded.consumed;
            match (decoded.event, decoded.consumed) {
                (Some(event @ Event::Close(_)), _) => {
                    events.push(event.into_owned());
                    return (events, None);
                }
                (Some(event), _) => events.push(event.into_owned()),
                (None, 0) => break,
                (None, _) => {}
            }
        }
        kept.drain(..start);
        assert!(kept.len() <= 13, "only a frame head may stay behind");
    }
    (events, None)
}
