//! A front: one thread that serves many connections, each as a task of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::connection::Connection;
use super::{Arrival, Entrance};
use crate::core::Alert;
use crate::error::Fault;
use crate::stop::Stop;

/// One thread. See the [module](self).
pub(crate) struct Front {
    pub(super) alert: Arc<Alert>,
    pub(super) arrivals: Receiver<Arrival>,
    pub(super) entrance: Entrance,
    pub(super) stop: Arc<Stop>,
}

impl Front {
    /// Serves until the server stops.
    pub(crate) fn run(self) -> Result<(), Fault> {
        let fault = |source| Fault::Poll {
            thread: "HTTP/2".to_owned(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(fault)?;
        LocalSet::new().block_on(&runtime, self.serve());
        Ok(())
    }

    /// What wakes it.
    pub(crate) fn alert(&self) -> Arc<Alert> {
        Arc::clone(&self.alert)
    }

    async fn serve(self) {
        let entrance = Rc::new(self.entrance);
        let buffers = Rc::new(RefCell::default());
        let (ending, ends) = watch::channel(false);
        let mut connections = JoinSet::new();
        while !self.stop.is_stopping() {
            tokio::select! {
                () = self.alert.raised() => {}
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
            while let Ok(arrival) = self.arrivals.try_recv() {
                let entrance = Rc::clone(&entrance);
                let connection =
                    Connection::begin(arrival, entrance, Rc::clone(&buffers), ends.clone());
                connections.spawn_local(connection);
            }
        }
        ending.send_replace(true);
        let last = tokio::time::sleep(entrance.clocks.drain);
        tokio::pin!(last);
        // Each ends when its streams have, and those end as the cores tell their Conns.
        while !connections.is_empty() && !self.stop.is_urgent() {
            tokio::select! {
                () = self.alert.raised() => {}
                _ = connections.join_next() => {}
                () = &mut last => break,
            }
        }
    }
}
