//! What the other threads ask of cores while they run: to say what they have counted, and to go by another configuration.
//!
//! An order waits in a short line and is carried out between two turns, so a core answers for itself and nothing it owns is shared. A line that is
//! full means a core that has not turned for long; who asks is told so and nothing waits without a bound.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use crate::core::Alert;
use crate::metrics::{Counts, Standing};
use crate::reload::Update;

/// Orders that may wait for one core.
const WAITING_MAX: usize = 4;

/// One of them, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Order {
    /// Say what you have counted, and how you stand.
    Count(Sender<(u16, Box<(Counts, Standing)>)>),
    /// Go by this from now on, and say when you do.
    Follow(Arc<Update>, Sender<(u16, ())>),
}

/// The way to all cores. Each has the other end of its line.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    lines: Vec<SyncSender<Order>>,
    alerts: Vec<Arc<Alert>>,
}

impl Orders {
    /// Lines to the cores that `alerts` wake.
    pub(crate) fn open(alerts: &[Arc<Alert>]) -> (Self, Vec<Receiver<Order>>) {
        let (lines, ends) = alerts.iter().map(|_| sync_channel(WAITING_MAX)).unzip();
        let orders = Self {
            lines,
            alerts: alerts.to_vec(),
        };
        (orders, ends)
    }

    /// How many cores there are.
    pub(crate) fn cores(&self) -> usize {
        self.lines.len()
    }

    /// Gives every core an order and collects the answers that come within `patience`, by core.
    pub(crate) fn ask<T>(
        &self,
        patience: Duration,
        order: impl Fn(Sender<(u16, T)>) -> Order,
    ) -> Vec<Option<T>> {
        let deadline = Instant::now() + patience;
        let (sender, answers) = channel();
        let mut awaited = 0;
        for (line, alert) in self.lines.iter().zip(&self.alerts) {
            match line.try_send(order(sender.clone())) {
                Ok(()) => {
                    awaited += 1;
                    alert.raise();
                }
                // It has ended, or has not turned for long.
                Err(TrySendError::Disconnected(_) | TrySendError::Full(_)) => {}
            }
        }
        drop(sender);
        let mut found: Vec<Option<T>> = (0..self.lines.len()).map(|_| None).collect();
        for _ in 0..awaited {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((core, answer)) = answers.recv_timeout(left) else {
                break;
            };
            if let Some(place) = found.get_mut(usize::from(core)) {
                *place = Some(answer);
            }
        }
        found
    }
}
