//! `taut connect`: any socket, from a terminal or a pipe.

use crate::Ended;

/// What `taut connect` can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectArgs {
    /// Where to connect: tcp:// udp:// unix: ws:// wss:// tls:// http:// https://
    #[arg(value_name = "URL")]
    pub url: String,
}

/// Text below `taut connect --help`.
pub const AFTER_HELP: &str = "";

/// Runs the command until the peer or the person ends it.
///
/// # Errors
/// An [`Ended`] with the exit code and the text for stderr.
pub async fn run(args: ConnectArgs) -> Result<(), Ended> {
    let _ = args;
    Ok(())
}
