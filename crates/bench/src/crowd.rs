//! Many connections on one thread that spins, so that the server never pays for waking it up.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::conn::{Conn, Hear, Scratch};
use crate::dialect::Dialect;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::reader::Gone;
use crate::target::Target;

/// Addresses 127.0.0.2 and up that connections come from, so that no pair of addresses runs out of ports.
const ADDRESSES: usize = 250;
/// Events that one look at the poll brings.
const EVENTS: usize = 512;
/// Connections that are opening at once; a server's backlog takes as many.
const OPENING_MAX: usize = 64;
/// Time without any progress after which the server counts as silent.
const SILENCE: Duration = Duration::from_secs(10);

/// See the [module](self).
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    scratch: Scratch,
    target: Target,
    authority: Rc<str>,
    conns: Vec<Option<Conn>>,
    /// Connections ever opened, from which their addresses follow.
    opened: usize,
}

/// What happened at one connection in a turn.
pub(crate) enum News<'n> {
    /// A unit came.
    Heard(&'n Dialect, &'n [u8]),
    /// It ended.
    Ended(Gone),
}

impl Crowd {
    /// Nobody yet, who will all go to `target`.
    pub(crate) fn new(target: &Target) -> Result<Self, Failure> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            scratch: Scratch::new(),
            target: target.clone(),
            authority: target.authority.as_str().into(),
            conns: Vec::new(),
            opened: 0,
        })
    }

    /// Opens one connection for each dialect, in their order, and waits until all are ready; `progress` hears how many are.
    pub(crate) fn gather(
        &mut self,
        dialects: &[Rc<Dialect>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Failure> {
        let first = self.conns.len();
        let (mut begun, mut ready) = (0, 0);
        let mut opening: Vec<usize> = Vec::with_capacity(OPENING_MAX);
        let mut heard = Instant::now();
        while ready < dialects.len() {
            while begun < dialects.len() && opening.len() < OPENING_MAX {
                self.begin(first + begun, dialects[begun].clone())?;
                opening.push(first + begun);
                begun += 1;
            }
            self.turn(&mut |_, news| match news {
                News::Heard(..) => Ok(()),
                News::Ended(gone) => Err(gone.into()),
            })?;
            let before = opening.len();
            opening.retain(|index| !self.conns[*index].as_ref().is_some_and(Conn::is_ready));
            if opening.len() < before {
                heard = Instant::now();
                ready += before - opening.len();
                progress(ready);
            } else if heard.elapsed() > SILENCE {
                let text = format!("connection {ready} of {} was not let in", dialects.len());
                return Err(Failure::new(Kind::Silent, text));
            }
        }
        Ok(())
    }

    /// Begins to open a connection in the place `index`, which is free or the next one.
    pub(crate) fn begin(&mut self, index: usize, dialect: Rc<Dialect>) -> Result<(), Failure> {
        let mut stream = begin_stream(self.target.address, self.opened)
            .map_err(|error| Failure::new(Kind::Unreachable, error).about(self.target.address))?;
        self.opened += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(index), interest)?;
        let conn = Conn::new(stream, dialect, self.authority.clone())?;
        if index == self.conns.len() {
            self.conns.push(Some(conn));
        } else {
            self.conns[index] = Some(conn);
        }
        Ok(())
    }

    /// The connection in this place.
    pub(crate) fn conn(&mut self, index: usize) -> Option<&mut Conn> {
        self.conns.get_mut(index)?.as_mut()
    }

    /// Drops the connection in this place.
    pub(crate) fn drop_conn(&mut self, index: usize) {
        if let Some(conn) = self.conns.get_mut(index) {
            *conn = None;
        }
    }

    /// Sends a unit.
    pub(crate) fn say(&mut self, index: usize, unit: &[u8]) -> Result<(), Failure> {
        match self.conns.get_mut(index) {
            Some(Some(conn)) => conn.say(unit).map_err(|gone| told(index, gone)),
            _ => Ok(()),
        }
    }

    /// Takes in what has come, without waiting; says how many connections had something.
    pub(crate) fn turn(
        &mut self,
        tell: &mut dyn FnMut(usize, News<'_>) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        interrupt::check()?;
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(0),
            result => result?,
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            let index = event.token().0;
            let Some(Some(conn)) = self.conns.get_mut(index) else {
                continue;
            };
            let scratch = &mut self.scratch;
            let mut trouble = Ok(());
            let mut hear = |dialect: &Dialect, unit: &[u8]| {
                if trouble.is_ok() {
                    trouble = tell(index, News::Heard(dialect, unit));
                }
            };
            let result = attend(conn, event, scratch, &mut hear);
            trouble.map_err(|failure| failure.about(format!("connection {index}")))?;
            if let Err(gone) = result {
                self.conns[index] = None;
                tell(index, News::Ended(gone))
                    .map_err(|failure| failure.about(format!("connection {index}")))?;
            }
        }
        Ok(count)
    }

    /// Answers what has to be answered, for so long.
    pub(crate) fn rest(&mut self, time: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.turn(&mut |_, news| match news {
                News::Heard(..) => Ok(()),
                News::Ended(gone) => Err(gone.into()),
            })?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Data segments received by all. Nearly every write of the server is one, since a unit fits in a segment.
    pub(crate) fn segments(&self) -> u64 {
        let streams = self.conns.iter().flatten().map(|conn| &conn.stream);
        streams
            .map(|stream| data_segments(stream).unwrap_or(0))
            .sum()
    }
}

fn attend(
    conn: &mut Conn,
    event: &mio::event::Event,
    scratch: &mut Scratch,
    hear: &mut Hear<'_>,
) -> Result<(), Gone> {
    if event.is_writable() || event.is_error() {
        conn.writable()?;
    }
    if event.is_readable() {
        conn.receive(scratch, hear)?;
    }
    Ok(())
}

fn told(index: usize, gone: Gone) -> Failure {
    Failure::from(gone).about(format!("connection {index}"))
}

/// A socket on its way to the server, from the client address that is this one's turn.
fn begin_stream(server: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if server.ip().is_loopback() && server.is_ipv4() {
        let last = u8::try_from(2 + number % ADDRESSES).unwrap_or(2);
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(std::net::TcpStream::from(socket)))
}

/// The kernel's count of data segments that a socket has received.
#[allow(unsafe_code)]
fn data_segments(stream: &TcpStream) -> io::Result<u64> {
    /// Where `tcpi_data_segs_in` lies in Linux's `struct tcp_info`, in words; the `libc` crate stops short of it.
    const WORD: usize = 152 / 4;
    let mut info = [0_u32; WORD + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).map_err(io::Error::other)?;
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
