//! The load generator: one thread that spins, so that the measured program never pays for waking it up. A closed loop: a message is
//! published when the one `window` before it has reached every member. Every byte that a member gets is compared with what it must get.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::Failure;
use crate::frame::{self, FRAME_BYTES, PUBLISHER};

/// Addresses 127.0.0.2 and up that members come from, so that no pair of addresses runs out of ports.
const ADDRESSES: usize = 64;
/// Events one look at the poll brings.
const EVENTS: usize = 4_096;
/// Time without any delivery after which messages count as lost.
const SILENCE_MS_MAX: u64 = 5_000;

/// One member and how far it is.
struct Member {
    stream: TcpStream,
    /// The message it gets next.
    next: u64,
    /// Bytes of that message's frame which it has already.
    begun_bytes: usize,
}

/// See the [module](self).
pub(crate) struct Generator {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    publisher: TcpStream,
    /// Frames of the messages in flight, by number modulo their count, each with the members that have it.
    flight: Vec<([u8; FRAME_BYTES], usize)>,
    /// The next message to publish.
    next: u64,
    /// The oldest message that not every member has.
    oldest: u64,
    buffer: Vec<u8>,
}

impl Generator {
    /// Connects the members, then the publisher.
    pub(crate) fn connect(
        server: SocketAddr,
        count: usize,
        window: usize,
    ) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let mut members = Vec::with_capacity(count);
        for index in 0..count {
            let mut stream = open(server, index, "as=member")?;
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE)?;
            members.push(Member {
                stream,
                next: 0,
                begun_bytes: 0,
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            members,
            publisher: open(server, count, PUBLISHER)?,
            flight: vec![([0; FRAME_BYTES], 0); window],
            next: 0,
            oldest: 0,
            buffer: vec![0; 64 << 10],
        })
    }

    /// Publishes for so long and waits until everything has arrived; says how many messages reached every member.
    pub(crate) fn run(&mut self, time: Duration) -> Result<u64, Failure> {
        let (begun, first) = (Instant::now(), self.next);
        let mut heard = begun;
        loop {
            let publishes = begun.elapsed() < time;
            while publishes && self.next - self.oldest < self.flight.len() as u64 {
                self.publish()?;
            }
            if self.oldest == self.next {
                return Ok(self.next - first);
            }
            if self.listen()? > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > Duration::from_millis(SILENCE_MS_MAX) {
                return Err(format!("message {} did not reach everybody", self.oldest).into());
            }
        }
    }

    /// Data segments that members have received. Every write to a socket is one here, since nothing is larger than a segment.
    pub(crate) fn segments(&self) -> Result<u64, Failure> {
        let mut sum = 0;
        for member in &self.members {
            sum += data_segments(&member.stream)?;
        }
        Ok(sum)
    }

    /// One call for each message, as independent publishers would.
    fn publish(&mut self) -> Result<(), Failure> {
        let place = self.place(self.next);
        self.flight[place] = (frame::served(self.next), 0);
        let bytes = frame::published(self.next);
        if self.publisher.write(&bytes)? != bytes.len() {
            return Err("the publisher's socket is full".into());
        }
        self.next += 1;
        Ok(())
    }

    fn place(&self, number: u64) -> usize {
        (number % self.flight.len() as u64) as usize
    }

    /// Takes in what has come; says how many reads that were.
    fn listen(&mut self) -> Result<usize, Failure> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        self.poll.poll(&mut events, Some(Duration::ZERO))?;
        let mut reads = 0;
        for event in &events {
            self.receive(event.token().0)?;
            reads += 1;
        }
        self.events = events;
        while self.oldest < self.next
            && self.flight[self.place(self.oldest)].1 == self.members.len()
        {
            self.oldest += 1;
        }
        Ok(reads)
    }

    fn receive(&mut self, index: usize) -> Result<(), Failure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.members[index].stream.read(&mut buffer) {
                Ok(0) => return Err(format!("member {index} was disconnected").into()),
                Ok(count) => {
                    self.compare(index, &buffer[..count])?;
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Compares what a member got with what it must get: nothing lost, doubled, reordered or changed.
    fn compare(&mut self, index: usize, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let Member {
                next, begun_bytes, ..
            } = self.members[index];
            let place = self.place(next);
            let wanted = &self.flight[place].0[begun_bytes..];
            let count = wanted.len().min(bytes.len());
            if next >= self.next || wanted[..count] != bytes[..count] {
                let got = String::from_utf8_lossy(bytes);
                return Err(
                    format!("member {index} got {got:?} in place of message {next}").into(),
                );
            }
            bytes = &bytes[count..];
            let member = &mut self.members[index];
            member.begun_bytes += count;
            if member.begun_bytes == FRAME_BYTES {
                member.begun_bytes = 0;
                member.next += 1;
                self.flight[place].1 += 1;
            }
        }
        Ok(())
    }
}

/// A WebSocket from one of the client addresses.
fn open(server: SocketAddr, index: usize, query: &str) -> Result<TcpStream, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let last = u8::try_from(index % ADDRESSES)?;
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + last));
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&server.into())?;
    socket.set_tcp_nodelay(true)?;
    let mut stream = std::net::TcpStream::from(socket);
    let request = format!(
        "GET /r/bench?{query} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => break,
            count => head.extend_from_slice(&part[..count]),
        }
    }
    if !head.starts_with(b"HTTP/1.1 101 ") || !head.ends_with(b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&head);
        return Err(format!("no WebSocket: {head:?}").into());
    }
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// The kernel's count of data segments that a socket has received.
#[allow(unsafe_code)]
fn data_segments(stream: &TcpStream) -> io::Result<u64> {
    /// Where `tcpi_data_segs_in` lies in Linux's `struct tcp_info`, in words; the `libc` crate stops short of it.
    const WORD: usize = 152 / 4;
    let mut info = [0_u32; WORD + 1];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `info`, and any bytes are a valid array of u32.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::from(info[WORD]))
}
