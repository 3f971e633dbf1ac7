//! Event streams: the standard's own examples, and what we write is what a reader sees.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_wire::Violation;
use taut_wire::sse::{self, Event, Parser};

/// Every event of a stream that comes in parts.
fn read(parser: &mut Parser, stream: &[u8], cut: usize) -> Result<Vec<Event>, Violation> {
    let mut events = Vec::new();
    for mut part in stream.chunks(cut) {
        while !part.is_empty() {
            let (consumed, event) = parser.decode(part)?;
            assert!(event.is_some() || consumed == part.len());
            events.extend(event);
            part = &part[consumed..];
        }
    }
    Ok(events)
}

fn events(stream: &[u8]) -> Vec<Event> {
    let whole = read(&mut Parser::new(1_000), stream, usize::MAX).unwrap();
    for cut in 1..=stream.len() {
        assert_eq!(read(&mut Parser::new(1_000), stream, cut).unwrap(), whole);
    }
    whole
}

fn event(event: &str, data: &str, id: &str) -> Event {
    Event {
        event: event.to_owned(),
        data: data.to_owned(),
        id: id.to_owned(),
    }
}

#[test]
fn the_examples_of_the_standard_are_read_as_it_says() {
    assert_eq!(
        events(b"data: YHOO\ndata: +2\ndata: 10\n\n"),
        [event("message", "YHOO\n+2\n10", "")]
    );
    assert_eq!(
        events(b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
        [
            event("message", "first event", "1"),
            event("message", "second event", ""),
            event("message", " third event", ""),
        ]
    );
    assert_eq!(
        events(b"data\n\ndata\ndata\n\ndata:"),
        [event("message", "", ""), event("message", "\n", "")]
    );
    assert_eq!(
        events(b"data:test\n\ndata: test\n\n"),
        [event("message", "test", ""), event("message", "test", "")]
    );
    assert_eq!(
        events(b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"),
        [event("add", "73857293", ""), event("remove", "2153", "")]
    );
}

#[test]
fn a_line_ends_in_lf_crlf_or_cr() {
    assert_eq!(
        events(b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\rdata: e\r\n\r\n"),
        [
            event("message", "a\nb\nc", ""),
            event("message", "d", ""),
            event("message", "e", "")
        ]
    );
}

#[test]
fn a_byte_order_mark_counts_at_the_start_only() {
    assert_eq!(
        events(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"),
        [event("message", "a", "")]
    );
}

#[test]
fn unknown_fields_and_comments_are_nothing() {
    assert_eq!(
        events(b":\n: data: x\nDATA: x\n data: x\ndatax: y\nfoo\ndata: z\n\n"),
        [event("message", "z", "")]
    );
}

#[test]
fn bytes_that_are_not_utf8_are_replaced() {
    assert_eq!(
        events(b"data: \xff!\n\n"),
        [event("message", "\u{fffd}!", "")]
    );
}

#[test]
fn an_id_counts_once_its_block_is_whole() {
    let mut parser = Parser::new(100);
    assert!(read(&mut parser, b"id: 1\n", 100).unwrap().is_empty());
    assert_eq!(parser.last_id(), "", "its event has not been seen yet");
    assert!(read(&mut parser, b"\n", 100).unwrap().is_empty());
    assert_eq!(parser.last_id(), "1", "a lone id is remembered");
    let seen = read(&mut parser, b"data: x\n\nid: 2\ndata: y\n", 100).unwrap();
    assert_eq!(seen, [event("message", "x", "1")]);
    assert_eq!(parser.last_id(), "1");
    let seen = read(&mut parser, b"id: 3\0\n\n", 100).unwrap();
    assert_eq!(seen, [event("message", "y", "2")]);
    assert_eq!(parser.last_id(), "2");
}

#[test]
fn retry_is_digits_only() {
    let mut parser = Parser::new(100);
    for (field, expected) in [
        ("retry: 1500", Some(1_500)),
        ("retry: 1.5", Some(1_500)),
        ("retry: +1", Some(1_500)),
        ("retry", Some(1_500)),
        ("retry: 99999999999999999999999", Some(1_500)),
        ("retry:0", Some(0)),
    ] {
        read(&mut parser, format!("{field}\n\n").as_bytes(), 100).unwrap();
        assert_eq!(parser.retry_ms(), expected, "{field}");
    }
}

#[test]
fn an_event_over_the_limit_ends_the_stream() {
    for stream in [
        "data: 0123456789abcdef\n\n".to_owned(),
        "data: 01234\ndata: 01234\ndata: 01234\ndata: 01234\n\n".to_owned(),
        format!("data:{}", "x".repeat(100)),
        format!(":{}", " ".repeat(100)),
        "event: 0123456\ndata: 0123456789\n\n".to_owned(),
        "data\n".repeat(100),
    ] {
        for cut in 1..=stream.len() {
            let violation = read(&mut Parser::new(16), stream.as_bytes(), cut).unwrap_err();
            assert_eq!(violation.clause, "HTML Standard §9.2.6");
        }
    }
    let many = "data: 0123456789\n\n".repeat(50);
    let events = read(&mut Parser::new(16), many.as_bytes(), 7).unwrap();
    assert_eq!(
        events.len(),
        50,
        "the limit is on one event, not on the stream"
    );
}

#[test]
fn blocks_are_written_as_they_are_read() {
    let mut out = Vec::new();
    sse::encode_id(&mut out, "k3f9a2-17");
    sse::encode_event(&mut out, Some("k3f9a2-18"), None, "hi");
    sse::encode_event(&mut out, None, Some("move"), "a\nb\r\nc\rd\n");
    sse::encode_event(&mut out, None, None, "");
    sse::encode_comment(&mut out, "");
    sse::encode_comment(&mut out, "still here");
    sse::encode_retry(&mut out, 1_500);
    assert_eq!(
        String::from_utf8(out.clone()).unwrap(),
        "id: k3f9a2-17\n\nid: k3f9a2-18\ndata: hi\n\nevent: move\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\ndata: \n\n:\n\n: still here\n\nretry: 1500\n\n"
    );
    assert_eq!(
        events(&out),
        [
            event("message", "hi", "k3f9a2-18"),
            event("move", "a\nb\nc\nd\n", "k3f9a2-18"),
            event("message", "", "k3f9a2-18"),
        ]
    );
}

#[test]
fn no_value_can_begin_a_field_of_its_own() {
    let mut out = Vec::new();
    sse::encode_event(&mut out, Some("1\n\ndata: x"), Some("a\r\nid: 9\0"), "y");
    sse::encode_comment(&mut out, "c\n\ndata: z");
    assert_eq!(events(&out), [event("aid: 9", "y", "1data: x")]);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        blocks in prop::collection::vec(("[^\r\n\0]{0,8}", "[^\r\n\0]{1,8}", "(\r\n|\n|\r|:| |.){0,12}"), 0..6),
        cut in 1..30usize,
    ) {
        let mut out = Vec::new();
        for (id, name, data) in &blocks {
            sse::encode_event(&mut out, Some(id), Some(name), data);
        }
        let found = read(&mut Parser::new(1_000), &out, cut).unwrap();
        let expected: Vec<_> = blocks
            .iter()
            .map(|(id, name, data)| event(name, &data.replace("\r\n", "\n").replace('\r', "\n"), id))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_cut_gives_the_same_events(
        stream in "((data|event|id|retry|:)?:? ?[a-z0-9]{0,9}(\r\n|\n|\r){0,2}){0,12}",
        cut in 1..20usize,
    ) {
        let whole = read(&mut Parser::new(16), stream.as_bytes(), usize::MAX);
        prop_assert_eq!(read(&mut Parser::new(16), stream.as_bytes(), cut), whole);
    }

    #[test]
    fn no_bytes_panic(stream in prop::collection::vec(any::<u8>(), 0..200), cut in 1..20usize) {
        let _ = read(&mut Parser::new(50), &stream, cut);
    }
}
