//! What callers ask for, taken also while the session is busy with coming back.

use std::pin::pin;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::outbox::{Command, Outbox};

/// The ends of the channels that callers hold, and what waits for a connection.
pub(crate) struct Intake {
    pub(crate) commands: mpsc::Receiver<Command>,
    /// Turns true when [`Client::close`](crate::Client::close) was called.
    pub(crate) closing: watch::Receiver<bool>,
    pub(crate) outbox: Outbox,
}

impl Intake {
    /// Whether nobody is left who could ask, and nothing that was asked waits in the channel.
    pub(crate) fn nobody_asks(&self) -> bool {
        self.commands.is_closed() && self.commands.is_empty()
    }

    /// Does something while there is no connection: callers are heard meanwhile, and those who have waited too long are answered.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client is closed.
    pub(crate) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut work = pin!(work);
        let mut is_open = true;
        loop {
            let check_at = self.outbox.check_at();
            tokio::select! {
                () = closed(&mut self.closing) => return Err(Error::Closed),
                done = &mut work => return Ok(done),
                command = self.commands.recv(), if is_open => match command {
                    Some(command) => self.outbox.take(command),
                    None => is_open = false,
                },
                () = sleep_until(check_at.unwrap_or_else(Instant::now)), if check_at.is_some() => {
                    self.outbox.expire();
                }
            }
        }
    }
}

/// Waits until the client is closed; for ever once all its handles are gone, since then nobody can close it.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}
