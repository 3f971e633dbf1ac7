//! Where `/metrics` is answered for, from the settings: an address, and the key in its file.

use std::sync::Arc;

use taut_server::{Endpoint, Listen, MetricsConfig};

use crate::failure::Failure;
use crate::settings::values::Metrics;

/// Characters that a key has at least: shorter ones can be guessed.
const KEY_CHARS_MIN: usize = 16;

/// As the server is told; `None` where no address is named.
pub(crate) fn config(metrics: &Metrics) -> Result<Option<MetricsConfig>, Failure> {
    if metrics.listen.is_empty() {
        return match metrics.key_file.is_empty() {
            true => Ok(None),
            false => Err(Failure::usage(
                "`metrics.key_file` is named and `metrics.listen` is not: name the address too, for example 127.0.0.1:9464",
            )),
        };
    }
    let listen: Listen = metrics.listen.parse().map_err(Failure::usage)?;
    let Endpoint::Tcp(listen) = listen.endpoint else {
        return Err(Failure::usage("`metrics.listen` is no HOST:PORT"));
    };
    let key = match metrics.key_file.as_str() {
        "" => None,
        path => Some(key(path)?),
    };
    Ok(Some(MetricsConfig { listen, key }))
}

fn key(path: &str) -> Result<Arc<str>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "cannot read the key of the metrics (`metrics.key_file`) from `{path}`: {error}"
        ))
    })?;
    let key = text.trim();
    // A key that no header can carry would lock everybody out.
    let is_sendable = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.len() < KEY_CHARS_MIN || !is_sendable {
        return Err(Failure::usage(format!(
            "the key in `{path}` (`metrics.key_file`) must have at least {KEY_CHARS_MIN} characters, and only visible ones of ASCII; make one with `openssl rand -hex 32`"
        )));
    }
    Ok(key.into())
}
