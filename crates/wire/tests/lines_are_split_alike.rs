//! Lines are the same however the bytes were cut, and none is longer than the limit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_wire::Violation;
use taut_wire::lines::Splitter;

const SPLITTER: Splitter = Splitter { line_bytes_max: 8 };

#[test]
fn a_line_ends_in_lf_or_crlf() {
    for (input, line, consumed) in [
        (&b"hi\nho\n"[..], &b"hi"[..], 3),
        (b"hi\r\nho", b"hi", 4),
        (b"\n", b"", 1),
        (b"\r\n", b"", 2),
        (b"a\rb\n", b"a\rb", 4),
        (b"a\r\r\n", b"a\r", 4),
        (b"12345678\r\n", b"12345678", 10),
        (b"\xff\0\n", b"\xff\0", 3),
    ] {
        assert_eq!(SPLITTER.split(input), Ok(Some((line, consumed))));
        for length in 0..consumed {
            assert_eq!(SPLITTER.split(&input[..length]), Ok(None));
        }
    }
}

#[test]
fn a_line_over_the_limit_is_refused_before_its_end_comes() {
    for input in [
        &b"123456789"[..],
        b"123456789\n",
        b"123456789\r\n",
        b"12345678\r\r\n",
        b"123456789\r",
    ] {
        let violation = SPLITTER.split(input).unwrap_err();
        assert_eq!(violation.clause, "PROTOCOL.md, Lines");
    }
    assert_eq!(SPLITTER.split(b"12345678\r"), Ok(None));
    assert_eq!(SPLITTER.split(b"12345678"), Ok(None));
}

#[test]
fn the_end_of_the_stream_ends_the_last_line() {
    assert_eq!(SPLITTER.end(b"bye"), Ok(Some(&b"bye"[..])));
    assert_eq!(SPLITTER.end(b"bye\r"), Ok(Some(&b"bye"[..])));
    assert_eq!(SPLITTER.end(b""), Ok(None));
    assert!(SPLITTER.end(b"123456789").is_err());
}

#[test]
fn what_was_searched_is_not_searched_again() {
    assert_eq!(SPLITTER.split_from(b"abc\n", 3), Ok(Some((&b"abc"[..], 4))));
    assert_eq!(SPLITTER.split_from(b"abc", 99), Ok(None));
}

/// The lines of a stream that comes in parts, as a caller with a remainder reads them.
fn read(stream: &[u8], cut: usize) -> (Vec<Vec<u8>>, Option<Violation>) {
    let (mut lines, mut rest, mut searched) = (Vec::new(), Vec::new(), 0);
    for part in stream.chunks(cut) {
        rest.extend_from_slice(part);
        loop {
            match SPLITTER.split_from(&rest, searched) {
                Err(violation) => return (lines, Some(violation)),
                Ok(None) => {
                    searched = rest.len();
                    assert!(rest.len() <= SPLITTER.line_bytes_max + 1);
                    break;
                }
                Ok(Some((line, consumed))) => {
                    lines.push(line.to_vec());
                    rest.drain(..consumed);
                    searched = 0;
                }
            }
        }
    }
    match SPLITTER.end(&rest) {
        Ok(line) => lines.extend(line.map(<[u8]>::to_vec)),
        Err(violation) => return (lines, Some(violation)),
    }
    (lines, None)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_lines(stream in "([a-c]{0,5}|[a-c]{7,9}|\r){0,3}((\r\n|\n)([a-c]{0,5}|[a-c]{7,9}|\r){0,3}){0,6}", cut in 1..12usize) {
        prop_assert_eq!(read(stream.as_bytes(), cut), read(stream.as_bytes(), usize::MAX));
    }

    #[test]
    fn no_bytes_panic(stream in prop::collection::vec(any::<u8>(), 0..100), cut in 1..12usize) {
        read(&stream, cut);
    }
}
