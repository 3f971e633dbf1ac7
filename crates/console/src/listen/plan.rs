//! What a server is to do, from what the command line says.

use std::path::PathBuf;

use super::address::Kind;
use super::args::ListenArgs;
use crate::show::Rendering;
use crate::{Code, Ended};

/// What a server is to do.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) mode: Mode,
    /// What is said first.
    pub(super) greeting: Option<String>,
    pub(super) shows: Shows,
    pub(super) rendering: Rendering,
    /// Whether who comes and goes is told.
    pub(super) tells_comings: bool,
    pub(super) verbose: bool,
    pub(super) once: bool,
    pub(super) clients_max: usize,
    pub(super) bytes_max: usize,
}

/// What is done with a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// What arrives is printed, what is typed goes to all.
    Converse,
    /// What arrives goes back, behind the prefix.
    Echo { prefix: Vec<u8> },
    /// It is said to, and that is all.
    Greet,
    /// It is listened to.
    Print,
    /// Clients hear each other.
    Chat,
    /// A shell's command talks to it.
    Exec { command: String },
    /// It gets files.
    Files { root: PathBuf, listing: bool },
}

/// How what arrives is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Nothing,
    /// `[1] text`, line by line.
    Prefixed,
    /// As it is.
    Bare,
    /// An object for each thing that happens.
    Json,
}

impl Plan {
    /// Takes the arguments apart.
    ///
    /// # Errors
    /// A combination that this kind of socket does not have.
    pub(super) fn new(args: &ListenArgs, kind: Kind) -> Result<Self, Ended> {
        let mode = mode(args);
        if matches!(mode, Mode::Files { .. }) && kind != Kind::Http {
            return Err(Ended::new(
                Code::Usage,
                format!("--files is for http://, not for {}", kind.prefix()),
            )
            .hint("for example: taut listen --files . http://localhost:8080"));
        }
        if kind == Kind::Http && matches!(mode, Mode::Exec { .. }) && args.greet.is_some() {
            return Err(Ended::new(
                Code::Usage,
                "over http:// a GET is answered by --greet or by --exec, not by both",
            ));
        }
        let shows = if args.json {
            Shows::Json
        } else if args.print {
            Shows::Bare
        } else if mode == Mode::Converse {
            Shows::Prefixed
        } else if args.hex || args.base64 {
            Shows::Bare
        } else {
            Shows::Nothing
        };
        Ok(Self {
            kind,
            shows,
            rendering: rendering(args),
            tells_comings: args.verbose || mode == Mode::Converse,
            mode,
            greeting: args.greet.clone(),
            verbose: args.verbose,
            once: args.once,
            clients_max: args.max_clients as usize,
            bytes_max: args.max_bytes,
        })
    }

    /// Whether what is typed goes anywhere.
    pub(super) fn takes_typing(&self) -> bool {
        self.mode == Mode::Converse
    }
}

fn mode(args: &ListenArgs) -> Mode {
    if args.echo {
        let prefix = args.prefix.clone().unwrap_or_default().into_bytes();
        Mode::Echo { prefix }
    } else if args.chat {
        Mode::Chat
    } else if let Some(command) = args.exec.clone() {
        Mode::Exec { command }
    } else if let Some(root) = args.files.clone() {
        Mode::Files {
            root,
            listing: args.listing,
        }
    } else if args.print {
        Mode::Print
    } else if args.greet.is_some() {
        Mode::Greet
    } else {
        Mode::Converse
    }
}

fn rendering(args: &ListenArgs) -> Rendering {
    if args.hex {
        Rendering::Hex
    } else if args.base64 {
        Rendering::Base64
    } else {
        Rendering::of_stdout()
    }
}
