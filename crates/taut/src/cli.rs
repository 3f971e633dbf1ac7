//! The command line: what can be said, and help that teaches by example.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, ValueEnum};
use clap_complete::Shell;
use taut_bench::BenchArgs;
use taut_console::connect::{self, ConnectArgs};
use taut_console::listen::{self, ListenArgs};
use taut_wire::native::{Rewind, decode_duration};

use crate::admin_args;
use crate::settings::flags;

const ABOUT: &str = "One server, every socket: browsers, curl, nc and programs in the same rooms";

const AFTER: &str = "\
Examples:
  taut                          serve on port 8080, and print how to connect
  taut serve --listen :9000     another port
  taut sub lobby                print what is said in the room lobby
  taut pub lobby 'hello'        say it
  tail -f log | taut pub logs   a message per line
  taut who lobby                list who is there
  taut history lobby            what was said there
  taut set prices eur 1.08      keep a value in a room; get, delete, state
  taut connect -v ws://HOST/    open any socket, and see what happens
  taut listen --echo tcp://:7   be an echo server
  taut bench fanout             what a delivery costs here

Exit codes:
  0    it worked
  1    it failed
  2    the command line or the configuration is wrong
  3    no connection to the server, or it was lost
  4    the server refused
  5    the peer broke its protocol or speaks another one
  6    no answer in time
  7    the peer's certificate is not to be trusted, or TLS failed
  8    the peer ended in the middle of a frame or a response
  9    the peer sent more than the limit
  130  Ctrl-C

`taut COMMAND --help` has more examples.";

const SERVE_AFTER: &str = "\
Examples:
  taut serve                                port 8080 of this machine
  taut serve --listen :9000                 another port
  taut serve --listen 0.0.0.0:8080 --open   whoever can reach this machine
  taut serve --listen :8080 --listen text://:7000
  taut serve --config taut.toml             settings from a file
  TAUT_LIMITS_MESSAGE_BYTES_MAX=1MiB taut serve

Every setting is a flag, an environment variable and a key of the file.
Flags win over environment variables, and those over the file, which is
--config, else TAUT_CONFIG, else ./taut.toml if it exists. `taut check`
prints every setting in force and where it comes from. `--help` has more
flags than `-h`.

A file:
  listen = [\"0.0.0.0:8080\"]
  open = true

  [limits]
  message_bytes_max = \"1MiB\"

  [[rooms]]
  match = \"prices/**\"
  lag = \"conflate\"
  history.age_ms_max = \"1h\"";

const CHECK_AFTER: &str = "\
Examples:
  taut check                         what `taut serve` would do
  taut check --config other.toml     with another file
  taut check > template.toml         what it prints is a configuration file
  taut check --token TOKEN lobby     what a token may do there, and why

Takes the flags of `taut serve`. Exits with 2 when something is wrong, and
says all of it.";

const PUB_AFTER: &str = "\
Examples:
  taut pub lobby 'hello' 'and another'    each DATA is a message
  tail -f log | taut pub logs             each line of stdin is a message
  taut pub prices/eur --json '{\"bid\":1.08}' --key eur
  taut pub games/42 --event move e2e4
  taut pub jobs 'build' --id build-17     happens once, if sent again too

Waits until the server has taken every message. Exits with 4 if it refused
one.";

const SUB_AFTER: &str = "\
Examples:
  taut sub lobby                      from now on, as `from: text`
  taut sub lobby --rewind 10          the last 10 messages first
  taut sub lobby --rewind 10m         those of the last 10 minutes first
  taut sub prices/eur prices/usd      several rooms, each line with its room
  taut sub lobby --json | jq .data    an object a line
  taut sub lobby --count 1            wait for one message

Comes back by itself when the connection breaks, and goes on where it left
off. What could not be recovered is told on stderr.";

const HISTORY_AFTER: &str = "\
Examples:
  taut history lobby                       everything that the room holds
  taut history lobby --limit 20            the last 20 messages
  taut history lobby --rewind 10m          those of the last 10 minutes
  taut history lobby --since k3f9a2-17     what was said after that one
  taut history lobby --reverse --limit 5   newest first
  taut history lobby --json | jq .data     an object a line

POSITION is the `at` of a message. Asks on until everything is there. What is
not kept any more is told on stderr.";

const STATE_AFTER: &str = "\
Examples:
  taut state prices
  taut state prices --json | jq -r '\"\\(.key) \\(.at)\"'";

const GET_AFTER: &str = "\
Examples:
  taut get prices eur             the value
  taut get prices eur --json      with its position, which is its version

Exits with 1 where nothing is set.";

const SET_AFTER: &str = "\
Examples:
  taut set prices eur 1.08
  taut set sensors inside 21.5 --ttl 60s       gone after a minute
  taut set jobs leader me --absent             only where nobody else is
  taut set prices eur 1.09 --expect k3f9a2-17  only where that is the newest

Prints the position of the change, which is the key's version. Exits with 4
where the key is not as expected.";

const DELETE_AFTER: &str = "\
Examples:
  taut delete prices eur
  taut delete prices eur --expect k3f9a2-17

Exits with 4 where the key is not set, or not as expected.";

const TOKEN_AFTER: &str = "\
Examples:
  taut token mint --user ana --grant 'lobby=join publish'
  taut token mint --user ana --role editor --life 10m
  taut token mint --key private.pem --alg ES256 --user ana
  taut token explain TOKEN       what it says, and whether it is accepted
  taut token key                 a key for the server API, and its hash
  taut check --token TOKEN docs  what it may do in the room docs

Tokens are signed with the secret of [auth] (TAUT_AUTH_SECRET), or with --key.
TOKEN may be -, for stdin.";

const VERIFY_AFTER: &str = "\
Examples:
  taut verify ~/.local/state/taut/127.0.0.1_8080

Looks at every row and changes none; a server may run on it. Exits with 1 where something is damaged.";

const WHO_AFTER: &str = "\
Examples:
  taut who lobby
  taut who lobby --json | jq .count";

/// Where the server is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// The server: http:// https:// ws:// wss:// tcp:// tls:// or unix:
    #[arg(
        long,
        value_name = "URL",
        env = "TAUT_URL",
        hide_env_values = true,
        default_value = "http://localhost:8080"
    )]
    pub(crate) url: String,
    /// Show this token; a server that asks nobody takes any
    #[arg(long, value_name = "TOKEN", env = "TAUT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// From this file instead, which keeps it out of the list of processes
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust this authority too, or a server's own certificate; PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS and proxy")]
    pub(crate) ca: Vec<PathBuf>,
    /// Show this certificate to a server that asks who we are; PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS and proxy")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, where that is not in the same file
    #[arg(
        long,
        value_name = "FILE",
        requires = "cert",
        help_heading = "TLS and proxy"
    )]
    pub(crate) cert_key: Option<PathBuf>,
    /// Ask for this name, and demand a certificate for it, instead of the URL's host
    #[arg(long, value_name = "NAME", help_heading = "TLS and proxy")]
    pub(crate) server_name: Option<String>,
    /// Trust any certificate
    #[arg(long, help_heading = "TLS and proxy")]
    pub(crate) insecure: bool,
    /// Go through http://[USER:PASSWORD@]HOST:PORT, socks5://… or socks5h://…
    #[arg(long, value_name = "URL", help_heading = "TLS and proxy")]
    pub(crate) proxy: Option<String>,
}

/// `taut pub`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArgs {
    /// The room, for example lobby or games/42
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// A message each; without any, each line of stdin is one
    #[arg(value_name = "DATA")]
    pub(crate) data: Vec<String>,
    /// What kind of message it is, instead of `message`
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<String>,
    /// The key whose latest value this is
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Makes the publish happen once, however often it is sent; for one DATA
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// `latest`: kept nowhere, and only the newest per key matters
    #[arg(long, value_name = "LANE", default_value = "reliable")]
    pub(crate) lane: Lane,
    /// DATA are JSON values
    #[arg(long)]
    pub(crate) json: bool,
    /// The display name
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    Reliable,
    Latest,
}

/// `taut sub`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SubscribeArgs {
    /// The rooms
    #[arg(value_name = "ROOM", required = true)]
    pub(crate) rooms: Vec<String>,
    /// First what was said after this position (the `at` of a message); for one ROOM
    #[arg(long, value_name = "POSITION", conflicts_with = "rewind")]
    pub(crate) since: Option<String>,
    /// First the last N messages, or those of the last 10m
    #[arg(long, value_name = "N|TIME", value_parser = rewind)]
    pub(crate) rewind: Option<Rewind>,
    /// Stop after N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// An object a line, as the native protocol has it
    #[arg(long)]
    pub(crate) json: bool,
    /// The display name
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `taut who`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WhoArgs {
    /// The room
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// One object, with its count and its members
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `taut verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// The folder that rooms are kept in, as `taut serve` says it
    #[arg(value_name = "FOLDER")]
    pub(crate) data: PathBuf,
}

/// `taut token mint`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MintArgs {
    /// The user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// What it may do, for example 'users/$user/**=join publish history'
    #[arg(long = "grant", value_name = "PATTERN=RIGHTS")]
    pub(crate) grants: Vec<String>,
    /// A role of the configuration
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    /// The display name
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// For how long: 30s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1h")]
    pub(crate) life: u64,
    /// An id to revoke it by
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Sign with this private key instead of the secret; PEM
    #[arg(long, value_name = "FILE", requires = "alg")]
    pub(crate) key: Option<String>,
    /// The algorithm of --key
    #[arg(long, value_name = "ALGORITHM", requires = "key")]
    pub(crate) alg: Option<String>,
    /// What the server calls the key
    #[arg(long, value_name = "KID")]
    pub(crate) kid: Option<String>,
}

/// `taut token explain`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// The token; - for stdin
    #[arg(value_name = "TOKEN")]
    pub(crate) token: String,
}

/// `taut history`.
#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryArgs {
    /// The room
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// What was said after this position
    #[arg(long, value_name = "POSITION", conflicts_with = "rewind")]
    pub(crate) since: Option<String>,
    /// What was said up to this position, it included
    #[arg(long, value_name = "POSITION")]
    pub(crate) until: Option<String>,
    /// The last N messages, or those of the last 10m
    #[arg(long, value_name = "N|TIME", value_parser = rewind)]
    pub(crate) rewind: Option<Rewind>,
    /// At most N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Newest first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// An object a line, as the native protocol has it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `taut state`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateArgs {
    /// The room
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// An object a line, as the native protocol has it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `taut get`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GetArgs {
    /// The room
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// One object, as the native protocol has it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `taut set`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetArgs {
    /// The room
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// What to set it to
    #[arg(value_name = "DATA")]
    pub(crate) data: String,
    /// DATA is a JSON value
    #[arg(long)]
    pub(crate) json: bool,
    /// For how long it stays set: 30s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Option<u64>,
    /// Only where the key was set last at this position
    #[arg(long, value_name = "POSITION", conflicts_with = "absent")]
    pub(crate) expect: Option<String>,
    /// Only where the key is not set
    #[arg(long)]
    pub(crate) absent: bool,
    /// The display name
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `taut delete`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeleteArgs {
    /// The room
    #[arg(value_name = "ROOM")]
    pub(crate) room: String,
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// Only where the key was set last at this position
    #[arg(long, value_name = "POSITION")]
    pub(crate) expect: Option<String>,
    /// The display name
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How far back a reader begins.
fn rewind(text: &str) -> Result<Rewind, String> {
    if let Some(ms) = decode_duration(text) {
        return Ok(Rewind::Ms(ms));
    }
    let wrong = |_| "write a number of messages, or a time such as 90s, 10m or 2h".to_owned();
    text.parse().map(Rewind::Count).map_err(wrong)
}

/// A length of time, in milliseconds.
fn duration(text: &str) -> Result<u64, String> {
    decode_duration(text).ok_or_else(|| "write for example 30s, 10m or 2h".to_owned())
}

/// `taut completions`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("taut")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .subcommand(settings_command("serve", "Serve rooms (what `taut` alone does)", SERVE_AFTER))
        .subcommand(
            PublishArgs::augment_args(Command::new("pub"))
                .about("Publish messages to a room")
                .after_help(PUB_AFTER),
        )
        .subcommand(
            SubscribeArgs::augment_args(Command::new("sub"))
                .about("Print what is said in rooms")
                .after_help(SUB_AFTER),
        )
        .subcommand(
            WhoArgs::augment_args(Command::new("who"))
                .about("List who is in a room")
                .after_help(WHO_AFTER),
        )
        .subcommand(
            HistoryArgs::augment_args(Command::new("history"))
                .about("Print what was said in a room")
                .after_help(HISTORY_AFTER),
        )
        .subcommand(
            StateArgs::augment_args(Command::new("state"))
                .about("Print what is set in a room")
                .after_help(STATE_AFTER),
        )
        .subcommand(
            GetArgs::augment_args(Command::new("get"))
                .about("Print what is set under one key of a room")
                .after_help(GET_AFTER),
        )
        .subcommand(
            SetArgs::augment_args(Command::new("set"))
                .about("Set a key of a room")
                .after_help(SET_AFTER),
        )
        .subcommand(
            DeleteArgs::augment_args(Command::new("delete"))
                .about("Delete a key of a room")
                .after_help(DELETE_AFTER),
        )
        .subcommand(
            VerifyArgs::augment_args(Command::new("verify"))
                .about("Check that everything kept in a folder is sound")
                .after_help(VERIFY_AFTER),
        )
        .subcommand(
            ConnectArgs::augment_args(Command::new("connect"))
                .about("Open any socket, and tell what happens")
                .after_help(connect::AFTER_HELP),
        )
        .subcommand(
            ListenArgs::augment_args(Command::new("listen"))
                .about("Be a server of one kind of socket, to try, teach and script with")
                .after_help(listen::AFTER_HELP),
        )
        .subcommand(
            BenchArgs::augment_args(Command::new("bench"))
                .about("Measure a server, and verify every delivery")
                .after_help(taut_bench::AFTER_HELP),
        )
        .subcommand(admin_args::command())
        .subcommand(check_command())
        .subcommand(
            Command::new("token")
                .about("Make and explain tokens")
                .after_help(TOKEN_AFTER)
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    MintArgs::augment_args(Command::new("mint").arg(config_argument()))
                        .about("Make a token"),
                )
                .subcommand(
                    ExplainArgs::augment_args(Command::new("explain").arg(config_argument()))
                        .about("Say what a token says, and whether it is accepted"),
                )
                .subcommand(Command::new("key").about("Make a key for the server API")),
        )
        .subcommand(
            CompletionsArgs::augment_args(Command::new("completions"))
                .about("Print a completion script for a shell")
                .after_help("Example:\n  taut completions bash > ~/.local/share/bash-completion/completions/taut"),
        )
}

fn check_command() -> Command {
    let token = Arg::new("token")
        .long("token")
        .value_name("TOKEN")
        .requires("room")
        .help("Say what this token may do in ROOM instead; - for stdin, '' for nobody");
    let room = Arg::new("room")
        .value_name("ROOM")
        .requires("token")
        .help("The room for --token");
    let about = "Check the configuration and print every setting in force";
    settings_command("check", about, CHECK_AFTER)
        .arg(token)
        .arg(room)
}

fn config_argument() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("The configuration file [default: ./taut.toml if it exists] [env: TAUT_CONFIG]")
}

fn settings_command(name: &'static str, about: &'static str, after: &'static str) -> Command {
    flags::add(
        Command::new(name)
            .about(about)
            .after_help(after)
            .arg(config_argument()),
    )
}

/// The file that the command line names.
pub(crate) fn config_path(matches: &ArgMatches) -> Option<String> {
    matches.try_get_one::<String>("config").ok()?.cloned()
}
