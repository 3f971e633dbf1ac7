//! How a command ends when it fails: a text for people, a code for scripts.

use std::fmt;
use std::io;
use std::process::ExitCode;

use taut_bench::Kind;
use taut_client::Error;
pub(crate) use taut_console::Code;
use taut_console::Ended;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// What happened; empty when there is nothing to say.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl fmt::Display) -> Self {
        Self {
            code,
            text: text.to_string(),
            hint: None,
        }
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Code::Usage, text)
    }

    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Ends quietly with a code.
    pub(crate) fn quiet(code: Code) -> Self {
        Self::new(code, "")
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\n       {hint}"),
            None => Ok(()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = code_of(&error);
        let hint = match &error {
            Error::Untrusted { hint, .. } => hint.as_deref(),
            Error::Unreachable {
                nobody_listens: true,
                ..
            } => Some(
                "no server runs there; start one with `taut serve`, or name another with --url or TAUT_URL",
            ),
            Error::Unreachable { .. } => Some(
                "name the server with --url or TAUT_URL, for example --url http://localhost:8080",
            ),
            Error::Handshake { .. } => Some(
                "is it a Taut server? Name another with --url or TAUT_URL, for example --url http://localhost:8080",
            ),
            Error::Lost { .. } | Error::NoAnswer { .. } => {
                Some("whether the server took what was under way is not known")
            }
            _ => None,
        };
        let failure = Self::new(code, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// The exit code of a client's error.
pub(crate) fn code_of(error: &Error) -> Code {
    match error {
        Error::Url(_) | Error::Unsendable(_) | Error::File(_) => Code::Usage,
        Error::Refused { .. } => Code::Refused,
        Error::Bye { retry_ms: None, .. } => Code::Refused,
        Error::Unreachable { .. }
        | Error::Handshake { .. }
        | Error::Bye { .. }
        | Error::Lost { .. }
        | Error::NoAnswer { .. } => Code::Unreachable,
        Error::Untrusted { .. } => Code::Untrusted,
        _ => Code::Failure,
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self {
            code: ended.code,
            text: ended.text,
            hint: ended.hint,
        }
    }
}

impl From<taut_bench::Failure> for Failure {
    fn from(failure: taut_bench::Failure) -> Self {
        let code = match failure.kind {
            Kind::Failure => Code::Failure,
            Kind::Usage => Code::Usage,
            Kind::Unreachable => Code::Unreachable,
            Kind::Refused => Code::Refused,
            Kind::Violation => Code::Violation,
            Kind::Silent => Code::Silent,
            Kind::Interrupted => Code::Interrupted,
        };
        Self {
            code,
            text: failure.text,
            hint: failure.hint,
        }
    }
}

impl From<io::Error> for Failure {
    /// Writing to a closed pipe is no failure of ours: whoever read has seen enough. The rest is.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::quiet(Code::Failure)
        } else {
            Self::new(Code::Failure, format!("cannot write to stdout: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distrust_is_7_with_its_advice_whenever_it_comes() {
        let error = || Error::Untrusted {
            url: "tls://localhost:1".into(),
            text: "its certificate is self-signed".into(),
            hint: Some("trust it with --ca FILE".into()),
        };
        assert_eq!(code_of(&error()), Code::Untrusted);
        let failure = Failure::from(error());
        assert_eq!(failure.code as u8, 7);
        assert_eq!(failure.hint.as_deref(), Some("trust it with --ca FILE"));
    }
}
