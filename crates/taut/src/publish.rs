//! `taut pub`: arguments or lines of stdin become messages.

use std::io::{self, IsTerminal as _, Write as _};

use taut_client::{Ack, Body, Client, Error, Publish, Retry, Said};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::sync::mpsc;

use crate::cli::{Lane, PublishArgs};
use crate::connection;
use crate::failure::{Code, Failure, code_of};

/// Messages under way at most: more are read from stdin as these are taken.
const UNDER_WAY_MAX: usize = 256;

/// Bytes of one line of stdin; a longer one is an error, since no server would take it.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Runs the command.
pub(crate) fn run(args: &PublishArgs) -> Result<(), Failure> {
    if args.id.is_some() && args.data.len() != 1 {
        return Err(Failure::usage(
            "--id makes one message happen once: give exactly one DATA with it",
        ));
    }
    // What can be wrong with the arguments shows before anything is published.
    let bodies = args
        .data
        .iter()
        .map(|data| body_of(data.as_bytes(), args.json));
    let bodies = bodies
        .enumerate()
        .map(|(index, body)| body.map_err(|error| usage(args, index, &error)))
        .collect::<Result<Vec<Body>, Failure>>()?;
    connection::run(async {
        let (client, events) = connection::connect(&args.server, args.name.as_deref()).await?;
        drop(events);
        let (under_way, acks) = mpsc::channel(UNDER_WAY_MAX);
        let tally = tokio::spawn(tally(acks));
        let begun = if bodies.is_empty() {
            from_stdin(args, &client, &under_way).await
        } else {
            from_arguments(args, &client, bodies, &under_way).await
        };
        drop(under_way);
        let tally = tally.await.unwrap_or_default();
        connection::close(&client).await;
        // What stopped the tally explains what stopped the sending.
        tally.end()?;
        begun
    })
}

fn usage(args: &PublishArgs, index: usize, error: &Error) -> Failure {
    let data = args.data.get(index).map_or("", String::as_str);
    let shown: String = data.chars().take(60).collect();
    Failure::usage(format!("DATA `{shown}`: {error}"))
        .hint("quote strings for JSON: --json '\"hello\"'; or leave --json out")
}

async fn from_arguments(
    args: &PublishArgs,
    client: &Client,
    bodies: Vec<Body>,
    under_way: &mpsc::Sender<(u64, UnderWay)>,
) -> Result<(), Failure> {
    for (number, body) in (1..).zip(bodies) {
        begin(args, client, number, body, under_way).await?;
    }
    Ok(())
}

async fn from_stdin(
    args: &PublishArgs,
    client: &Client,
    under_way: &mpsc::Sender<(u64, UnderWay)>,
) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        // Or the program would seem to hang.
        let _ = writeln!(io::stderr(), "each line is a message; Ctrl-D ends");
    }
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut number = 0;
    while let Some(line) = next_line(&mut stdin).await? {
        number += 1;
        match body_of(&line, args.json) {
            Ok(body) => begin(args, client, number, body, under_way).await?,
            Err(error) => return Err(Failure::usage(format!("line {number} of stdin: {error}"))),
        }
    }
    Ok(())
}

/// The next line without its end, or `None` at the end of input.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    let read = input
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)
        .await;
    let read =
        read.map_err(|error| Failure::new(Code::Failure, format!("cannot read stdin: {error}")))?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if read as u64 == LINE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "a line of stdin is longer than {} MiB",
            LINE_BYTES_MAX >> 20
        )));
    }
    Ok(Some(line))
}

/// Text where it is UTF-8, bytes where it is not.
fn body_of(data: &[u8], json: bool) -> Result<Body, Error> {
    match std::str::from_utf8(data) {
        Ok(text) if json => Body::json(text.trim()),
        Ok(text) => Ok(Body::from(text)),
        Err(_) if json => Err(Error::Unsendable(
            "not a JSON value: it is not UTF-8".into(),
        )),
        Err(_) => Ok(Body::Binary(data.to_vec())),
    }
}

async fn begin(
    args: &PublishArgs,
    client: &Client,
    number: u64,
    body: Body,
    under_way: &mpsc::Sender<(u64, UnderWay)>,
) -> Result<(), Failure> {
    let mut publish = Publish::to(&args.room, body);
    if let Some(event) = &args.event {
        publish = publish.event(event);
    }
    if let Some(key) = &args.key {
        publish = publish.key(key);
    }
    if let Some(id) = &args.id {
        publish = publish.id(id);
    }
    let begun = match args.lane {
        Lane::Reliable => UnderWay::Publish(client.begin_publish(publish).await?),
        Lane::Latest => UnderWay::Latest(client.begin_latest(publish).await?),
    };
    if under_way.send((number, begun)).await.is_err() {
        // The tally has stopped because nothing further can succeed; it says why.
        return Err(Failure::quiet(Code::Failure));
    }
    Ok(())
}

/// A message whose answer is awaited.
#[derive(Debug)]
enum UnderWay {
    Publish(Ack),
    Latest(Said),
}

impl UnderWay {
    async fn wait(self) -> Result<(), Error> {
        match self {
            Self::Publish(ack) => ack.wait().await.map(|_| ()),
            Self::Latest(said) => said.wait().await,
        }
    }
}

/// What became of the messages.
#[derive(Default)]
struct Tally {
    taken: u64,
    failed: u64,
    first: Option<Error>,
}

/// Waits for the acks in order, and says of each failure which message it was.
async fn tally(mut acks: mpsc::Receiver<(u64, UnderWay)>) -> Tally {
    let mut tally = Tally::default();
    while let Some((number, ack)) = acks.recv().await {
        let error = match ack.wait().await {
            Ok(()) => {
                tally.taken += 1;
                continue;
            }
            Err(error) => error,
        };
        tally.failed += 1;
        let is_final = error.retry() == Retry::Never && !matches!(error, Error::Refused { .. });
        if tally.failed <= 10 {
            // Where stderr is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "message {number}: {error}");
        }
        tally.first.get_or_insert(error);
        if is_final {
            break;
        }
    }
    tally
}

impl Tally {
    fn end(self) -> Result<(), Failure> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let all = self.taken + self.failed;
        let code = code_of(&first);
        Err(match all {
            1 => Failure::quiet(code),
            _ => Failure::new(
                code,
                format!("{} of {all} messages were not taken", self.failed),
            ),
        })
    }
}
