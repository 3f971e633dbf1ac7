//! Log lines, to stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::failure::{Code, Failure};
use crate::settings::table::Log;

/// Starts logging.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.level).map_err(Failure::usage)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if log.format == "json" {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| Failure::new(Code::Failure, error))
}
