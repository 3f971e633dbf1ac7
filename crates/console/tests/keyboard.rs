//! Stdin that is no terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taut_console::keyboard::{Keyboard, LINE_BYTES_MAX, Typed, Unit};

async fn all(unit: Unit, source: impl Read + Send + 'static) -> Vec<Typed> {
    let mut keyboard = Keyboard::read(unit, source).unwrap();
    let mut typed = Vec::new();
    loop {
        typed.push(keyboard.next().await);
        if !matches!(typed.last(), Some(Typed::Data(_))) {
            return typed;
        }
    }
}

fn data(text: &str) -> Typed {
    Typed::Data(text.into())
}

#[tokio::test]
async fn a_last_line_without_newline_counts() {
    let typed = all(Unit::Lines, Cursor::new("one\r\n\ntwo\nlast")).await;
    assert_eq!(
        typed,
        [data("one"), data(""), data("two"), data("last"), Typed::End]
    );
    assert_eq!(all(Unit::Lines, Cursor::new("")).await, [Typed::End]);
}

#[tokio::test]
async fn chunks_are_the_bytes_as_they_come() {
    let source = Cursor::new("one\r\n").chain(Cursor::new("two"));
    assert_eq!(
        all(Unit::Chunks, source).await,
        [data("one\r\n"), data("two"), Typed::End]
    );
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let source = std::io::repeat(b'x').take(2 * LINE_BYTES_MAX as u64);
    let typed = all(Unit::Lines, source).await;
    assert!(matches!(&typed[..], [Typed::Failed(text)] if text.contains("longer than")));
}

/// Counts what is read of an endless source.
struct Counted(Arc<AtomicUsize>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.fetch_add(buffer.len(), Ordering::SeqCst);
        Ok(buffer.len())
    }
}

#[tokio::test]
async fn whoever_takes_nothing_slows_it_down() {
    let read = Arc::new(AtomicUsize::new(0));
    let mut keyboard = Keyboard::read(Unit::Chunks, Counted(read.clone())).unwrap();
    let mut taken = 0;
    for _ in 0..100 {
        let Typed::Data(chunk) = keyboard.next().await else {
            panic!("it does not end");
        };
        taken += chunk.len();
        assert!(read.load(Ordering::SeqCst) <= taken + (4 << 20));
    }
}
