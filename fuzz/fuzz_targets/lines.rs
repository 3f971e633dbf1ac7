//! A stream has the same lines however its bytes are cut, and they are those that a plain split finds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_wire::Violation;
use taut_wire::lines::Splitter;

const SPLITTER: Splitter = Splitter { line_bytes_max: 32 };

fuzz_target!(|data: &[u8]| {
    let Some((&piece, stream)) = data.split_first() else {
        return;
    };
    let (lines, violation) = read(stream, usize::from(piece) + 1);
    let whole = read(stream, stream.len().max(1));
    assert_eq!((&lines, &violation), (&whole.0, &whole.1));
    let mut plain: Vec<_> = stream.split(|byte| *byte == b'\n').collect();
    plain.pop_if(|rest| rest.is_empty());
    let mut plain = plain
        .into_iter()
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in &lines {
        assert!(line.len() <= SPLITTER.line_bytes_max);
        assert_eq!(Some(line.as_slice()), plain.next());
    }
    assert_eq!(
        plain
            .next()
            .map(|line| line.len() > SPLITTER.line_bytes_max),
        violation.map(|_| true)
    );
});

fn read(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<Violation>) {
    let (mut lines, mut rest, mut searched) = (Vec::new(), Vec::new(), 0);
    for piece in stream.chunks(piece) {
        rest.extend_from_slice(piece);
        loop {
            match SPLITTER.split_from(&rest, searched) {
                Ok(Some((line, consumed))) => {
                    lines.push(line.to_vec());
                    rest.drain(..consumed);
                    searched = 0;
                }
                Ok(None) => {
                    searched = rest.len();
                    break;
                }
                Err(violation) => return (lines, Some(violation)),
            }
        }
    }
    match SPLITTER.end(&rest) {
        Ok(line) => lines.extend(line.map(<[u8]>::to_vec)),
        Err(violation) => return (lines, Some(violation)),
    }
    (lines, None)
}
