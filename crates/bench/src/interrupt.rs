//! Ctrl-C: what was started ends, what was written goes, and the terminal is as it was.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::failure::{Failure, Kind};

static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on Ctrl-C and SIGTERM are noticed instead of obeyed; a second one is obeyed.
pub(crate) fn watch() -> io::Result<()> {
    let came = CAME.get_or_init(Arc::default);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, came.clone())?;
        signal_hook::flag::register(signal, came.clone())?;
    }
    Ok(())
}

/// Whether it is time to end.
pub(crate) fn check() -> Result<(), Failure> {
    match CAME.get() {
        Some(came) if came.load(Ordering::Relaxed) => {
            Err(Failure::new(Kind::Interrupted, "interrupted"))
        }
        _ => Ok(()),
    }
}
