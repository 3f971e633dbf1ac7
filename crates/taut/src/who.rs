//! `taut who`: who is in a room.

use std::io::Write as _;

use taut_client::Roster;

use crate::cli::WhoArgs;
use crate::connection;
use crate::failure::Failure;
use crate::printing::shown;

/// Runs the command.
pub(crate) fn run(args: &WhoArgs) -> Result<(), Failure> {
    connection::run(async {
        let (client, _) = connection::connect(&args.server, None).await?;
        let roster = client.who(&args.room).await?;
        connection::close(&client).await;
        let out = if args.json {
            json(&args.room, &roster)
        } else {
            text(&args.room, &roster)
        };
        Ok(std::io::stdout().write_all(out.as_bytes())?)
    })
}

fn text(room: &str, roster: &Roster) -> String {
    let mut out = match roster.count {
        0 => format!("nobody is in {}\n", shown(room)),
        count => format!("{count} in {}\n", shown(room)),
    };
    for member in &roster.members {
        out += &format!("  {} ({})\n", shown(&member.name), shown(&member.door));
    }
    match roster.count as usize - roster.members.len().min(roster.count as usize) {
        0 => {}
        more => out += &format!("  and {more} more\n"),
    }
    out
}

fn json(room: &str, roster: &Roster) -> String {
    let members: Vec<_> = roster
        .members
        .iter()
        .map(
            |member| serde_json::json!({"name": member.name, "door": member.door, "id": member.id}),
        )
        .collect();
    let object = serde_json::json!({"room": room, "count": roster.count, "members": members});
    format!("{object}\n")
}
