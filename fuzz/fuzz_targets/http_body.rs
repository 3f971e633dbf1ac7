//! A body is the same however its bytes are cut, and never larger than its limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::http::{self, BodyDecoder, Framing, Violation};

const BODY_BYTES_MAX: u64 = 512;

fuzz_target!(|data: &[u8]| {
    let [choice, piece, input @ ..] = data else {
        return;
    };
    let framing = match choice % 8 {
        0 => Framing::Length(u64::from(*choice)),
        1 => Framing::ToEnd,
        _ => Framing::Chunked,
    };
    let whole = decode(framing, input, input.len().max(1));
    let pieces = decode(framing, input, usize::from(*piece) + 1);
    assert_eq!(whole, pieces);
    let (body, ending) = whole;
    assert!(body.len() as u64 <= BODY_BYTES_MAX);
    if framing == Framing::Chunked && ending.is_ok_and(|end| end.is_some()) {
        let mut again = Vec::new();
        http::encode_chunk(&mut again, &body);
        http::encode_last_chunk(&mut again);
        let end = again.len();
        assert_eq!(decode(framing, &again, 7), (body, Ok(Some(end))));
    }
});

/// The body so far, and how it came out: the bytes it took if it ended, or the violation.
fn decode(
    framing: Framing,
    input: &[u8],
    piece: usize,
) -> (Vec<u8>, Result<Option<usize>, Violation>) {
    let (mut body, mut taken) = (Vec::new(), 0);
    let mut decoder = match BodyDecoder::new(framing, BODY_BYTES_MAX) {
        Ok(decoder) => decoder,
        Err(violation) => return (body, Err(violation)),
    };
    if decoder.is_done() {
        return (body, Ok(Some(0)));
    }
    for mut piece in input.chunks(piece) {
        while !piece.is_empty() {
            let step = match decoder.decode(piece) {
                Ok(step) => step,
                Err(violation) => return (body, Err(violation)),
            };
            assert!(step.consumed > 0);
            assert!(step.data.len() <= step.consumed);
            assert_eq!(step.done, decoder.is_done());
            body.extend_from_slice(step.data);
            taken += step.consumed;
            if step.done {
                return (body, Ok(Some(taken)));
            }
            piece = &piece[step.consumed..];
        }
    }
    (body, Ok(None))
}
