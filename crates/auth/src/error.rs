//! Why credentials are not accepted. Neither text holds a secret or the token; [`AuthError::said`] is the one for the peer.

use crate::algorithm::Algorithm;

/// Why a token is not accepted. Its display is for the log; it quotes at most a few characters of a claim, escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is longer than [`crate::TOKEN_BYTES_MAX`].
    #[error("the token has {bytes} bytes, more than 8192")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is no token, or not one for us.
    #[error("this is no token: {0}")]
    Malformed(&'static str),
    /// An algorithm that no key of ours can have.
    #[error("the token asks for the algorithm \"{0}\"")]
    Algorithm(String),
    /// No key of that id, or none of that algorithm. Fetching the keys anew may help.
    #[error("no key for {algorithm} {}", .key_id.as_ref().map_or("without an id".to_owned(), |id| format!("with the id \"{id}\"")))]
    UnknownKey {
        /// The token's algorithm.
        algorithm: Algorithm,
        /// Its key id, cut and escaped.
        key_id: Option<String>,
    },
    /// The signature is not that of the key.
    #[error("the signature is wrong for {0}")]
    Signature(Algorithm),
    /// A claim that must be there is not, or is not what it must be.
    #[error("the claim \"{claim}\" {text}")]
    Claim {
        /// Which.
        claim: &'static str,
        /// What is wrong with it.
        text: String,
    },
    /// A certificate or a proxy names nobody who can be a user.
    #[error("the certificate, or the proxy's header, {0}")]
    Vouched(&'static str),
    /// Its time is over.
    #[error("the token expired at {expired_s}")]
    Expired {
        /// When, in seconds of Unix time.
        expired_s: u64,
    },
    /// Its time has not come.
    #[error("the token is not valid before {from_s}")]
    NotYet {
        /// From when, in seconds of Unix time.
        from_s: u64,
    },
    /// It was taken back.
    #[error("the token was revoked: {0}")]
    Revoked(&'static str),
}

impl AuthError {
    /// The word for programs: `expired` where a new token helps, else `unauthorized`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            _ => "unauthorized",
        }
    }

    /// What the peer is told: enough to mend its own token, and nothing about the server's keys or settings.
    #[must_use]
    pub fn said(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "the token is too long; at most 8192 bytes are taken",
            Self::Malformed(_) => "this is no token that is taken here; use a signed JWT",
            Self::Vouched(_) => {
                "your certificate, or the proxy, gives you no name that a user can have here"
            }
            Self::Expired { .. } => "the token has expired; come back with a new one",
            Self::NotYet { .. } => "the token is not valid yet; is the clock of its maker right?",
            Self::Revoked(_) => "the token was revoked; ask for a new one",
            Self::Claim { .. } => {
                "the token is not for this server, or lacks a claim; ask who made it"
            }
            // Which of them it was would only help somebody who guesses.
            Self::Algorithm(_) | Self::UnknownKey { .. } | Self::Signature(_) => {
                "the token is not signed by a key that is trusted here"
            }
        }
    }
}
