//! `taut verify`: whether everything that is kept in a folder is sound.

use std::io::Write as _;

use taut_store::{DAMAGES_MAX, Damage};

use crate::cli::VerifyArgs;
use crate::failure::{Code, Failure};
use crate::printing::shown;

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let damages = taut_store::check(&args.data).map_err(|error| {
        Failure::new(Code::Failure, error)
            .hint("name the folder that the start line of `taut serve` says")
    })?;
    let mut out = String::new();
    for damage in &damages {
        out += &line(damage);
        out.push('\n');
    }
    if damages.is_empty() {
        out += &format!("{}: every row is sound\n", args.data.display());
    }
    std::io::stdout().write_all(out.as_bytes())?;
    match damages.len() {
        0 => Ok(()),
        count => {
            let more = if count == DAMAGES_MAX { " or more" } else { "" };
            let text = format!("{count}{more} damaged places in {}", args.data.display());
            Err(Failure::new(Code::Failure, text).hint(
                "the server leaves damaged rows out and tells readers of the gap; restore the folder from a backup to have them back",
            ))
        }
    }
}

fn line(damage: &Damage) -> String {
    match damage {
        Damage::Message { room, offset } => {
            format!("room {}: the message {offset} is damaged", shown(room))
        }
        Damage::Key { room, key, offset } => format!(
            "room {}: the key {}, set by the message {offset}, is damaged",
            shown(room),
            shown(key)
        ),
        Damage::Id { room, offset } => format!(
            "room {}: the id of the message {offset} is damaged",
            shown(room)
        ),
        Damage::Room { room } => format!("room {}: its own row is damaged", shown(room)),
        Damage::Hole { room, first, last } => format!(
            "room {}: the messages {first} to {last} are missing",
            shown(room)
        ),
        Damage::Structure { text } => format!("the file: {}", shown(text)),
    }
}
