//! `taut listen`: a server of one socket kind, for trying, teaching and scripting.

use crate::Ended;

/// What `taut listen` can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct ListenArgs {
    /// Where to listen: tcp:// udp:// unix: ws:// http://
    #[arg(value_name = "URL")]
    pub url: String,
}

/// Text below `taut listen --help`.
pub const AFTER_HELP: &str = "";

/// Runs the command until it is done or interrupted.
///
/// # Errors
/// An [`Ended`] with the exit code and the text for stderr.
pub async fn run(args: ListenArgs) -> Result<(), Ended> {
    let _ = args;
    Ok(())
}
