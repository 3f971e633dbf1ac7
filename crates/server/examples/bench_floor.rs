//! The floor under fan-out: a bare program that reads publishes from one socket and writes the same bytes to all members, and does nothing else.
//! `bench_fanout` starts it beside `taut serve`.
//!
//! `bench_floor PORT MEMBERS joined|each`: `joined` writes everything that one read brought with one call a member; `each` writes
//! message by message. It knows no rooms, keeps no history, and its handshake answers every request with the same head.

#![allow(missing_docs, clippy::cast_possible_truncation, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "bench/frame.rs"]
mod frame;

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use frame::{FRAME_BYTES, MASKED_BYTES, PUBLISHER};

/// Bytes one read may bring.
const READ_BYTES: usize = 128 << 10;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, members, how] = arguments.as_slice() else {
        return Err("usage: bench_floor PORT MEMBERS joined|each".into());
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse()?))?;
    let (publisher, members) = gather(&listener, members.parse()?)?;
    match how.as_str() {
        "joined" => fan_out(publisher, members, usize::MAX),
        "each" => fan_out(publisher, members, FRAME_BYTES),
        other => Err(format!("{other} is neither joined nor each").into()),
    }
}

/// Waits until the publisher and all members are there.
fn gather(listener: &TcpListener, count: usize) -> Result<(TcpStream, Vec<TcpStream>), Failure> {
    let mut members = Vec::with_capacity(count);
    let mut publisher = None;
    while members.len() < count || publisher.is_none() {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let Some(head) = read_head(&mut stream)? else {
            continue;
        };
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")?;
        if head.contains(PUBLISHER) {
            publisher = Some(stream);
        } else {
            stream.set_nonblocking(true)?;
            members.push(stream);
        }
    }
    let publisher = publisher.ok_or("no publisher came")?;
    Ok((publisher, members))
}

/// A request's head; `None` when the peer only looked whether somebody listens.
fn read_head(stream: &mut TcpStream) -> Result<Option<String>, Failure> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => return Ok(None),
            count => head.extend_from_slice(&part[..count]),
        }
    }
    Ok(Some(String::from_utf8(head)?))
}

/// Writes what each read of the publisher brought to every member, at most `write_bytes_max` a call, until the publisher ends.
fn fan_out(
    mut publisher: TcpStream,
    mut members: Vec<TcpStream>,
    write_bytes_max: usize,
) -> Result<(), Failure> {
    let mut buffer = vec![0; READ_BYTES];
    let mut kept = 0;
    let mut pending = Vec::new();
    loop {
        let count = publisher.read(&mut buffer[kept..])?;
        if count == 0 {
            return Ok(());
        }
        kept += count;
        pending.clear();
        let (frames, rest) = buffer[..kept].as_chunks::<MASKED_BYTES>();
        for frame in frames {
            pending.extend_from_slice(&frame::serve(frame).ok_or("not a published frame")?);
        }
        let (done, rest_bytes) = (kept - rest.len(), rest.len());
        buffer.copy_within(done..kept, 0);
        kept = rest_bytes;
        for bytes in pending.chunks(write_bytes_max) {
            for member in &mut members {
                // The closed loop never has more under way than a socket's buffer takes, so a short write is a broken run.
                if member.write(bytes)? != bytes.len() {
                    return Err("a member took only a part".into());
                }
            }
        }
    }
}
