//! Why there is no socket, as an exit code and a text for stderr.

use taut_dial::{DialError, TlsFault};

use crate::{Code, Ended};

/// The end that a failed dial is.
pub(super) fn ended(error: &DialError) -> Ended {
    let ended = Ended::new(code(error), error);
    match error.hint() {
        Some(hint) => ended.hint(hint),
        None => ended,
    }
}

fn code(error: &DialError) -> Code {
    match error {
        DialError::Url(_) | DialError::Unsendable { .. } | DialError::File { .. } => Code::Usage,
        DialError::Resolve { .. } | DialError::Unreachable { .. } | DialError::Socket { .. } => {
            Code::Unreachable
        }
        DialError::TimedOut { .. } => Code::Silent,
        DialError::Proxy {
            status: Some(_), ..
        } => Code::Refused,
        DialError::Proxy { .. } => Code::Unreachable,
        DialError::Tls {
            fault: TlsFault::Ours,
            ..
        } => Code::Usage,
        DialError::Tls { .. } => Code::Untrusted,
        // It agreed, in a way that does not hold.
        DialError::Handshake { status: 101, .. } => Code::Violation,
        DialError::Handshake { .. } => Code::Refused,
        DialError::WrongProtocol { .. } => Code::Violation,
        DialError::Lost { .. } => Code::Unreachable,
        _ => Code::Failure,
    }
}
