//! `taut history`: what was said in a room, page by page until everything is there.

use std::io::{self, Write as _};

use taut_client::{Client, History, Message, Page, Position};
use taut_wire::native::Rewind;

use crate::cli::HistoryArgs;
use crate::connection;
use crate::failure::Failure;
use crate::printing::{self, shown};

/// Messages of one page. The server may give fewer.
const PAGE_MESSAGES_MAX: u32 = 1_000;

/// Runs the command.
pub(crate) fn run(args: &HistoryArgs) -> Result<(), Failure> {
    connection::run(async {
        let (client, events) = connection::connect(&args.server, None).await?;
        drop(events);
        let result = print_all(args, &client).await;
        connection::close(&client).await;
        result
    })
}

/// Asks for page after page, each from where the one before it ended.
async fn print_all(args: &HistoryArgs, client: &Client) -> Result<(), Failure> {
    let mut left = limit(args);
    let mut reached: Option<Position> = None;
    loop {
        let asked = left.unwrap_or(PAGE_MESSAGES_MAX).min(PAGE_MESSAGES_MAX);
        let page = client
            .history(request(args, reached.as_ref(), asked))
            .await?;
        if reached.is_none() {
            note_incomplete(args, &page);
        }
        print(args, &page.messages)?;
        let count = u32::try_from(page.messages.len()).unwrap_or(u32::MAX);
        left = left.map(|left| left.saturating_sub(count));
        let stands = count == 0 && reached.as_ref() == Some(&page.at);
        if !page.more || stands || left == Some(0) {
            return Ok(());
        }
        reached = Some(page.at);
    }
}

/// How many messages are wanted. From the end backwards, the last so many are the first so many.
fn limit(args: &HistoryArgs) -> Option<u32> {
    match args.rewind {
        Some(Rewind::Count(count)) if args.reverse => {
            Some(args.limit.map_or(count, |limit| limit.min(count)))
        }
        _ => args.limit,
    }
}

fn request(args: &HistoryArgs, reached: Option<&Position>, limit: u32) -> History {
    let mut history = History::of(&args.room).limit(limit);
    // Forwards each page begins where the last one ended, backwards it ends there.
    let (since, until) = match reached {
        Some(reached) if args.reverse => (given(args.since.as_ref()), Some(reached.clone())),
        Some(reached) => (Some(reached.clone()), given(args.until.as_ref())),
        None => (given(args.since.as_ref()), given(args.until.as_ref())),
    };
    history = match (since, args.rewind) {
        (Some(since), _) => history.since(since),
        (None, Some(Rewind::Ms(ms))) => history.rewind_ms(ms),
        (None, Some(Rewind::Count(count))) if !args.reverse => history.rewind(count),
        // The last so many: where nothing else says which.
        (None, None) if !args.reverse && args.until.is_none() => {
            history.rewind(args.limit.unwrap_or(u32::MAX))
        }
        _ => history,
    };
    if let Some(until) = until {
        history = history.until(until);
    }
    if args.reverse {
        history = history.reverse();
    }
    history
}

fn given(position: Option<&String>) -> Option<Position> {
    position.map(|position| Position::new(position.as_str()))
}

fn note_incomplete(args: &HistoryArgs, page: &Page) {
    if let (Some(from), Some(since)) = (&page.incomplete_from, &args.since) {
        // Where stderr is closed, nobody wants notes.
        let _ = writeln!(
            io::stderr(),
            "gap: {} has not kept everything after {since}; what follows is whole from {from}",
            shown(&page.room)
        );
    }
}

fn print(args: &HistoryArgs, messages: &[Message]) -> Result<(), Failure> {
    let mut out = Vec::new();
    for message in messages {
        out.extend_from_slice(&if args.json {
            printing::json(message)
        } else {
            printing::text(message, None)
        });
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    Ok(stdout.flush()?)
}
