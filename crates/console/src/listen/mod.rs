//! `taut listen`: a server of one socket kind, for trying, teaching and scripting.
//!
//! ```text
//!  Door (tcp, unix) ─ accept ─▶ stream | websocket | web ─┐ what arrives ─▶ Report ─▶ Screen
//!  Door (udp) ─────────────────▶ datagram                 │ what is said to all
//!  Keyboard ─▶ Clients::say ◀─────────────────────────────┘        └▶ a queue for each client ─▶ its socket
//! ```
//!
//! Invariants that a reader could break:
//!
//! - stdout carries what clients said, and nothing else; `listening on URL` is on stderr as soon as it is true.
//! - Whatever a client does, the others are served: each has a task, a bounded queue and bounded memory of its own.
//! - However the command ends, a Unix socket's file and every process go with it.
//! - Nobody from elsewhere gets in unless the command line names an address that they can reach.
//!
//! Absent on purpose: TLS, users, rooms and history. That is `taut serve`.

mod address;
mod args;
mod bind;
mod bridge;
mod carry;
mod clients;
mod cutter;
mod datagram;
mod doors;
mod holder;
mod house;
mod opening;
mod plan;
mod process;
mod report;
mod stream;
mod unix;
mod web;
mod websocket;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use taut_files::{Files, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::keyboard::{Keyboard, Typed, Unit};
use crate::screen::Screen;
use crate::{Code, Ended};

use address::Address;
pub use args::{AFTER_HELP, ListenArgs};
use house::House;
use plan::{Mode, Plan};
use report::Report;

/// How long clients have for the server's goodbye.
const FAREWELL_TIME_MAX: Duration = Duration::from_millis(500);

/// Runs the command until it is done or interrupted.
///
/// # Errors
/// An [`Ended`] with the exit code and the text for stderr.
pub async fn run(args: ListenArgs) -> Result<(), Ended> {
    let (plan, bound) = open(&args).await?;
    let opened = if plan.takes_typing() {
        Keyboard::open(Unit::Lines, "> ")
    } else {
        Screen::plain().map(|screen| (Keyboard::none(), screen))
    };
    let (keyboard, screen) = opened.map_err(|error| Ended::new(Code::Failure, error))?;
    serve(plan, bound, keyboard, screen).await
}

/// The same with another keyboard and another screen.
///
/// # Errors
/// As [`run`].
pub async fn run_on(args: ListenArgs, keyboard: Keyboard, screen: Screen) -> Result<(), Ended> {
    let (plan, bound) = open(&args).await?;
    serve(plan, bound, keyboard, screen).await
}

async fn open(args: &ListenArgs) -> Result<(Plan, Vec<bind::Bound>), Ended> {
    let address = Address::parse(&args.url)?;
    let plan = Plan::new(args, address.kind())?;
    let bound = bind::bind(&address).await?;
    Ok((plan, bound))
}

async fn serve(
    plan: Plan,
    bound: Vec<bind::Bound>,
    mut keyboard: Keyboard,
    screen: Screen,
) -> Result<(), Ended> {
    let folder = open_files(&plan.mode)?;
    let report = Report::new(&plan, screen.clone());
    let house = Arc::new(House::new(plan, report, folder));
    let _kill_all = house.processes.kill_all();
    // Before anybody is told that we listen: a script may end us as soon as it knows.
    let terminated = terminated();
    // Here and not with the doors: when Ctrl-C drops this, tasks may not get to it before the program is gone.
    let mut files = Vec::new();
    let mut doors = JoinSet::new();
    for bound in bound {
        files.extend(bound.file);
        // The socket listens already, so this is true.
        screen.note(format!("listening on {}", bound.url)).await?;
        doors.spawn(doors::serve(house.clone(), bound.socket));
    }
    let ended = tokio::select! {
        ended = typing(&house, &mut keyboard) => ended,
        () = house.finished() => Ok(()),
        gone = screen.gone() => Err(gone.into()),
        () = terminated => Ok(()),
    };
    house.clients.farewell();
    house.end();
    let farewell = async {
        while house.clients.present() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = tokio::time::timeout(FAREWELL_TIME_MAX, farewell).await;
    doors.shutdown().await;
    // Whoever ended because stdout takes no more knows it.
    let _ = screen.flush().await;
    ended
}

fn open_files(mode: &Mode) -> Result<Option<Arc<Files>>, Ended> {
    let Mode::Files { root, listing } = mode else {
        return Ok(None);
    };
    let settings = Settings {
        listing: *listing,
        ..Settings::default()
    };
    match Files::open(root, settings) {
        Ok(files) => Ok(Some(Arc::new(files))),
        Err(error) => Err(Ended::new(Code::Usage, error)
            .hint("name a folder, for example: taut listen --files . http://localhost:8080")),
    }
}

/// Says what is typed to all, until a person ends it.
async fn typing(house: &House, keyboard: &mut Keyboard) -> Result<(), Ended> {
    loop {
        // A pipe waits until there is somebody to hear it; a person is told.
        if !keyboard.is_edited() {
            house.clients.somebody().await;
        }
        match keyboard.next().await {
            Typed::Data(line) => {
                if house.clients.is_heard() {
                    house.clients.say(None, &line).await;
                } else {
                    house.report.note("* nobody is here: not sent").await;
                }
            }
            Typed::End if keyboard.is_edited() => return Ok(()),
            Typed::End => return pending().await,
            Typed::Interrupted => return Err(Ended::new(Code::Interrupted, "")),
            Typed::Failed(text) => return Err(Ended::new(Code::Failure, text)),
        }
    }
}

/// Waits until somebody asks the process to end; from now on, whenever the future is polled first.
fn terminated() -> impl Future<Output = ()> {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    );
    async move {
        let (Ok(mut terminate), Ok(mut hang_up)) = signals else {
            return pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}
