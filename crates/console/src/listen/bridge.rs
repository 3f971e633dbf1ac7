//! A process that talks to a client of tcp:// or unix: (`--exec`).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::ChildStdout;
use tokio::sync::watch;
use tokio::time::Instant;

use super::carry::{Course, READ_BYTES_MAX};
use super::clients::{Client, Out, Outbox};
use super::house::House;
use super::process::Process;
use super::report::{bytes, preview};

/// How long a process may be silent once its client's side has ended: whether the client still listens cannot be known.
const SILENCE: Duration = Duration::from_secs(10);

/// Lets a process talk to the client; gives why it ended.
pub(super) async fn bridge(
    house: &House,
    client: &Client,
    reader: &mut (impl AsyncRead + Unpin),
    outbox: &Outbox,
    course: &Course,
    mut process: Process,
) -> String {
    let mut stdin = process.stdin.take();
    let stdout = process.stdout.take();
    // When the client's side ended: from then on silence counts.
    let (ended, client_end) = watch::channel(None);
    let input = async {
        let mut renderer = house.report.renderer();
        let mut buffer = vec![0; READ_BYTES_MAX];
        let failed = loop {
            match reader.read(&mut buffer).await {
                Ok(0) => break None,
                Err(error) => break Some(format!("reading from it failed: {error}")),
                Ok(count) => {
                    let piece = &buffer[..count];
                    course.received(count);
                    let told = || format!("< {} {}", bytes(count), preview(piece));
                    house.report.tell(client.number, told).await;
                    if house.report.shows() {
                        house
                            .report
                            .piece(client.number, &mut renderer, piece)
                            .await;
                    }
                    // A process that reads no more may still write.
                    if let Some(pipe) = &mut stdin
                        && pipe.write_all(piece).await.is_err()
                    {
                        stdin = None;
                    }
                }
            }
        };
        house.report.piece_end(&mut renderer).await;
        stdin = None;
        match failed {
            Some(failed) => failed,
            None => {
                ended.send_replace(Some(Instant::now()));
                std::future::pending().await
            }
        }
    };
    let output = async {
        if let Some(stdout) = stdout
            && copy_out(stdout, outbox, client_end).await.is_err()
        {
            return "its side ended, and the command said nothing more".to_owned();
        }
        match process.ended().await {
            Ok(()) => "the command ended".to_owned(),
            Err(text) => {
                house.report.wrong(client.number, &text).await;
                text
            }
        }
    };
    tokio::select! {
        why = input => why,
        why = output => why,
    }
}

/// Copies what a process writes, until it ends, or until it has been silent for too long after the client's side ended.
async fn copy_out(
    mut stdout: ChildStdout,
    outbox: &Outbox,
    mut client_end: watch::Receiver<Option<Instant>>,
) -> Result<(), Silent> {
    let mut buffer = vec![0; READ_BYTES_MAX];
    let mut last = Instant::now();
    loop {
        let ended = *client_end.borrow_and_update();
        let silence = async {
            match ended {
                Some(ended) => tokio::time::sleep_until(ended.max(last) + SILENCE).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = stdout.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(count) => {
                    last = Instant::now();
                    if !outbox.send(Out::Raw(buffer[..count].to_vec())).await {
                        return Ok(());
                    }
                }
            },
            () = silence => return Err(Silent),
            changed = client_end.changed() => if changed.is_err() {
                return Ok(());
            },
        }
    }
}

struct Silent;
