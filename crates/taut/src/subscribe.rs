//! `taut sub`: what is said in rooms, a line each.

use std::io::{self, Write as _};

use taut_client::{Error, Event, Events, Join, Joined, Position};
use taut_wire::native::Rewind;

use crate::cli::SubscribeArgs;
use crate::connection;
use crate::failure::Failure;
use crate::printing::{self, shown};

/// Runs the command.
pub(crate) fn run(args: &SubscribeArgs) -> Result<(), Failure> {
    if args.since.is_some() && args.rooms.len() > 1 {
        return Err(Failure::usage(
            "--since is a position of one room: give exactly one ROOM with it, or use --rewind N",
        ));
    }
    connection::run(async {
        let (client, mut events) = connection::connect(&args.server, args.name.as_deref()).await?;
        for room in &args.rooms {
            let joined = client.join(join(args, room)).await?;
            note_incomplete(args, &joined);
        }
        let result = print_all(args, &mut events).await;
        connection::close(&client).await;
        result
    })
}

fn join(args: &SubscribeArgs, room: &str) -> Join {
    match (&args.since, args.rewind) {
        (Some(since), _) => Join::room(room).since(Position::new(since.as_str())),
        (None, Some(Rewind::Count(messages))) => Join::room(room).rewind(messages),
        (None, Some(Rewind::Ms(ms))) => Join::room(room).rewind_ms(ms),
        (None, None) => Join::room(room),
    }
}

fn note_incomplete(args: &SubscribeArgs, joined: &Joined) {
    if let (Some(from), Some(since)) = (&joined.incomplete_from, &args.since) {
        note(&format!(
            "gap: {} has not kept everything after {since}; what follows is whole from {from}",
            shown(&joined.room)
        ));
    }
}

async fn print_all(args: &SubscribeArgs, events: &mut Events) -> Result<(), Failure> {
    let mut left = args.count;
    let mut rooms_left = args.rooms.len();
    while let Some(event) = events.next().await {
        match event {
            Event::Message(_) | Event::Latest(_) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&line(args, &event))?;
                stdout.flush()?;
                left = left.map(|left| left - 1);
                if left == Some(0) {
                    return Ok(());
                }
            }
            Event::Gap { room, after, at } => note(&match after {
                Some(after) => format!(
                    "gap: messages of {} after {after} up to {at} are missing",
                    shown(&room)
                ),
                None => format!(
                    "gap: messages of {} up to {at} may be missing",
                    shown(&room)
                ),
            }),
            Event::Disconnected {
                error,
                retry_ms: Some(ms),
            } => {
                note(&format!(
                    "{error}; coming back in {:.1} s",
                    std::time::Duration::from_millis(ms).as_secs_f32()
                ));
            }
            Event::Disconnected {
                error,
                retry_ms: None,
            } => return Err(error.into()),
            Event::Reconnected => note("connected again"),
            Event::Left { room, error } => {
                note(&format!("{}: {error}", shown(&room)));
                rooms_left -= 1;
                if rooms_left == 0 {
                    return Err(error.into());
                }
            }
            Event::Refused(error) => note(&error.to_string()),
            _ => {}
        }
    }
    Err(Error::Closed.into())
}

/// What was said, as it is printed.
fn line(args: &SubscribeArgs, event: &Event) -> Vec<u8> {
    let several = args.rooms.len() > 1;
    match event {
        Event::Message(message) if args.json => printing::json(message),
        Event::Message(message) => {
            printing::text(message, several.then_some(message.room.as_str()))
        }
        Event::Latest(said) if args.json => printing::latest_json(said),
        Event::Latest(said) => printing::latest(said, several.then_some(said.room.as_str())),
        _ => Vec::new(),
    }
}

/// What is not a message goes to stderr.
fn note(text: &str) {
    // Where stderr is closed, nobody wants notes.
    let _ = writeln!(io::stderr(), "{text}");
}
