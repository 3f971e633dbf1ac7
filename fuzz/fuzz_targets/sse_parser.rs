//! A stream has the same events however its bytes are cut, and each of them survives being written and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::Violation;
use taut_wire::sse::{self, Event, Parser};

const EVENT_BYTES_MAX: usize = 128;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, stream)) = data.split_first() else {
        return;
    };
    let whole = read(EVENT_BYTES_MAX, stream, stream.len().max(1));
    assert_eq!(whole, read(EVENT_BYTES_MAX, stream, usize::from(piece) + 1));
    let events = whole.0;
    let mut written = Vec::new();
    for event in &events {
        assert!(
            event.event == "message" || event.event.len() + event.data.len() <= EVENT_BYTES_MAX
        );
        sse::encode_event(
            &mut written,
            Some(&event.id),
            Some(&event.event),
            &event.data,
        );
    }
    // What was no UTF-8 has grown to three bytes each; a field name comes on top, and `message` where it was left out.
    let again = read(3 * EVENT_BYTES_MAX + 16, &written, 3).0;
    assert!(same(&again, &events), "{again:?} {events:?}");
});

/// A NUL cannot be written: it is dropped.
fn same(again: &[Event], events: &[Event]) -> bool {
    again.len() == events.len()
        && again.iter().zip(events).all(|(again, event)| {
            let name = event.event.replace('\0', "");
            let name = if name.is_empty() { "message" } else { &name };
            again.data == event.data && again.event == name && again.id == event.id
        })
}

fn read(event_bytes_max: usize, stream: &[u8], piece: usize) -> (Vec<Event>, Option<Violation>) {
    let mut parser = Parser::new(event_bytes_max);
    let mut events = Vec::new();
    for mut piece in stream.chunks(piece) {
        while !piece.is_empty() {
            match parser.decode(piece) {
                Ok((consumed, event)) => {
                    assert!(event.is_some() || consumed == piece.len());
                    events.extend(event);
                    piece = &piece[consumed..];
                }
                Err(violation) => return (events, Some(violation)),
            }
        }
    }
    (events, None)
}
