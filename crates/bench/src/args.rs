//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::dialect::{Door, Template};
use crate::subject::Floor;

/// What `taut bench --help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  taut bench fanout                         to 1,000 WebSockets, 16 and 1 in flight,
                                            beside a bare program that writes the same
  taut bench fanout --door socketio --members 10000 --rate 50
  taut bench echo --members 1000
  taut bench idle --members 10000           resident bytes of each Conn
  taut bench fanout --url ws://HOST:8080 --server-pid 4711
  taut bench fanout --against 'ws=node benches/peers/ws.mjs {port}'
  taut bench floor                          what this machine can do at all
  taut bench fanout --json > fanout.json    to keep, and to show later with
  taut bench report fanout.json --svg fanout.svg

Without --url, `taut serve` of this program is started anew for each round, on
one core, with rooms in memory. The generator is one thread that spins on
another core. Every member's messages are verified: the exit code is 1 where
one was lost, came twice, out of order or changed.

CPU time is that of the server's process, from one moment of rest to the next,
divided by the deliveries; wall-clock time plays no part in it.";

/// `taut bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Action {
    #[command(flatten)]
    Measure(Box<Scenario>),
    /// Show what was measured before
    Report(ReportArgs),
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
    /// One publisher, and members who all get everything
    Fanout(FanoutArgs),
    /// Everybody gets back what they said
    Echo(EchoArgs),
    /// Many small rooms, with a publisher in each
    Rooms(RoomsArgs),
    /// Nothing is said: the memory of each Conn
    Idle(IdleArgs),
    /// Clients come and go
    Churn(ChurnArgs),
    /// A bare program in the server's place: the limit on this machine
    Floor(FloorArgs),
}

impl Scenario {
    /// How often, and what is told.
    pub(crate) fn run(&self) -> &RunArgs {
        match self {
            Self::Fanout(args) => &args.run,
            Self::Echo(args) => &args.run,
            Self::Rooms(args) => &args.run,
            Self::Idle(args) => &args.run,
            Self::Churn(args) => &args.run,
            Self::Floor(args) => &args.run,
        }
    }
}

/// What was kept, and what becomes of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArgs {
    /// What `taut bench … --json` printed
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Write a page with plots as well
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the plots as one image
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// Whom to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct SubjectArgs {
    /// A server that runs already: ws://HOST:PORT, http://… or tcp://…
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Its process, on this machine, for its CPU time and memory
    #[arg(long, value_name = "PID", requires = "url")]
    pub(crate) server_pid: Option<u32>,
    /// Start this server for each round; {port} stands for where it is to listen, {dir} for an empty folder
    #[arg(long, value_name = "COMMAND", conflicts_with = "url")]
    pub(crate) start: Option<String>,
    /// Measure this one as well, in turn; may be given again
    #[arg(long, value_name = "NAME[@DOOR]=COMMAND")]
    pub(crate) against: Vec<String>,
    /// Leave out the bare program
    #[arg(long)]
    pub(crate) no_floor: bool,
    /// The door to come in by
    #[arg(long, value_name = "DOOR", value_enum, default_value = "ws")]
    pub(crate) door: Door,
    /// The room; a new name for each run where it is not given. With Socket.IO, `/` is the main namespace
    #[arg(long, value_name = "ROOM")]
    pub(crate) room: Option<String>,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Cores of a started server and of the generator; `none` leaves it to the system
    #[arg(long, value_name = "SERVER,GENERATOR", default_value = "1,0")]
    pub(crate) pin: String,
}

/// How a foreign server is spoken to; {room}, {event} and {payload} are filled in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Foreign servers")]
pub(crate) struct TemplateArgs {
    /// The request target, instead of the door's own
    #[arg(long, value_name = "TARGET")]
    path: Option<String>,
    /// Send this once connected; may be given again
    #[arg(long, value_name = "UNIT")]
    greeting: Vec<String>,
    /// Then wait for a unit that holds this
    #[arg(long, value_name = "TEXT")]
    welcome: Option<String>,
    /// What a message is published as, such as '{"say":"{payload}"}'
    #[arg(long, value_name = "UNIT")]
    publish: Option<String>,
    /// What it must arrive as; {any} stands for anything
    #[arg(long, value_name = "UNIT")]
    expect: Option<String>,
    /// The Socket.IO event [default: chat]
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
}

impl TemplateArgs {
    pub(crate) fn template(&self) -> Template {
        Template {
            path: self.path.clone(),
            greeting: self.greeting.clone(),
            welcome: self.welcome.clone(),
            publish: self.publish.clone(),
            expect: self.expect.clone(),
            event: self.event.clone(),
        }
    }
}

/// How long, and what is told of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Rounds of each, in turn; the table has their median, least and greatest
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// One object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a report with plots as well
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// What is published.
#[derive(Debug, Clone, Args)]
pub(crate) struct MessageArgs {
    /// Bytes of a message
    #[arg(long, value_name = "N", default_value = "128")]
    pub(crate) bytes: usize,
    /// Seconds of publishing in each round
    #[arg(long, value_name = "S", default_value = "2")]
    pub(crate) seconds: f64,
    /// Seconds of publishing before it, which do not count
    #[arg(long, value_name = "S", default_value = "0.3")]
    pub(crate) warm_up: f64,
    /// Seconds without any delivery after which messages count as lost
    #[arg(long, value_name = "S", default_value = "5")]
    pub(crate) patience: f64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FanoutArgs {
    /// Members; several numbers make several measurements
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1000"
    )]
    pub(crate) members: Vec<usize>,
    /// Messages in flight: the next is published when the oldest has reached everybody
    #[arg(
        long,
        value_name = "W,…",
        value_delimiter = ',',
        default_value = "16,1"
    )]
    pub(crate) window: Vec<usize>,
    /// Messages a second instead, whatever the server does; latency counts from when one was due
    #[arg(
        long,
        value_name = "R,…",
        value_delimiter = ',',
        conflicts_with = "window"
    )]
    pub(crate) rate: Vec<f64>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct EchoArgs {
    /// Clients, each in a room of its own
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1000"
    )]
    pub(crate) members: Vec<usize>,
    /// Messages of each client in flight
    #[arg(long, value_name = "W,…", value_delimiter = ',', default_value = "1")]
    pub(crate) window: Vec<usize>,
    /// Messages a second instead, of all clients together
    #[arg(
        long,
        value_name = "R,…",
        value_delimiter = ',',
        conflicts_with = "window"
    )]
    pub(crate) rate: Vec<f64>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RoomsArgs {
    /// Clients in all
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "10000"
    )]
    pub(crate) members: Vec<usize>,
    /// Clients in a room, of which one publishes
    #[arg(long, value_name = "K", default_value = "10", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) of: u32,
    /// Messages in flight in each room
    #[arg(long, value_name = "W,…", value_delimiter = ',', default_value = "1")]
    pub(crate) window: Vec<usize>,
    /// Messages a second instead, of all rooms together
    #[arg(
        long,
        value_name = "R,…",
        value_delimiter = ',',
        conflicts_with = "window"
    )]
    pub(crate) rate: Vec<f64>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    /// Clients, all in one room
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "10000"
    )]
    pub(crate) members: Vec<usize>,
    /// Seconds of rest before memory is looked at
    #[arg(long, value_name = "S", default_value = "2")]
    pub(crate) seconds: f64,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ChurnArgs {
    /// Clients that are there at once; each is replaced when it has been let in
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "64")]
    pub(crate) members: Vec<usize>,
    /// Seconds of coming and going in each round
    #[arg(long, value_name = "S", default_value = "2")]
    pub(crate) seconds: f64,
    /// Seconds of it before, which do not count
    #[arg(long, value_name = "S", default_value = "1")]
    pub(crate) warm_up: f64,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FloorArgs {
    /// What the bare program does; all of it, one after the other, where none is named
    #[arg(value_name = "WHAT", value_enum)]
    pub(crate) what: Option<Floor>,
    /// Be that program: listen on this port of 127.0.0.1 for so many --members
    #[arg(long, value_name = "PORT", hide = true, requires = "what")]
    pub(crate) serve: Option<u16>,
    /// Sockets
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1000"
    )]
    pub(crate) members: Vec<usize>,
    /// Messages in flight
    #[arg(
        long,
        value_name = "W,…",
        value_delimiter = ',',
        default_value = "16,1"
    )]
    pub(crate) window: Vec<usize>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    /// Cores of the bare program and of the generator; `none` leaves it to the system
    #[arg(long, value_name = "PROGRAM,GENERATOR", default_value = "1,0")]
    pub(crate) pin: String,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}
