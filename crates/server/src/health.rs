//! Whether the server can do its work: what `/health/ready` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use taut_hub::StoreError;

/// Shared by all threads: written when something changes, read when somebody asks.
#[derive(Debug)]
pub struct Health {
    store_well: AtomicBool,
    reason: Mutex<Arc<str>>,
    is_heavy: AtomicBool,
    /// Why nobody new is let in.
    fullness: Mutex<Option<Arc<str>>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            store_well: AtomicBool::new(true),
            reason: Mutex::new(Arc::from("")),
            is_heavy: AtomicBool::new(false),
            fullness: Mutex::new(None),
        }
    }
}

impl Health {
    /// Why rooms cannot be kept; `None` when they can.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<str>> {
        (!self.is_store_well()).then(|| {
            let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&reason)
        })
    }

    /// Why nobody new is let in, although those who are here are served; `None` when there is room.
    #[must_use]
    pub fn fullness(&self) -> Option<Arc<str>> {
        let why = self.fullness.lock().unwrap_or_else(PoisonError::into_inner);
        why.clone()
    }

    /// Whether memory is the reason.
    pub(crate) fn is_heavy(&self) -> bool {
        self.is_heavy.load(Ordering::Acquire)
    }

    /// Nobody new is let in, and why; or somebody is again.
    pub(crate) fn full(&self, why: Option<Arc<str>>, is_heavy: bool) {
        *self.fullness.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.is_heavy.store(is_heavy, Ordering::Release);
    }

    pub(crate) fn is_store_well(&self) -> bool {
        self.store_well.load(Ordering::Acquire)
    }

    /// The store works again.
    pub(crate) fn store_well(&self) {
        if !self.store_well.swap(true, Ordering::AcqRel) {
            tracing::warn!("the disk works again: rooms are kept, and the server is ready");
        }
    }

    /// The store does not work.
    pub(crate) fn store_failed(&self, error: &StoreError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string().into();
        if self.store_well.swap(false, Ordering::AcqRel) {
            tracing::error!(
                "rooms cannot be kept, so what is said in them is refused, and the server is not ready: {error}"
            );
        }
    }
}
