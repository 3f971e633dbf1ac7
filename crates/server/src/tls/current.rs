//! What handshakes go by at the moment: it may be replaced while the server runs.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;

/// The configuration in force. A handshake takes it when it begins; one under way ends as it began.
#[derive(Debug)]
pub(crate) struct Current(Mutex<Arc<ServerConfig>>);

impl Current {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Self {
        Self(Mutex::new(config))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        // Nothing that holds the lock can panic half way, so a poisoned one is whole.
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
