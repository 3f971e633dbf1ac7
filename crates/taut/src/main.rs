//! The program `taut`: a server, and a command-line client.
//!
//! It composes and holds no logic of rooms or protocols: settings become a server's `Config`, arguments become a client's requests.

mod admin;
mod admin_args;
mod check;
mod cli;
mod connection;
mod doors;
mod failure;
mod history;
mod load;
mod log;
mod metrics;
mod printing;
mod publish;
mod reload;
mod secrecy;
mod serve;
mod settings;
mod state;
mod storage;
mod subscribe;
mod terminal;
mod token;
mod verify;
mod who;

use std::io::Write as _;
use std::process::ExitCode;

use clap::ArgMatches;

use cli::{
    CompletionsArgs, DeleteArgs, GetArgs, HistoryArgs, PublishArgs, SetArgs, StateArgs,
    SubscribeArgs, VerifyArgs, WhoArgs,
};
use failure::Failure;
use taut_bench::BenchArgs;
use taut_console::connect::{self, ConnectArgs};
use taut_console::listen::{self, ListenArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                // Where stderr is closed, the code has to do.
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            failure.into()
        }
    }
}

fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        None => serve::run(None),
        Some(("serve", matches)) => serve::run(Some(matches)),
        Some(("check", matches)) => check::run(matches),
        Some(("token", matches)) => token::run(matches),
        Some(("admin", matches)) => admin::run(matches),
        Some(("pub", matches)) => publish::run(&read::<PublishArgs>(matches)?),
        Some(("sub", matches)) => subscribe::run(&read::<SubscribeArgs>(matches)?),
        Some(("who", matches)) => who::run(&read::<WhoArgs>(matches)?),
        Some(("history", matches)) => history::run(&read::<HistoryArgs>(matches)?),
        Some(("state", matches)) => state::run(&read::<StateArgs>(matches)?),
        Some(("get", matches)) => state::get(&read::<GetArgs>(matches)?),
        Some(("set", matches)) => state::set(&read::<SetArgs>(matches)?),
        Some(("delete", matches)) => state::delete(&read::<DeleteArgs>(matches)?),
        Some(("verify", matches)) => verify::run(&read::<VerifyArgs>(matches)?),
        Some(("connect", matches)) => {
            let args = read::<ConnectArgs>(matches)?;
            connection::run(async { Ok(connect::run(args).await?) })
        }
        Some(("listen", matches)) => {
            let args = read::<ListenArgs>(matches)?;
            connection::run(async { Ok(listen::run(args).await?) })
        }
        Some(("bench", matches)) => Ok(taut_bench::run(&read::<BenchArgs>(matches)?)?),
        Some(("completions", matches)) => completions(&read::<CompletionsArgs>(matches)?),
        Some((name, _)) => Err(Failure::usage(format!("there is no command `{name}`"))),
    }
}

fn read<T: clap::FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(Failure::usage)
}

fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "taut", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}
