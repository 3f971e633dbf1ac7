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
        let more = match member.conns_count {
            0 | 1 => String::new(),
            several => format!(", {several} connections"),
        };
        out += &format!(
            "  {} ({}{more})\n",
            shown(&member.name),
            shown(&member.door)
        );
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
        .map(|member| {
            let mut object =
                serde_json::json!({"name": member.name, "door": member.door, "id": member.id});
            if !member.conns.is_empty() {
                let conns = member.conns.iter();
                object["conns"] = conns
                    .map(|(door, id)| serde_json::json!({"door": door, "id": id}))
                    .collect();
            }
            if member.conns_count as usize > member.conns.len().max(1) {
                object["conns_count"] = member.conns_count.into();
            }
            if let Some(data) = &member.data {
                object["data"] = serde_json::from_str(data).unwrap_or_default();
            }
            object
        })
        .collect();
    let object = serde_json::json!({"room": room, "count": roster.count, "conns": roster.conns, "members": members});
    format!("{object}\n")
}
