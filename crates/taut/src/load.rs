//! The configuration in force, from the process's own flags, environment and files.

use std::collections::BTreeMap;
use std::io;

use clap::ArgMatches;

use crate::cli::config_path;
use crate::failure::Failure;
use crate::settings::source::Problems;
use crate::settings::{FILE_DEFAULT, Settings, flags, layer};

/// Reads the layers of a `serve` or `check`. `None` stands for `taut` alone.
pub(crate) fn load(matches: Option<&ArgMatches>) -> Result<Settings, Failure> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("TAUT_"))
        .collect();
    let named = matches.and_then(config_path).map(|path| (path, "--config"));
    let named = named.or_else(|| Some((environment.get("TAUT_CONFIG")?.clone(), "TAUT_CONFIG")));
    let file = match named {
        Some((path, by)) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) => return Err(unreadable(&path, &error, by)),
        },
        None => match std::fs::read_to_string(FILE_DEFAULT) {
            Ok(text) => Some((FILE_DEFAULT.to_owned(), text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(FILE_DEFAULT, &error, "default")),
        },
    };
    let file = file
        .as_ref()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    let flags = matches.map(flags::read).unwrap_or_default();
    layer(file, &environment, &flags).map_err(|problems: Problems| Failure::usage(problems))
}

fn unreadable(path: &str, error: &io::Error, by: &str) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    Failure::usage(format!(
        "cannot read the configuration file `{path}` (named by {by}): {reason}"
    ))
}
