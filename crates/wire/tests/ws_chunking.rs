//! What a stream says never depends on how the network cuts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ws_streams;

use proptest::prelude::*;
use taut_wire::ws::Settings;
use ws_streams::{decode, decode_bytewise, decode_whole, encode, sayings, settings};

/// Cuts a stream at parts of 65,535 of its length.
fn cut<'s>(stream: &'s [u8], cuts: &[u16]) -> Vec<&'s [u8]> {
    let mut ends: Vec<usize> = cuts
        .iter()
        .map(|cut| stream.len() * usize::from(*cut) / 65_535)
        .collect();
    ends.sort_unstable();
    ends.push(stream.len());
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        pieces.push(&stream[start..end]);
        start = end;
    }
    pieces
}

proptest! {
    #[test]
    fn any_cutting_of_a_valid_stream_says_the_same(
        settings in settings(),
        sayings in sayings(),
        cuts in prop::collection::vec(any::<u16>(), 0..40),
    ) {
        let (stream, events) = encode(&settings, &sayings);
        prop_assert_eq!(&decode_whole(&settings, &stream).0, &events);
        prop_assert_eq!(decode(&settings, cut(&stream, &cuts)), (events, None));
    }

    #[test]
    fn every_prefix_of_a_valid_stream_is_a_beginning_of_it(
        settings in settings(),
        sayings in sayings(),
        cut in any::<u16>(),
    ) {
        let (stream, events) = encode(&settings, &sayings);
        let step = stream.len() / 300 + 1;
        let near_cut = stream.len() * usize::from(cut) / 65_535;
        for end in (0..=stream.len()).step_by(step).chain([near_cut]) {
            let (begun, violation) = decode_whole(&settings, &stream[..end]);
            prop_assert_eq!(violation, None);
            prop_assert!(events.starts_with(&begun));
        }
    }

    #[test]
    fn any_bytes_at_all_say_the_same_whole_and_byte_by_byte(
        settings in settings(),
        stream in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let small = Settings { message_bytes_max: 100, ..settings };
        prop_assert_eq!(decode_whole(&small, &stream), decode_bytewise(&small, &stream));
    }

    #[test]
    fn a_valid_stream_with_one_flipped_bit_says_the_same_whole_and_cut(
        settings in settings(),
        sayings in sayings(),
        at in any::<u16>(),
        bit in 0..8_u8,
        cuts in prop::collection::vec(any::<u16>(), 0..40),
    ) {
        let (mut stream, _) = encode(&settings, &sayings);
        let at = stream.len() * usize::from(at) / 65_536;
        if let Some(byte) = stream.get_mut(at) {
            *byte ^= 1 << bit;
        }
        let small = Settings { message_bytes_max: 70_000, ..settings };
        prop_assert_eq!(
            decode_whole(&small, &stream),
            decode(&small, cut(&stream, &cuts))
        );
    }
}
