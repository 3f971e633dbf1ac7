//! Clients of http://, HTTP/1.0 and 1.1 (RFC 9110, RFC 9112).
//!
//! Invariants that a reader could break:
//!
//! - A request's body is taken whole before the next request, whatever the answer is; where it is not, the connection ends.
//! - A body is at most `--max-bytes`; a head is what [`LIMITS`] says and comes within 10 s of its first byte.
//! - After a violation the connection ends: nobody knows where the next request would begin.
//! - HEAD is answered as GET, without the body.
//!
//! Absent on purpose: TLS, HTTP/2, compression on the fly, cross-origin headers: what a page from elsewhere may read here is what it may read anywhere.

mod asked;
mod cgi;
mod events;
mod pages;
mod reply;
mod transfer;
mod wire;

use taut_wire::http::{BodyDecoder, Framing, parse_request};
use tokio::io::{AsyncRead, AsyncWrite};

use asked::Asked;
pub(super) use reply::plain_head;
use reply::{Reply, Responder};
pub(super) use wire::{HeadError, LIMITS, Wire};

use super::carry::Course;
use super::clients::Client;
use super::house::House;

/// Serves one connection, request after request.
pub(super) async fn serve(
    house: &House,
    client: &Client,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Course {
    let mut wire = Wire::new(stream);
    let why = loop {
        match exchange(house, client, &mut wire).await {
            Ok(Next::Request) => {}
            Ok(Next::End(why)) => break why,
            Err(why) => break why,
        }
    };
    wire.end().await;
    Course::ended(why, wire.bytes_in, wire.bytes_out)
}

/// What comes after an answer.
enum Next {
    Request,
    End(String),
}

/// One request and its answer.
async fn exchange(
    house: &House,
    client: &Client,
    wire: &mut Wire<impl AsyncRead + AsyncWrite + Unpin>,
) -> Result<Next, String> {
    let came = tokio::select! {
        came = wire.head() => came,
        () = house.finished() => return Ok(Next::End("the server ended".to_owned())),
    };
    let head_bytes = match came {
        Ok(Some(head_bytes)) => head_bytes,
        Ok(None) => return Ok(Next::End("it sent no more requests".to_owned())),
        Err(HeadError::Violation(violation)) => {
            return Err(refuse(
                house,
                client,
                wire,
                violation.status,
                &violation.to_string(),
            )
            .await);
        }
        Err(HeadError::Slow) => {
            let text = HeadError::Slow.to_string();
            return Err(refuse(house, client, wire, 408, &text).await);
        }
        Err(error) => return Err(error.to_string()),
    };
    let head = wire.take(head_bytes);
    let Ok(Some((request, _))) = parse_request(&head, &LIMITS) else {
        return Err("its request could not be read".to_owned());
    };
    if !house.admit() {
        return Err("the one request of --once has come".to_owned());
    }
    let mut asked = Asked::new(&head, &request);
    let told = || format!("< {}", asked.line());
    house.report.tell(client.number, told).await;
    match body(house, wire, &asked).await {
        Ok(body) => asked.body = body,
        Err(Broken::Violation(status, text)) => {
            let why = refuse(house, client, wire, status, &text).await;
            house.served();
            return Err(why);
        }
        Err(Broken::Lost(why)) => {
            house.served();
            return Err(why);
        }
    }
    let (number, head, fields) = (client.number, &asked.head, asked.json());
    house
        .report
        .request(number, head, fields, &asked.body)
        .await;
    let mut responder = Responder::new(house, client, wire, &asked);
    let answered = pages::answer(house, client, &mut responder).await;
    let keeps_alive = responder.keeps_alive;
    house.served();
    answered.map_err(|error| format!("writing to it failed: {error}"))?;
    Ok(if keeps_alive {
        Next::Request
    } else {
        Next::End("it was answered".to_owned())
    })
}

/// Why there is no body.
enum Broken {
    Violation(u16, String),
    Lost(String),
}

/// The whole body that a head announced.
async fn body(
    house: &House,
    wire: &mut Wire<impl AsyncRead + AsyncWrite + Unpin>,
    asked: &Asked,
) -> Result<Vec<u8>, Broken> {
    let broken = |violation: taut_wire::http::Violation| {
        Broken::Violation(violation.status, violation.to_string())
    };
    let lost =
        |error: &dyn std::fmt::Display| Broken::Lost(format!("its body did not come: {error}"));
    let bytes_max = house.plan.bytes_max as u64;
    let mut decoder = BodyDecoder::new(asked.framing, bytes_max).map_err(broken)?;
    if asked.framing != Framing::None && asked.expects_continue && wire.is_drained() {
        wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .map_err(|error| lost(&error))?;
    }
    let mut body = Vec::new();
    while !decoder.is_done() {
        if wire.is_drained() {
            match wire.read().await {
                Ok(0) => return Err(lost(&"it closed its side in the middle")),
                Ok(_) => {}
                Err(error) => return Err(lost(&error)),
            }
        }
        let step = decoder.decode(wire.input()).map_err(broken)?;
        body.extend_from_slice(step.data);
        let consumed = step.consumed;
        wire.consume(consumed);
    }
    Ok(body)
}

/// Answers what cannot be answered otherwise, and gives the text.
async fn refuse(
    house: &House,
    client: &Client,
    wire: &mut Wire<impl AsyncRead + AsyncWrite + Unpin>,
    status: u16,
    text: &str,
) -> String {
    house.report.wrong(client.number, text).await;
    let body = format!("{text}\n");
    let mut out = plain_head(status, &[], body.len());
    out.extend_from_slice(body.as_bytes());
    // Whoever is gone needs no answer.
    let _ = wire.write(&out).await;
    text.to_owned()
}

/// Turns a connection away that is one too many.
pub(super) async fn turn_away(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut wire = Wire::new(stream);
    let body = "as many clients are here as may be; come back later\n";
    let mut out = plain_head(503, &[("Retry-After", "1")], body.len());
    out.extend_from_slice(body.as_bytes());
    if wire.write(&out).await.is_ok() {
        wire.end().await;
    }
}

/// A text as the body of an answer.
fn text(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply::new(status, "text/plain; charset=utf-8", body)
}
