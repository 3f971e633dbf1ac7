//! One stream: its request down a lane, the answer back. Bytes are taken from either side only as fast as the other one takes them.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;
use http::header::{CONTENT_LENGTH, EXPECT};
use taut_wire::http::{self as wire, BodyDecoder, Framing, Limits, Method};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::answer::{Answer, Unwanted};
use super::lane::{Lane, Lanes, NoLane};
use super::request::{self, Translated};
use super::response;

/// Bytes that are read of a lane at once.
const READ_BYTES: usize = 16 << 10;
/// The head of an answer: our own, which may name many things but not endlessly.
const HEAD: Limits = Limits {
    head_bytes_max: 32 << 10,
    headers_max: wire::HEADERS_MAX,
    target_bytes_max: 0,
};

/// How long the rest of a request is taken whose answer is out, as on a connection of HTTP/1.1.
const LINGER: Duration = Duration::from_secs(2);

/// Why a stream ends before its answer is whole.
#[derive(Debug)]
enum Broken {
    /// The client gave it up.
    Unwanted,
    /// The Conn is gone, without a word or in the midst of one.
    Lane { is_mute: bool },
}

impl From<Unwanted> for Broken {
    fn from(_: Unwanted) -> Self {
        Self::Unwanted
    }
}

/// Carries one request and its answer.
pub(super) async fn exchange(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    lanes: Rc<Lanes>,
) {
    let mut answer = Answer::Owed(respond);
    let (head, stream) = request.into_parts();
    let mut body = Body::new(stream);
    // Whoever says neither a length nor that there is nothing often has nothing.
    let is_unsaid =
        !head.headers.contains_key(CONTENT_LENGTH) && !head.headers.contains_key(EXPECT);
    if is_unsaid && !body.is_over() {
        match timeout(lanes.entrance.clocks.handshake, body.look()).await {
            Ok(Ok(())) => {}
            Ok(Err(Unwanted)) => return,
            Err(_) => return answer.reset(Reason::CANCEL),
        }
    }
    let translated = match request::translate(&head, !body.is_over()) {
        Ok(translated) => translated,
        Err(why) => {
            let violation = why.text;
            let peer = lanes.origin.who();
            tell_often!(
                INFO,
                peer,
                violation,
                clause = why.clause,
                "a peer broke HTTP/2"
            );
            return answer.refuse(&why).await;
        }
    };
    drop(head);
    let lane = match lanes.take() {
        Ok(lane) => lane,
        Err(NoLane::Full) => return answer.reset(Reason::ENHANCE_YOUR_CALM),
        Err(NoLane::System(error)) => {
            tell_often!(WARN, %error, "a request over HTTP/2 was refused: there is no socket for it");
            return answer.reset(Reason::REFUSED_STREAM);
        }
    };
    match carry(&lane, translated, &mut body, &mut answer).await {
        Ok(true) => lanes.give_back(lane),
        Ok(false) => {
            drop(lane);
            body.let_go().await;
        }
        Err(Broken::Unwanted) => {}
        // It was closed between two requests, as a core does that shuts down: this one was never read.
        Err(Broken::Lane { is_mute: true }) if lane.is_old => answer.reset(Reason::REFUSED_STREAM),
        Err(Broken::Lane { .. }) => answer.reset(Reason::INTERNAL_ERROR),
    }
}

/// Carries both at once, since an answer may come before its request is whole. True when the lane is as it was.
async fn carry(
    lane: &Lane,
    request: Translated,
    body: &mut Body,
    answer: &mut Answer,
) -> Result<bool, Broken> {
    let method = if request.is_head {
        Method::Head
    } else {
        Method::Get
    };
    let mut is_sent = false;
    let mut up = pin!(send(&lane.socket, &request, body));
    let mut down = pin!(receive(&lane.socket, &method, answer));
    loop {
        tokio::select! {
            biased;
            sent = &mut up, if !is_sent => {
                sent?;
                is_sent = true;
            }
            is_kept = &mut down => return Ok(is_kept? && is_sent),
        }
    }
}

/// Sends a request. A core that takes no more of it has answered already, or is about to.
async fn send(socket: &UnixStream, request: &Translated, body: &mut Body) -> Result<(), Unwanted> {
    let mut is_taken = put(socket, &request.head).await.is_ok();
    let mut chunk = Vec::new();
    while is_taken && let Some(part) = body.next().await? {
        let written = if request.is_chunked {
            chunk.clear();
            wire::encode_chunk(&mut chunk, &part);
            put(socket, &chunk).await
        } else {
            put(socket, &part).await
        };
        is_taken = written.is_ok();
        body.release(part.len());
    }
    if is_taken && request.is_chunked {
        chunk.clear();
        wire::encode_last_chunk(&mut chunk);
        is_taken = put(socket, &chunk).await.is_ok();
    }
    if is_taken {
        return Ok(());
    }
    // The answer decides what becomes of the stream.
    std::future::pending().await
}

async fn put(socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Passes an answer on. True when another request may follow on the same lane.
async fn receive(
    socket: &UnixStream,
    method: &Method<'_>,
    answer: &mut Answer,
) -> Result<bool, Broken> {
    let mut come = Vec::new();
    let (framing, keep_alive) = receive_head(socket, method, answer, &mut come).await?;
    let garbled = |_| Broken::Lane { is_mute: false };
    let mut body = BodyDecoder::new(framing, u64::MAX).map_err(garbled)?;
    if matches!(framing, Framing::None | Framing::Length(0)) {
        return Ok(keep_alive && come.is_empty());
    }
    loop {
        let mut part = Vec::new();
        let mut at = 0;
        let mut is_done = false;
        while at < come.len() && !is_done {
            let step = body.decode(&come[at..]).map_err(garbled)?;
            at += step.consumed;
            part.extend_from_slice(step.data);
            is_done = step.done;
        }
        let is_clean = at == come.len();
        // A stream at rest holds no buffer.
        come = Vec::new();
        if is_done || !part.is_empty() {
            answer.send(part.into(), is_done).await?;
        }
        if is_done {
            return Ok(keep_alive && is_clean);
        }
        if fill(socket, answer, &mut come).await? == 0 {
            if framing != Framing::ToEnd {
                return Err(Broken::Lane { is_mute: false });
            }
            answer.send(Bytes::new(), true).await?;
            return Ok(false);
        }
    }
}

/// Passes the head on, and `100 Continue` before it. Leaves in `come` what has come of the body.
async fn receive_head(
    socket: &UnixStream,
    method: &Method<'_>,
    answer: &mut Answer,
    come: &mut Vec<u8>,
) -> Result<(Framing, bool), Broken> {
    let mut is_mute = true;
    loop {
        let parsed = wire::parse_response(come, &HEAD, method);
        let Some((head, length)) = parsed.map_err(|_| Broken::Lane { is_mute: false })? else {
            if fill(socket, answer, come).await? == 0 {
                return Err(Broken::Lane { is_mute });
            }
            is_mute = false;
            continue;
        };
        if head.status == 100 {
            answer.go_on()?;
            come.drain(..length);
            continue;
        }
        let Some(translated) = response::translate(&head) else {
            return Err(Broken::Lane { is_mute: false });
        };
        let (framing, keep_alive) = (head.framing, head.keep_alive);
        let is_whole = matches!(framing, Framing::None | Framing::Length(0));
        answer.begin(translated, is_whole)?;
        come.drain(..length);
        return Ok((framing, keep_alive));
    }
}

/// Reads what the lane has, behind `come`; 0 at its end. Ends when the client gives the stream up.
async fn fill(
    socket: &UnixStream,
    answer: &mut Answer,
    come: &mut Vec<u8>,
) -> Result<usize, Broken> {
    loop {
        poll_fn(|cx| match answer.poll_unwanted(cx) {
            Poll::Ready(Unwanted) => Poll::Ready(Err(Broken::Unwanted)),
            // What is wrong with it, reading tells.
            Poll::Pending => socket.poll_read_ready(cx).map(|_| Ok(())),
        })
        .await?;
        // Not above, or a stream at rest would hold it.
        let mut buffer = [0; READ_BYTES];
        match socket.try_read(&mut buffer) {
            Ok(count) => {
                come.extend_from_slice(&buffer[..count]);
                return Ok(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A Conn that is closed with something unread says so; what it answered has been read before.
            Err(_) => return Ok(0),
        }
    }
}

/// The body of a request, as it comes.
struct Body {
    stream: RecvStream,
    /// What was looked at ahead of its turn.
    first: Option<Bytes>,
}

impl Body {
    fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            first: None,
        }
    }

    /// Whether nothing comes any more.
    fn is_over(&self) -> bool {
        self.first.is_none() && self.stream.is_end_stream()
    }

    /// Waits until it is known whether there is anything.
    async fn look(&mut self) -> Result<(), Unwanted> {
        self.first = self.next().await?;
        Ok(())
    }

    /// The next part that is not empty. What the client says behind the end, as trailers, is let go.
    async fn next(&mut self) -> Result<Option<Bytes>, Unwanted> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while let Some(part) = self.stream.data().await {
            let part = part.map_err(|_| Unwanted)?;
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// Takes what still comes of a request that is answered already, for a moment: some clients lose an answer that is followed by a reset.
    async fn let_go(&mut self) {
        let rest = async {
            while let Ok(Some(part)) = self.next().await {
                self.release(part.len());
            }
        };
        // Whoever goes on sending is reset.
        let _ = timeout(LINGER, rest).await;
    }

    /// So much of it is done with: the client may send more.
    fn release(&mut self, count: usize) {
        // Fails only for a stream that has ended.
        let _ = self.stream.flow_control().release_capacity(count);
    }
}
