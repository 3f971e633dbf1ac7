//! The words of `taut admin`, and which request each of them is.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command};

use crate::cli::ServerArgs;
use crate::failure::Failure;

const AFTER: &str = "\
Examples:
  taut admin rooms 'games/**'               rooms with their counts
  taut admin conns --room lobby --json      who is connected, as JSON
  taut admin publish lobby 'back at 5'      say something, as `server`
  taut admin disconnect --user ana          all connections of a user
  taut admin leave lobby --conn c0-12-34    out of a room
  taut admin grant docs/1 --conn c0-12-34   what it may do there, and why

The key is read from TAUT_API_KEY or --key-file. `taut token key` makes one.";

/// What every word takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdminArgs {
    /// The file with the key of the API, instead of TAUT_API_KEY
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The answer as it came
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) content_type: &'static str,
    pub(crate) token: Option<String>,
    /// Page after page.
    pub(crate) all: bool,
}

impl Asked {
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.query.retain(|(known, _)| *known != name);
        self.query.push((name, value.to_owned()));
    }
}

/// A word: its name, its help, its request, and the options that are parameters by the same name.
struct Word {
    name: &'static str,
    about: &'static str,
    method: &'static str,
    path: &'static str,
    /// What stands behind it: the parameter, or `DATA` for the body.
    places: &'static [(&'static str, bool)],
    options: &'static [(&'static str, &'static str)],
}

const PAGE: [(&str, &str); 2] = [
    ("limit", "At most N entries"),
    ("cursor", "Go on from here"),
];
const CONN: (&str, &str) = ("conn", "This connection, for example c0-12-34");
const USER: (&str, &str) = ("user", "All connections of this user");
const ADDRESS: (&str, &str) = ("address", "From this IP address");
const IN_ROOM: (&str, &str) = ("room", "In this room");
const NAMESPACE: (&str, &str) = (
    "namespace",
    "Of a Socket.IO client, in which of its namespaces",
);
/// Not `token`, which is what a command shows of itself.
const FOR_TOKEN: &str = "for_token";
const TOKEN_ID: &str = "token_id";
const AS: (&str, &str) = ("as", "The display name instead of `server`");

const WORDS: &[Word] = &[
    Word {
        name: "rooms",
        about: "List rooms: those in memory, then those that only the disk has",
        method: "GET",
        path: "/api/rooms",
        places: &[("match", false)],
        options: &[PAGE[0], PAGE[1]],
    },
    Word {
        name: "conns",
        about: "List connections",
        method: "GET",
        path: "/api/conns",
        places: &[],
        options: &[
            IN_ROOM,
            USER,
            ("door", "By this door, for example websocket"),
            ADDRESS,
            CONN,
            PAGE[0],
            PAGE[1],
        ],
    },
    Word {
        name: "who",
        about: "List who is in a room",
        method: "GET",
        path: "/api/who",
        places: &[("room", true)],
        options: &[],
    },
    Word {
        name: "publish",
        about: "Publish a message",
        method: "POST",
        path: "/api/publish",
        places: &[("room", true), ("DATA", true)],
        options: &[
            AS,
            ("event", "What kind of message it is"),
            ("key", "The key that it sets"),
            ("ttl", "For how long the key stays set"),
        ],
    },
    Word {
        name: "history",
        about: "Read what was said in a room",
        method: "GET",
        path: "/api/history",
        places: &[("room", true)],
        options: &[
            ("since", "After this position"),
            ("until", "Up to this position"),
            ("rewind", "The last N messages, or those of 10m"),
            ("limit", "At most N messages"),
        ],
    },
    Word {
        name: "state",
        about: "Read what is set in a room",
        method: "GET",
        path: "/api/state",
        places: &[("room", true), ("key", false)],
        options: &[],
    },
    Word {
        name: "set",
        about: "Set a key of a room",
        method: "PUT",
        path: "/api/state",
        places: &[("room", true), ("key", true), ("DATA", true)],
        options: &[
            AS,
            ("ttl", "For how long it stays set"),
            ("expect", "Only where it was set last at this position"),
        ],
    },
    Word {
        name: "delete",
        about: "Delete a key of a room",
        method: "DELETE",
        path: "/api/state",
        places: &[("room", true), ("key", true)],
        options: &[
            AS,
            ("expect", "Only where it was set last at this position"),
        ],
    },
    Word {
        name: "disconnect",
        about: "End a connection, or all of a user, from an address, or in a room",
        method: "POST",
        path: "/api/disconnect",
        places: &[],
        options: &[CONN, USER, ADDRESS, IN_ROOM],
    },
    Word {
        name: "join",
        about: "Bring a connection, or all of a user, into a room",
        method: "POST",
        path: "/api/join",
        places: &[("room", true)],
        options: &[CONN, USER, NAMESPACE],
    },
    Word {
        name: "leave",
        about: "Take a connection, or all of a user, out of a room",
        method: "POST",
        path: "/api/leave",
        places: &[("room", true)],
        options: &[CONN, USER, NAMESPACE],
    },
    Word {
        name: "policy",
        about: "Show how a room behaves",
        method: "GET",
        path: "/api/policy",
        places: &[("room", true)],
        options: &[],
    },
    Word {
        name: "grant",
        about: "Show what somebody may do in a room, and because of which rule",
        method: "GET",
        path: "/api/grant",
        places: &[("room", true)],
        options: &[
            ("conn", "A connection; nobody's grant without"),
            (FOR_TOKEN, "A token; - for stdin"),
        ],
    },
    Word {
        name: "revoke",
        about: "Revoke tokens",
        method: "POST",
        path: "/api/revoke",
        places: &[],
        options: &[
            ("user", "All tokens of this user"),
            (TOKEN_ID, "The token with this id"),
            (
                "issued_before",
                "All issued before this second of Unix time",
            ),
        ],
    },
    Word {
        name: "reload",
        about: "Read the configuration again, as SIGHUP does, and say what changed",
        method: "POST",
        path: "/api/reload",
        places: &[],
        options: &[],
    },
];

/// Words that do nothing before it is said to whom, by one of these, or (`true`) by several.
const WHOM: &[(&str, &[&str], bool)] = &[
    ("disconnect", &["conn", "user", "address", "room"], true),
    ("join", &["conn", "user"], false),
    ("leave", &["conn", "user"], false),
    ("revoke", &["user", TOKEN_ID, "issued_before"], false),
];

/// The words as the command line has them.
pub(crate) fn command() -> Command {
    let mut command = Command::new("admin")
        .about("Ask a running server, and act on it, through its API")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true);
    for word in WORDS {
        command = command.subcommand(of_word(word));
    }
    command
}

fn of_word(word: &Word) -> Command {
    // What it is about comes last: the arguments' own doc comment would stand there.
    let mut command = AdminArgs::augment_args(Command::new(word.name)).about(word.about);
    for (name, required) in word.places {
        command = command.arg(
            Arg::new(*name)
                .value_name(name.to_uppercase())
                .help(match *name {
                    "match" => "A pattern: games/**; * is one segment, ** any number of them",
                    "room" => "The room",
                    "key" => "The key",
                    _ => "What is said",
                })
                .required(*required),
        );
    }
    for (name, help) in word.options {
        let long = name.replace('_', "-");
        command = command.arg(
            Arg::new(*name)
                .long(long)
                .value_name(name.to_uppercase())
                .help(*help),
        );
    }
    if let Some((_, by, several)) = WHOM.iter().find(|(name, ..)| *name == word.name) {
        let whom = ArgGroup::new("whom").args(*by).multiple(*several);
        command = command.group(whom.required(true));
    }
    if word.places.iter().any(|(name, _)| *name == "DATA") {
        let help = "DATA is a JSON value";
        command = command.arg(flag("value-json", help));
    }
    if word.options.iter().any(|(name, _)| *name == "cursor") {
        command = command.arg(flag("all", "Page after page until the end"));
    }
    command
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

/// The request of a word.
pub(crate) fn ask(name: &str, matches: &ArgMatches) -> Result<Asked, Failure> {
    let word = WORDS.iter().find(|word| word.name == name);
    let word = word.ok_or_else(|| Failure::usage(format!("there is no `taut admin {name}`")))?;
    let said = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let is_set = |name: &str| {
        let set = matches.try_get_one::<bool>(name).ok().flatten();
        set.copied().unwrap_or_default()
    };
    let mut asked = Asked {
        method: word.method,
        path: word.path,
        query: Vec::new(),
        body: said("DATA").map(String::into_bytes),
        content_type: match is_set("value-json") {
            true => "application/json",
            false => "text/plain; charset=utf-8",
        },
        token: None,
        all: is_set("all"),
    };
    let options = word.options.iter().map(|(name, _)| *name);
    let places = word.places.iter().map(|(name, _)| *name);
    for parameter in places.chain(options).filter(|name| *name != "DATA") {
        let Some(value) = said(parameter) else {
            continue;
        };
        match parameter {
            FOR_TOKEN => asked.token = Some(given(value)?),
            TOKEN_ID => asked.set("token", &value),
            parameter => asked.set(parameter, &value),
        }
    }
    Ok(asked)
}

/// A token, from stdin where it is `-`.
fn given(token: String) -> Result<String, Failure> {
    if token != "-" {
        return Ok(token);
    }
    let mut text = String::new();
    std::io::stdin().take(64 << 10).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
