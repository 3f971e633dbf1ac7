//! `taut state`, `get`, `set` and `delete`: what is set in a room.

use std::io::{self, IsTerminal as _, Write as _};

use taut_client::{Body, Expect, Message, Position, Publish};

use crate::cli::{DeleteArgs, GetArgs, ServerArgs, SetArgs, StateArgs};
use crate::connection;
use crate::failure::{Code, Failure};
use crate::printing::{self, shown};

/// Runs `taut state`.
pub(crate) fn run(args: &StateArgs) -> Result<(), Failure> {
    connection::run(async {
        let (client, _) = connection::connect(&args.server, None).await?;
        let state = client.state(&args.room).await?;
        connection::close(&client).await;
        let mut out = Vec::new();
        for entry in &state.entries {
            out.extend_from_slice(&if args.json {
                printing::json(entry)
            } else {
                printing::entry(entry)
            });
        }
        print(&out)
    })
}

/// Runs `taut get`.
pub(crate) fn get(args: &GetArgs) -> Result<(), Failure> {
    connection::run(async {
        let (client, _) = connection::connect(&args.server, None).await?;
        let found = client.get(&args.room, &args.key).await?;
        connection::close(&client).await;
        match found {
            Some(message) if args.json => print(&printing::json(&message)),
            Some(message) => print(&value(&message)),
            None => Err(Failure::new(
                Code::Failure,
                format!(
                    "nothing is set under {} in {}",
                    shown(&args.key),
                    shown(&args.room)
                ),
            )),
        }
    })
}

/// Runs `taut set`.
pub(crate) fn set(args: &SetArgs) -> Result<(), Failure> {
    let body = if args.json {
        Body::json(args.data.trim()).map_err(|error| {
            Failure::usage(format!("DATA: {error}"))
                .hint("quote strings for JSON: --json '\"hello\"'; or leave --json out")
        })?
    } else {
        Body::from(args.data.as_str())
    };
    let mut publish = Publish::to(&args.room, body).key(&args.key);
    if let Some(ttl_ms) = args.ttl {
        publish = publish.ttl_ms(ttl_ms);
    }
    if args.absent {
        publish = publish.expect(Expect::Absent);
    }
    change(
        &args.server,
        args.name.as_deref(),
        expecting(publish, args.expect.as_ref()),
    )
}

/// Runs `taut delete`.
pub(crate) fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let publish = Publish::deletion(&args.room, &args.key);
    change(
        &args.server,
        args.name.as_deref(),
        expecting(publish, args.expect.as_ref()),
    )
}

fn expecting(publish: Publish, expect: Option<&String>) -> Publish {
    match expect {
        Some(at) => publish.expect(Expect::At(Position::new(at.as_str()))),
        None => publish,
    }
}

/// Makes a change and prints where it stands.
fn change(server: &ServerArgs, name: Option<&str>, publish: Publish) -> Result<(), Failure> {
    connection::run(async {
        let (client, _) = connection::connect(server, name).await?;
        let published = client.publish(publish).await?;
        connection::close(&client).await;
        print(format!("{}\n", published.at).as_bytes())
    })
}

/// The value alone, as it is: what a script wants. A terminal sees no control characters.
fn value(message: &Message) -> Vec<u8> {
    let array;
    let text = match &message.body {
        Body::Text(text) => text.as_str(),
        Body::Json(json) => json.get(),
        Body::Binary(bytes) => return bytes.clone(),
        Body::Args(arguments) => {
            array = arguments.to_json();
            &array
        }
    };
    let text = if io::stdout().is_terminal() {
        let lines: Vec<String> = text.lines().map(shown).collect();
        lines.join("\n")
    } else {
        text.to_owned()
    };
    format!("{text}\n").into_bytes()
}

fn print(out: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(out)?;
    Ok(stdout.flush()?)
}
