//! A [`Tunnel`] as tokio reads and writes it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::calm::Calm;
use crate::core::Stream;
use crate::tls::{Buffers, Tunnel};

/// Bytes that one read of the socket may bring: more than a record with what is kept of the one before it.
const READ_BYTES: usize = 64 << 10;

/// What the connection's task wants to know of its wire.
#[derive(Debug)]
pub(super) struct Pulse {
    /// When bytes last came.
    pub(super) heard: Cell<Instant>,
    /// Too many idle frames have come, and nothing more is read.
    pub(super) is_wild: Cell<bool>,
}

/// See the [module](self).
pub(super) struct Wire {
    tunnel: Box<Tunnel>,
    readiness: Readiness,
    buffers: Rc<RefCell<Buffers>>,
    pulse: Rc<Pulse>,
    calm: Calm,
    began: Instant,
    /// What came with the handshake waits without any news of the socket.
    is_fresh: bool,
}

impl Wire {
    pub(super) fn new(
        mut tunnel: Box<Tunnel>,
        buffers: Rc<RefCell<Buffers>>,
    ) -> io::Result<(Self, Rc<Pulse>)> {
        let now = Instant::now();
        let pulse = Rc::new(Pulse {
            heard: Cell::new(now),
            is_wild: Cell::new(false),
        });
        let wire = Self {
            readiness: Readiness::of(tunnel.socket())?,
            tunnel,
            buffers,
            pulse: Rc::clone(&pulse),
            calm: Calm::new(),
            began: now,
            is_fresh: true,
        };
        Ok((wire, pulse))
    }

    /// Notes what came; an error of none, since the connection's task says what follows.
    fn hear(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        self.pulse.heard.set(now);
        let now_ns = u64::try_from((now - self.began).as_nanos()).unwrap_or(u64::MAX);
        if !self.calm.look(bytes, now_ns) {
            self.pulse.is_wild.set(true);
        }
    }

    /// Writes parts; 0 bytes of none when everything sealed is out.
    fn poll_parts(&mut self, cx: &mut Context<'_>, parts: [&[u8]; 3]) -> Poll<io::Result<usize>> {
        let Self {
            tunnel,
            readiness,
            buffers,
            ..
        } = self;
        loop {
            ready!(readiness.poll(cx, Interest::WRITABLE))?;
            let mut taken = 0;
            let written = readiness.try_io(Interest::WRITABLE, || {
                let (count, is_out) = tunnel.write(parts, &mut buffers.borrow_mut())?;
                taken = count;
                match is_out {
                    true => Ok(()),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            });
            match written {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                Err(_) if taken == 0 => {}
                _ => return Poll::Ready(Ok(taken)),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.pulse.is_wild.get() {
                // Its task looks at this behind every poll.
                return Poll::Pending;
            }
            let space = out.initialize_unfilled();
            let at_hand = this.tunnel.has_early() || std::mem::take(&mut this.is_fresh);
            let mut read = || {
                let buffers = &mut this.buffers.borrow_mut();
                this.tunnel.read(space, buffers, READ_BYTES)
            };
            let brought = if at_hand {
                read()
            } else {
                ready!(this.readiness.poll(cx, Interest::READABLE))?;
                this.readiness.try_io(Interest::READABLE, read)
            };
            match brought {
                Ok(brought) if brought.bytes > 0 => {
                    let at = out.filled().len();
                    out.advance(brought.bytes);
                    this.hear(&out.filled()[at..]);
                    return Poll::Ready(Ok(()));
                }
                Ok(brought) if brought.end => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_parts(cx, [bytes, &[], &[]])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let parts = [(); 3].map(|()| filled.next().map_or(&[][..], |slice| slice));
        self.poll_parts(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_parts(cx, [&[]; 3]).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let this = &mut *self;
        this.tunnel.finish(&mut this.buffers.borrow_mut());
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tunnel.part(&mut self.buffers.borrow_mut());
    }
}

/// News of a tunnel's socket, by a descriptor of its own: what tokio watches must be tokio's.
#[derive(Debug)]
enum Readiness {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Readiness {
    fn of(socket: &Stream) -> io::Result<Self> {
        match socket {
            Stream::Tcp(stream) => {
                let copy = stream.as_fd().try_clone_to_owned()?;
                TcpStream::from_std(copy.into()).map(Self::Tcp)
            }
            Stream::Unix(stream) => {
                let copy = stream.as_fd().try_clone_to_owned()?;
                UnixStream::from_std(copy.into()).map(Self::Unix)
            }
            // A tunnel is dug through nothing else.
            Stream::Tunnel(_) | Stream::Datagrams(_) | Stream::Nobody => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    fn poll(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        match (self, interest.is_readable()) {
            (Self::Tcp(stream), true) => stream.poll_read_ready(cx),
            (Self::Tcp(stream), false) => stream.poll_write_ready(cx),
            (Self::Unix(stream), true) => stream.poll_read_ready(cx),
            (Self::Unix(stream), false) => stream.poll_write_ready(cx),
        }
    }

    fn try_io<R>(&self, interest: Interest, work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, work),
            Self::Unix(stream) => stream.try_io(interest, work),
        }
    }
}
