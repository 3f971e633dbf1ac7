//! Webhooks: the application is asked over HTTP before something happens.
//!
//! Each webhook has threads of its own beside the cores, a bounded queue, and kept-alive connections. A core hands in a [`Job`] and goes on; the answer comes back
//! over its channel, and the core is woken. Meanwhile what the same Conn wants waits in its order, and the Conn is not read.
//!
//! Bounds: [`HOOKS_MAX`] webhooks of at most `concurrency` calls each, `queue_max` jobs that wait, [`ANSWER_BYTES_MAX`] of an answer, `deadline_ms` for waiting and
//! asking together. After [`FAILURES_MAX`](breaker::FAILURES_MAX) failures in a row a webhook is left alone for a while. Whatever fails comes to `on_failure`.

mod breaker;
mod call;
mod config;
mod desk;
mod entry;
mod words;

pub(crate) use call::tls_config;
pub use config::{
    Authorities, AuthoritiesError, HookEvent, HookUrl, HookUrlError, OnFailure, Webhook,
};
pub(crate) use desk::{Answer, Counter, Hook, Hooks, Job, Topic};
pub(crate) use entry::{Declined, Entry, Head, Newcomer, Terms};
pub(crate) use words::{Asker, Verdict, ask as write_question};

/// Webhooks that there may be.
pub const HOOKS_MAX: usize = 16;
/// Bytes of an answer's body; a longer one is a failure.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
