//! Where the API hands in what is to be revoked.

use taut_gate::http::api::Revoke;

/// Whoever keeps what was revoked, tells all cores, and makes it last.
pub(crate) trait Revoker: Send + Sync {
    /// Takes back. It must not wait: a core calls it.
    ///
    /// # Errors
    /// Why it could not, for whoever asked.
    fn revoke(&self, what: &Revoke) -> Result<(), String>;
}
