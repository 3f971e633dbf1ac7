//! `taut serve`: a server from the settings in force.

use std::io::Write as _;
use std::thread;

use clap::ArgMatches;
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use taut_server::{Config, Reloader, Server, StartError, Stopper};

use crate::doors;
use crate::failure::{Code, Failure};
use crate::load::load;
use crate::log;
use crate::metrics;
use crate::reload::Reload;
use crate::secrecy;
use crate::storage;
use crate::terminal::Style;

/// Runs the command until a signal or a fault ends it. `None` stands for `taut` alone.
pub(crate) fn run(matches: Option<&ArgMatches>) -> Result<(), Failure> {
    let settings = load(matches)?;
    let level = log::start(&settings.values.log)?;
    for note in &settings.notes {
        tracing::warn!("{note}");
    }
    raise_open_files();
    let files = settings.values.config.files.is_some();
    let storage = storage::open(&settings.values)?;
    let mut tls = settings.values.config.tls.clone();
    let self_signed = match settings.values.tls.self_signed {
        true => {
            let made = secrecy::self_signed(&settings.values.config, storage.dir.as_deref())?;
            tls.certificates.push(made.clone());
            Some(made)
        }
        false => None,
    };
    let config = Config {
        seal_key: storage.seal_key,
        metrics: metrics::config(&settings.values.metrics)?,
        store_dir: storage.dir.clone(),
        revocations: storage.dir.as_ref().map(|dir| dir.join("revoked")),
        tls,
        ..settings.values.config.clone()
    };
    let hosts = config.hosts.clone();
    let asks = doors::asks(&config);
    // Whoever can connect may send a signal, too: unheard, SIGHUP would end the server.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| deaf(&error))?;
    let mut server = Server::bind_with(config, storage.store).map_err(|error| refused(&error))?;
    for note in secrecy::notes(&hosts, server.certificates()) {
        tracing::warn!("{note}");
    }
    let is_self_signed = self_signed.is_some();
    let reload = Reload {
        matches: matches.cloned(),
        values: settings.values,
        path: settings.path,
        rules: settings.rules,
        roles: settings.roles,
        hooks: settings.hooks,
        self_signed,
        reloader: server.reloader(),
        level,
    };
    heed(signals, server.stopper(), server.reloader())?;
    if let Some(requests) = server.reload_requests() {
        // A reload may wait for busy cores, and a stop must not wait for a reload.
        thread::Builder::new()
            .name("taut-reload".into())
            .spawn(move || reload.serve(&requests))
            .map_err(|error| {
                Failure::new(Code::Failure, format!("cannot start a thread: {error}"))
            })?;
    }
    if let Some(address) = server.metrics_address() {
        tracing::info!(%address, "/metrics is answered for");
    }
    // A server whose start lines nobody reads still serves.
    let style = Style::of_stdout();
    let mut lines = doors::lines(server.bound(), files, asks, &storage.line, style);
    lines += &secrecy::lines(
        server.bound(),
        server.certificates(),
        is_self_signed,
        storage.dir.as_deref(),
        style,
    );
    let _ = std::io::stdout().write_all(lines.as_bytes());
    server
        .run()
        .map_err(|fault| Failure::new(Code::Failure, fault))
}

fn refused(error: &StartError) -> Failure {
    let code = match error {
        StartError::NoListener
        | StartError::Twice { .. }
        | StartError::PublicAddress { .. }
        | StartError::Resolve { .. }
        | StartError::PublicMetrics { .. }
        | StartError::Files(_)
        | StartError::Tls(_) => Code::Usage,
        _ => Code::Failure,
    };
    Failure::new(code, error)
}

/// Takes all the open files that the system allows: each connection is one.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files to what the system allows");
    }
}

/// The first SIGTERM or SIGINT begins the graceful shutdown, the second one ends it. SIGHUP reads the configuration again.
fn heed(mut signals: Signals, stopper: Stopper, reloader: Reloader) -> Result<(), Failure> {
    thread::Builder::new()
        .name("taut-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    // Several that come during one reload are one after it.
                    if !reloader.request() {
                        tracing::debug!("SIGHUP: a reload waits already");
                    }
                    continue;
                }
                let name = if signal == SIGTERM {
                    "SIGTERM"
                } else {
                    "SIGINT"
                };
                tracing::info!("{name}: stopping; once more stops at once");
                stopper.stop();
            }
        })
        .map_err(|error| deaf(&error))?;
    Ok(())
}

fn deaf(error: &std::io::Error) -> Failure {
    Failure::new(Code::Failure, format!("cannot listen for signals: {error}"))
}
