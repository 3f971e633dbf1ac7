//! Bodies end where their head said, and nowhere else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use taut_wire::http::{self, BodyDecoder, BodyStep, Framing};

/// The body, and what is left behind it.
fn decode(framing: Framing, bytes_max: u64, input: &[u8]) -> Result<(Vec<u8>, Vec<u8>), u16> {
    let mut decoder = BodyDecoder::new(framing, bytes_max).map_err(|error| error.status)?;
    let (mut body, mut rest) = (Vec::new(), input);
    loop {
        let step = decoder.decode(rest).map_err(|error| error.status)?;
        body.extend_from_slice(step.data);
        rest = &rest[step.consumed..];
        assert_eq!(step.done, decoder.is_done());
        if step.done || rest.is_empty() {
            return Ok((body, rest.to_vec()));
        }
        assert!(step.consumed > 0, "the decoder stands still");
    }
}

#[test]
fn no_body_is_over_before_it_begins() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut decoder = BodyDecoder::new(framing, 0).unwrap();
        assert!(decoder.is_done());
        let step = decoder.decode(b"GET /").unwrap();
        assert_eq!(
            step,
            BodyStep {
                consumed: 0,
                data: b"",
                done: true
            }
        );
    }
}

#[test]
fn a_length_is_exact() {
    let (body, rest) = decode(Framing::Length(5), 5, b"helloGET /").unwrap();
    assert_eq!(
        (body.as_slice(), rest.as_slice()),
        (&b"hello"[..], &b"GET /"[..])
    );
}

#[test]
fn a_length_over_the_limit_is_refused_before_a_byte_of_it_comes() {
    assert_eq!(
        BodyDecoder::new(Framing::Length(6), 5).unwrap_err().status,
        413
    );
    assert_eq!(
        BodyDecoder::new(Framing::Length(u64::MAX), 5)
            .unwrap_err()
            .status,
        413
    );
}

#[test]
fn chunks_are_joined_and_what_frames_them_is_dropped() {
    for (input, expected) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n",
            "Wikipedia in \r\nchunks.",
        ),
        (
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
        ("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello"),
        ("5;a=b;c=\"d;\\\"\\\\ \t\";e\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n0\r\nDigest: x\r\nEmpty:\r\n\r\n", "hello"),
        ("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n"),
    ] {
        let input = format!("{input}GET /");
        let (body, rest) = decode(Framing::Chunked, 1_000, input.as_bytes()).unwrap();
        assert_eq!(body, expected.as_bytes(), "{input:?}");
        assert_eq!(rest, b"GET /", "{input:?}");
    }
}

#[test]
fn chunks_over_the_limit_are_refused_at_their_size() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, 10).unwrap();
    assert!(!decoder.decode(b"a\r\n0123456789").unwrap().done);
    assert_eq!(decoder.decode(b"\r\n1\r\n").unwrap_err().status, 413);
    assert_eq!(decode(Framing::Chunked, 10, b"b\r\n"), Err(413));
    assert_eq!(
        decode(Framing::Chunked, 10, b"ffffffffffffffff\r\n"),
        Err(413)
    );
    assert_eq!(
        decode(
            Framing::Chunked,
            u64::MAX,
            b"1\r\nx\r\nffffffffffffffff\r\n"
        ),
        Err(413)
    );
}

#[test]
fn extensions_and_trailers_are_bounded_over_the_whole_body() {
    let many_extensions = "1;abcdefgh\r\nx\r\n".repeat(1_000);
    assert_eq!(
        decode(Framing::Chunked, 1 << 20, many_extensions.as_bytes()),
        Err(431)
    );
    let long_trailer = format!("0\r\nX: {}", "y".repeat(10_000));
    assert_eq!(
        decode(Framing::Chunked, 1 << 20, long_trailer.as_bytes()),
        Err(431)
    );
    let many_trailers = format!("0\r\n{}", "X: y\r\n".repeat(2_000));
    assert_eq!(
        decode(Framing::Chunked, 1 << 20, many_trailers.as_bytes()),
        Err(431)
    );
}

#[test]
fn a_body_to_the_end_goes_on_until_its_limit() {
    let (body, _) = decode(Framing::ToEnd, 5, b"hello").unwrap();
    assert_eq!(body, b"hello");
    assert_eq!(decode(Framing::ToEnd, 4, b"hello"), Err(413));
    let mut decoder = BodyDecoder::new(Framing::ToEnd, 4).unwrap();
    assert_eq!(decoder.decode(b"hello").unwrap().data, b"hell");
    assert_eq!(decoder.decode(b"o").unwrap_err().status, 413);
}

#[test]
fn what_is_encoded_in_chunks_is_decoded_from_them() {
    let mut out = Vec::new();
    http::encode_chunk(&mut out, b"data: 1\n\n");
    http::encode_chunk(&mut out, b"");
    http::encode_chunk(&mut out, &[b'x'; 300]);
    assert!(out.starts_with(b"9\r\ndata: 1\n\n\r\n12c\r\nxxx"));
    http::encode_last_chunk(&mut out);
    let (body, rest) = decode(Framing::Chunked, 1_000, &out).unwrap();
    assert_eq!(body.len(), 309);
    assert_eq!(rest, b"");
}
