//! A process for each request (`--exec`), nearly as RFC 3875 has it: the request in its environment, the body on its stdin, the answer on its stdout.
//!
//! Output that begins with `Content-Type:`, `Status:` or `Location:` has header fields of its own, up to an empty line; any other output is a
//! text. It is sent as it comes.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::ChildStdout;

use super::asked::Asked;
use super::reply::{Length, Reply, Responder};
use super::text;
use crate::listen::clients::Client;
use crate::listen::house::House;
use crate::listen::process::Process;
use crate::listen::stream::environment;

/// Bytes of the header fields that a command writes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Bytes of a read from a command.
const READ_BYTES_MAX: usize = 64 << 10;
/// How long a command may go on once its client's side has ended: whether the client still listens cannot be known.
const AFTER_END: Duration = Duration::from_secs(10);
/// Fields that say how an answer is carried, which is not the command's to say.
const CARRIED: [&str; 5] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
];

/// Runs the command and sends what it writes.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    house: &House,
    client: &Client,
    responder: &mut Responder<'_, S>,
    command: &str,
) -> io::Result<()> {
    let mut environment = environment(client);
    environment.extend(meta_variables(responder.asked));
    let mut process = match house.processes.start(command, environment) {
        Ok(process) => process,
        Err(why) => {
            house.report.wrong(client.number, &why).await;
            return responder.send(&text(503, format!("{why}\n"))).await;
        }
    };
    let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return responder
            .send(&text(500, "the command has no pipes\n"))
            .await;
    };
    let body = &responder.asked.body;
    let input = async move {
        // A command need not read its body.
        let _ = stdin.write_all(body).await;
        drop(stdin);
        std::future::pending::<io::Result<()>>().await
    };
    tokio::select! {
        sent = send(house, client, responder, process, stdout) => sent,
        never = input => never,
    }
}

/// The request as RFC 3875 §4.1 names its parts. `Proxy` is left out: as `HTTP_PROXY` it would command other programs.
fn meta_variables(asked: &Asked) -> Vec<(String, OsString)> {
    let path = taut_wire::http::target::decode_path(&asked.path);
    let path = path.unwrap_or_else(|_| asked.path.as_str().into());
    let version = if asked.is_1_0() {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    };
    let mut variables: Vec<(String, OsString)> = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", version),
        ("SERVER_SOFTWARE", "taut"),
        ("REQUEST_METHOD", asked.method.as_str()),
        // A NUL cannot stand in a variable.
        ("PATH_INFO", path.split('\0').next().unwrap_or_default()),
        ("QUERY_STRING", asked.query.as_deref().unwrap_or_default()),
        ("CONTENT_LENGTH", &asked.body.len().to_string()),
        (
            "CONTENT_TYPE",
            asked.field("content-type").unwrap_or_default(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into();
    for (name, value) in &asked.fields {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_plain && !name.eq_ignore_ascii_case("proxy") {
            let name = name.to_ascii_uppercase().replace('-', "_");
            variables.push((format!("HTTP_{name}"), value.into()));
        }
    }
    variables
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    house: &House,
    client: &Client,
    responder: &mut Responder<'_, S>,
    mut process: Process,
    mut stdout: ChildStdout,
) -> io::Result<()> {
    let begun = tokio::select! {
        begun = begin(&mut stdout) => begun?,
        () = client_gone(responder) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if begun.is_all {
        let ended = process.ended().await;
        if let Err(why) = &ended {
            house.report.wrong(client.number, why).await;
        }
        return match ended {
            Err(why) if begun.reply.body.is_empty() => {
                responder.send(&text(500, format!("{why}\n"))).await
            }
            _ => responder.send(&begun.reply).await,
        };
    }
    let reply = begun.reply;
    let fields: Vec<(&str, &str)> = reply
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    responder
        .begin(reply.status, &fields, Length::Stream)
        .await?;
    responder.piece(&reply.body).await?;
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        let count = tokio::select! {
            read = stdout.read(&mut buffer) => read?,
            () = client_gone(responder) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        if count == 0 {
            break;
        }
        responder.piece(&buffer[..count]).await?;
    }
    if let Err(why) = process.ended().await {
        house.report.wrong(client.number, &why).await;
    }
    responder.finish().await
}

/// Waits until the client's side has ended and it had time to get its answer nevertheless.
async fn client_gone<S: AsyncRead + AsyncWrite + Unpin>(responder: &mut Responder<'_, S>) {
    responder.wire.client_end().await;
    tokio::time::sleep(AFTER_END).await;
}

/// How an answer begins.
struct Begun {
    /// With what of the body there is.
    reply: Reply,
    /// Whether the command has written all.
    is_all: bool,
}

/// Reads until it is clear what the answer's head is.
async fn begin(stdout: &mut ChildStdout) -> io::Result<Begun> {
    let mut output = Vec::with_capacity(READ_BYTES_MAX);
    let mut is_all = false;
    while !is_all && !is_decided(&output) {
        is_all = stdout.read_buf(&mut output).await? == 0;
        output.reserve(READ_BYTES_MAX);
    }
    let reply = match parse(&output) {
        Some(reply) => reply,
        None => text(200, output),
    };
    Ok(Begun { reply, is_all })
}

/// Whether more output would not change what the head is.
fn is_decided(output: &[u8]) -> bool {
    output.len() >= HEAD_BYTES_MAX
        || match has_head(output) {
            Some(has_head) => !has_head || head_end(output).is_some(),
            None => false,
        }
}

/// Whether the output begins with a header field; `None` while its first line has not come.
fn has_head(output: &[u8]) -> Option<bool> {
    let end = output.iter().position(|byte| *byte == b'\n')?;
    let name = output[..end].split(|byte| *byte == b':').next()?;
    Some(
        name.len() < end
            && ["content-type", "status", "location"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes())),
    )
}

/// Where the head ends, and where the body begins.
fn head_end(output: &[u8]) -> Option<(usize, usize)> {
    let mut begin = 0;
    while let Some(length) = output[begin..].iter().position(|byte| *byte == b'\n') {
        let end = begin + length;
        if matches!(&output[begin..end], b"" | b"\r") {
            return Some((begin, end + 1));
        }
        begin = end + 1;
    }
    None
}

fn parse(output: &[u8]) -> Option<Reply> {
    if !has_head(output)? {
        return None;
    }
    let (end, body) = head_end(output)?;
    let mut reply = Reply {
        status: 200,
        fields: Vec::new(),
        body: output[body..].to_vec(),
    };
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        let is_token = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_token {
            return None;
        }
        if name.eq_ignore_ascii_case("status") {
            let digits = value.split(' ').next()?;
            reply.status = digits
                .parse()
                .ok()
                .filter(|status| (200..1000).contains(status))?;
        } else if !CARRIED.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            reply = reply.with(name, value);
        }
    }
    let is_redirect = reply
        .fields
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("location"));
    if is_redirect && reply.status == 200 {
        reply.status = 302;
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{is_decided, parse};

    #[test]
    fn a_head_is_recognised_when_it_is_one() {
        let reply = parse(
            b"Status: 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<p>",
        )
        .unwrap();
        assert_eq!(
            (reply.status, reply.fields.len(), &*reply.body),
            (404, 1, &b"<p>"[..])
        );
        let reply = parse(b"Location: /x\n\n").unwrap();
        assert_eq!((reply.status, reply.body.len()), (302, 0));
        for plain in [
            &b"hello\n"[..],
            b"Note: this is text\n\n",
            b"Content-Type\n",
            b"",
            b"Status: many\n\n",
        ] {
            assert!(parse(plain).is_none());
        }
    }

    #[test]
    fn a_head_is_waited_for_and_a_text_is_not() {
        assert!(!is_decided(b"Content-Type: text/html\n"));
        assert!(is_decided(b"Content-Type: text/html\n\n"));
        assert!(!is_decided(b"hel"));
        assert!(is_decided(b"hello\n"));
        assert!(is_decided(&vec![b'x'; 20_000]));
    }
}
