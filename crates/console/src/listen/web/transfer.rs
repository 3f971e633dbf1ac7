//! Files of a folder as answers (`--files`).

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use taut_files::{Files, Method, Piece, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Length, Responder, unix_now_s};
use super::text;
use crate::listen::clients::Client;
use crate::listen::house::House;

/// Bytes of a file that are read at once.
const READ_BYTES_MAX: usize = 256 << 10;

/// Answers with a file, or with why there is none.
pub(super) async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    house: &House,
    client: &Client,
    responder: &mut Responder<'_, S>,
    files: &Arc<Files>,
) -> io::Result<()> {
    let asked = responder.asked;
    let (files, conditions) = (files.clone(), asked.conditions.clone());
    let (method, path, query) = (
        Method::from(asked.method()),
        asked.path.clone(),
        asked.query.clone(),
    );
    let answered = tokio::task::spawn_blocking(move || {
        let request = Request {
            method,
            path: &path,
            query: query.as_deref(),
            conditions: &conditions,
        };
        files.answer(&request, unix_now_s())
    });
    let Ok(answer) = answered.await else {
        return responder
            .send(&text(500, "the folder could not be read\n"))
            .await;
    };
    if let Some(fault) = &answer.fault {
        house.report.wrong(client.number, &fault.to_string()).await;
    }
    let fields: Vec<(&str, &str)> = answer
        .fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let length = answer.content_length().map_or(Length::None, Length::Known);
    responder.begin(answer.status, &fields, length).await?;
    for piece in answer.body {
        match piece {
            Piece::Bytes(bytes) => responder.wire.write(&bytes).await?,
            Piece::File {
                file,
                offset,
                length,
            } => {
                let end = offset.saturating_add(length);
                let mut at = offset;
                while at < end {
                    let bytes = read(file.clone(), at, end).await?;
                    at += bytes.len() as u64;
                    responder.wire.write(&bytes).await?;
                }
            }
        }
    }
    Ok(())
}

/// The next part of a file. One that has shrunk is an error, which ends the connection: fewer bytes than promised must be noticed.
async fn read(file: Arc<std::fs::File>, at: u64, end: u64) -> io::Result<Vec<u8>> {
    let read = tokio::task::spawn_blocking(move || {
        let wanted =
            usize::try_from(end - at).map_or(READ_BYTES_MAX, |left| left.min(READ_BYTES_MAX));
        let mut bytes = vec![0; wanted];
        let count = file.read_at(&mut bytes, at)?;
        bytes.truncate(count);
        Ok(bytes)
    });
    match read.await {
        Ok(Ok(bytes)) if bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => read,
        Err(error) => Err(io::Error::other(error)),
    }
}
