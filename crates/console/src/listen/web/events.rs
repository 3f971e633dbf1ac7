//! A stream of events (the HTML Standard's `text/event-stream`) of what is said to all.

use std::io;
use std::time::Duration;

use taut_wire::sse::{encode_comment, encode_event};
use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Length, Responder};
use crate::listen::clients::{Client, Out};

/// A comment this often keeps proxies from thinking that the stream is dead, and finds clients that are.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// Streams what is said until the client goes.
pub(super) async fn stream<S: AsyncRead + AsyncWrite + Unpin>(
    client: &Client,
    responder: &mut Responder<'_, S>,
) -> io::Result<()> {
    responder.keeps_alive = false;
    let mut inbox = client.inbox(true);
    let stalled = inbox.stalled();
    let fields = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store"),
    ];
    responder.begin(200, &fields, Length::Stream).await?;
    let mut hello = Vec::new();
    // Something has to come for browsers to call the stream open.
    encode_comment(&mut hello, "");
    responder.piece(&hello).await?;
    let told = async {
        loop {
            let mut piece = Vec::new();
            tokio::select! {
                out = inbox.next() => {
                    match &out {
                        Out::Say(text) => encode_event(&mut piece, None, None, &String::from_utf8_lossy(text)),
                        Out::Raw(_) => {}
                        Out::Farewell | Out::End => return responder.finish().await,
                    }
                    inbox.sent(&out);
                }
                () = tokio::time::sleep(HEARTBEAT) => encode_comment(&mut piece, ""),
                // HTTP/1.1 has no half-closed requests that go on.
                () = responder.wire.client_end() => return Ok(()),
            }
            responder.piece(&piece).await?;
        }
    };
    tokio::select! {
        told = told => told,
        () = stalled => Err(io::Error::new(io::ErrorKind::TimedOut, "it did not read for 10 s")),
    }
}
