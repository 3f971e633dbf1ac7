//! Which answer the conditions of a request leave (RFC 9110 §13.2.2).

use crate::request::Conditions;
use crate::validator::{Comparison, Validators};

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it.
    Send,
    /// The client has it: 304.
    NotModified,
    /// It is not what the client thinks it is: 412.
    Failed,
}

/// Evaluates them in the order of §13.2.2, for GET and HEAD of a file that exists. A date counts only where there is no tag.
pub(crate) fn evaluate(conditions: &Conditions, validators: &Validators) -> Verdict {
    if let Some(tags) = &conditions.if_match {
        if !validators.matches(tags, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if let Some(date) = &conditions.if_unmodified_since
        && validators.is_modified_since(date) == Some(true)
    {
        return Verdict::Failed;
    }
    if let Some(tags) = &conditions.if_none_match {
        if validators.matches(tags, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if let Some(date) = &conditions.if_modified_since
        && validators.is_modified_since(date) == Some(false)
    {
        return Verdict::NotModified;
    }
    Verdict::Send
}
