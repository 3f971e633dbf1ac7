//! Whether the server can do its work: what `/health/ready` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use taut_hub::StoreError;

/// Shared by all threads: written when something changes, read when somebody asks.
#[derive(Debug)]
pub struct Health {
    store_well: AtomicBool,
    reason: Mutex<Arc<str>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            store_well: AtomicBool::new(true),
            reason: Mutex::new(Arc::from("")),
        }
    }
}

impl Health {
    /// Why the server is not ready to serve; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<str>> {
        (!self.is_store_well()).then(|| {
            let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&reason)
        })
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
                %error,
                "rooms cannot be kept, so what is said in them is refused, and the server is not ready"
            );
        }
    }
}
