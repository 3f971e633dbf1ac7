//! A stream's answer on its way to the client.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{Response, StatusCode};
use tokio::time::timeout;

use super::request::Malformed;
use super::response;

/// How long a client may leave a stream's window closed while something waits for it: as long as a file waits for a slow reader.
const STALL: Duration = Duration::from_secs(120);

/// See the [module](self).
pub(super) enum Answer {
    /// Its head has not gone out.
    Owed(SendResponse<Bytes>),
    /// Its body goes out.
    Begun(SendStream<Bytes>),
}

/// The client wants no answer any more, or is gone.
#[derive(Debug)]
pub(super) struct Unwanted;

impl Answer {
    /// Whether the client has given the stream up.
    pub(super) fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> Poll<Unwanted> {
        let reset = match self {
            Self::Owed(respond) => respond.poll_reset(cx),
            Self::Begun(body) => body.poll_reset(cx),
        };
        reset.map(|_| Unwanted)
    }

    /// `100 Continue`.
    pub(super) fn go_on(&mut self) -> Result<(), Unwanted> {
        let Self::Owed(respond) = self else {
            return Ok(());
        };
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::CONTINUE;
        respond.send_informational(head).map_err(|_| Unwanted)
    }

    /// Sends the head; `is_whole`: there is no body.
    pub(super) fn begin(&mut self, head: Response<()>, is_whole: bool) -> Result<(), Unwanted> {
        if let Self::Owed(respond) = self {
            let body = respond
                .send_response(head, is_whole)
                .map_err(|_| Unwanted)?;
            *self = Self::Begun(body);
        }
        Ok(())
    }

    /// Sends a part of the body as the client's window lets it; `is_last`: it is the end.
    pub(super) async fn send(&mut self, mut part: Bytes, is_last: bool) -> Result<(), Unwanted> {
        let Self::Begun(body) = self else {
            return Ok(());
        };
        while !part.is_empty() {
            body.reserve_capacity(part.len());
            let space = match body.capacity() {
                0 => {
                    let space = poll_fn(|cx| body.poll_capacity(cx));
                    match timeout(STALL, space).await {
                        Ok(Some(Ok(space))) => space,
                        Ok(_) => return Err(Unwanted),
                        Err(_) => {
                            body.send_reset(Reason::CANCEL);
                            return Err(Unwanted);
                        }
                    }
                }
                space => space,
            };
            let next = part.split_to(space.min(part.len()));
            let ends = is_last && part.is_empty();
            body.send_data(next, ends).map_err(|_| Unwanted)?;
            if ends {
                return Ok(());
            }
        }
        if is_last {
            body.send_data(Bytes::new(), true).map_err(|_| Unwanted)?;
        }
        Ok(())
    }

    /// Answers a request that went to no core.
    pub(super) async fn refuse(mut self, why: &Malformed) {
        let (head, body) = response::refuse(why);
        if self.begin(head, false).is_ok() {
            // Whoever is gone hears nothing.
            let _ = self.send(body.into(), true).await;
        }
    }

    /// Ends the stream without an answer, or in the midst of it.
    pub(super) fn reset(mut self, reason: Reason) {
        match &mut self {
            Self::Owed(respond) => respond.send_reset(reason),
            Self::Begun(body) => body.send_reset(reason),
        }
    }
}
