//! The table of settings as command-line flags.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Flags;
use super::setting::Setting;
use super::table::TABLE;
use super::value::Kind;
use super::values::Values;

/// Adds a flag for each setting. Those of a section show in `--help`, not in `-h`.
pub(crate) fn add(mut command: Command) -> Command {
    let defaults = Values::default();
    for setting in TABLE {
        command = command.arg(argument(setting, &defaults));
    }
    command
}

fn argument(setting: &'static Setting, defaults: &Values) -> Arg {
    let help = format!(
        "{} [default: {}] [env: {}]",
        setting.doc,
        spoken(&setting.show(defaults)),
        setting.variable()
    );
    let argument = Arg::new(setting.name)
        .long(setting.flag())
        .help(help)
        .help_heading(match setting.section() {
            "" => "Settings",
            "log" => "Log",
            "auth" => "Who may come in",
            "metrics" => "Metrics",
            "tls" => "TLS",
            "hub" => "Rooms, over all cores",
            _ => "Connections",
        })
        .hide_short_help(!matches!(setting.section(), "" | "log" | "tls"));
    match setting.kind {
        Kind::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("true|false"),
        Kind::List => argument
            .action(ArgAction::Append)
            .value_name(match setting.name {
                "listen" => "ADDRESS",
                "hosts" => "HOST",
                "auth.keys" => "ALGORITHM:FILE",
                "auth.roles" | "auth.anonymous" | "auth.certificate_roles" | "auth.proxy_roles" => {
                    "ROLE"
                }
                "auth.api_keys" => "HASH",
                "auth.issuers" | "auth.audiences" => "NAME",
                "tls.cert" | "tls.key" => "FILE",
                "limits.exempt" | "auth.proxies" => "NETWORK",
                _ => "ORIGIN",
            }),
        Kind::Count(_) => argument.value_name("N"),
        Kind::Bytes(_) => argument.value_name("SIZE"),
        Kind::Milliseconds(_) => argument.value_name("DURATION"),
        Kind::Word(words) => argument.value_name("WORD").value_parser(words.to_vec()),
        Kind::Filter => argument.value_name("LEVEL"),
        Kind::Folder => argument.value_name("FOLDER"),
        Kind::File => argument.value_name("FILE"),
        Kind::Text(_) => argument.value_name(match setting.name {
            "metrics.listen" => "HOST:PORT",
            "auth.jwks_url" => "URL",
            _ => "NAME",
        }),
        Kind::Secret => argument.value_name("SECRET").hide_env_values(true),
    }
}

/// A default as a person would type it.
fn spoken(shown: &str) -> String {
    match shown {
        "[]" | "\"\"" => "none".into(),
        _ => match shown
            .strip_prefix('[')
            .and_then(|list| list.strip_suffix(']'))
        {
            Some(list) => list.replace('"', ""),
            None => shown.replace('"', ""),
        },
    }
}

/// The settings that the command line names.
pub(crate) fn read(matches: &ArgMatches) -> Flags {
    TABLE
        .iter()
        .filter_map(|setting| {
            let values = matches.try_get_many::<String>(setting.name).ok()??;
            Some((setting, values.cloned().collect()))
        })
        .collect()
}
