//! What goes wrong with TLS, in plain words, and what to do about it.

use std::error::Error as _;
use std::io;
use std::path::Path;

use rustls::{
    AlertDescription, CertificateError, Error, HandshakeType, InconsistentKeys, PeerIncompatible,
    ProtocolVersion,
};

use super::certificate::Certificate;
use crate::error::{DialError, TlsFault};
use crate::telling::{escaped, shown};

/// Names of a certificate that are listed at most.
const NAMES_LISTED_MAX: usize = 10;

/// Characters of one name that are shown at most.
const NAME_SHOWN_MAX: usize = 80;

/// Why a certificate is not to be trusted.
pub(super) struct Distrust {
    pub(super) fault: TlsFault,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

const TRUST_HINT: &str = "trust the authority's or the server's own certificate with --ca FILE, or trust anybody with --insecure";

/// Puts the judgement of a certificate into words. `knows_nobody`: the system has no list of authorities.
pub(super) fn distrust(
    verdict: &Error,
    certificates: &[Certificate],
    name: &str,
    knows_nobody: bool,
) -> Distrust {
    let own = certificates.first();
    let said = |fault, text: String, hint: Option<&str>| Distrust {
        fault,
        text,
        hint: hint.map(str::to_owned),
    };
    let Error::InvalidCertificate(verdict) = verdict else {
        return said(TlsFault::BadCertificate, verdict.to_string(), None);
    };
    match verdict {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            said(
                TlsFault::WrongName,
                format!("its certificate is for {}, not for {name}", names(own)),
                Some(
                    "connect by one of these names, ask for one with --server-name NAME, or trust anybody with --insecure",
                ),
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => said(
            TlsFault::Expired,
            format!("its certificate has expired, on {}", until(own)),
            Some(
                "the server needs a new one; --insecure lets this one pass, and the clock of this machine may be wrong",
            ),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => said(
            TlsFault::NotYetValid,
            format!(
                "its certificate is valid only from {}",
                own.map_or("later on", |own| &own.not_before)
            ),
            Some("the clock of this machine may be wrong; --insecure lets the certificate pass"),
        ),
        // `openssl req -x509` marks what it makes as an authority's, which is judged before anything else.
        // Where this machine happens to know an authority of the same name, its key does not fit.
        CertificateError::UnknownIssuer
        | CertificateError::Other(_)
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
            if own.is_some_and(|own| own.is_self_signed) =>
        {
            said(
                TlsFault::SelfSigned,
                "its certificate is self-signed: nobody but itself vouches for it".into(),
                Some(TRUST_HINT),
            )
        }
        CertificateError::UnknownIssuer => unknown_authority(certificates, knows_nobody),
        CertificateError::Revoked => said(
            TlsFault::BadCertificate,
            "its certificate was revoked by the authority that gave it".into(),
            None,
        ),
        CertificateError::BadEncoding => said(
            TlsFault::BadCertificate,
            "its certificate cannot be read".into(),
            None,
        ),
        CertificateError::BadSignature => said(
            TlsFault::BadCertificate,
            "a signature of its certificates is wrong".into(),
            None,
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => said(
            TlsFault::BadCertificate,
            "its certificate is not meant for servers".into(),
            None,
        ),
        CertificateError::Other(other) => {
            let text = other
                .source()
                .map_or_else(|| other.to_string(), ToString::to_string);
            let text = match text.as_str() {
                "CaUsedAsEndEntity" => {
                    "its certificate is that of an authority, which no server shows".into()
                }
                "UnsupportedCertVersion" => {
                    "its certificate is of an old form (not version 3), which names no hosts".into()
                }
                _ => format!("its certificate is not acceptable ({text})"),
            };
            said(TlsFault::BadCertificate, text, Some(TRUST_HINT))
        }
        other => said(
            TlsFault::BadCertificate,
            format!("its certificate is not acceptable ({other})"),
            None,
        ),
    }
}

fn unknown_authority(certificates: &[Certificate], knows_nobody: bool) -> Distrust {
    let issuer = certificates.last().map_or_else(
        || "somebody".to_owned(),
        |last| format!("`{}`", escaped(last.issuer.as_bytes(), NAME_SHOWN_MAX)),
    );
    let hint = if knows_nobody {
        format!("this machine has no list of authorities (package ca-certificates); {TRUST_HINT}")
    } else {
        TRUST_HINT.to_owned()
    };
    Distrust {
        fault: TlsFault::UnknownAuthority,
        text: format!("its certificate is vouched for by {issuer}, whom nobody here knows"),
        hint: Some(hint),
    }
}

/// The names of a certificate as a sentence lists them.
fn names(own: Option<&Certificate>) -> String {
    let Some(own) = own.filter(|own| !own.names.is_empty()) else {
        return "no host at all".into();
    };
    let mut listed: Vec<String> = own
        .names
        .iter()
        .take(NAMES_LISTED_MAX)
        .map(|name| escaped(name.as_bytes(), NAME_SHOWN_MAX))
        .collect();
    if own.names.len() > listed.len() {
        listed.push(format!("{} more", own.names.len() - listed.len()));
    }
    listed.join(", ")
}

fn until(own: Option<&Certificate>) -> &str {
    own.map_or("a day that it does not say", |own| &own.not_after)
}

/// What is known when a handshake fails.
pub(super) struct Context<'c> {
    pub(super) place: &'c str,
    pub(super) name: &'c str,
    /// The peer's first bytes.
    pub(super) first: &'c [u8],
    /// Whether the peer asked who we are, and whether there was something to show.
    pub(super) identity_asked: Option<bool>,
}

/// rustls's error within one of a stream.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// Puts a failed handshake into words; `None` when the connection broke without one.
pub(super) fn handshake(error: &io::Error, context: &Context<'_>) -> Option<DialError> {
    let error = tls_error(error)?;
    let fail = |fault, text: String, hint: Option<&str>| {
        Some(DialError::Tls {
            place: context.place.to_owned(),
            fault,
            text,
            hint: hint.map(str::to_owned),
        })
    };
    if !matches!(context.first, [0x14..=0x17, 3, ..]) {
        return fail(
            TlsFault::NotTls,
            format!("it does not speak TLS, it sent `{}`", shown(context.first)),
            Some("write tcp://, ws:// or http:// instead, or another port"),
        );
    }
    match error {
        Error::InappropriateHandshakeMessage {
            got_type: HandshakeType::ClientHello,
            ..
        } => fail(
            TlsFault::NotTls,
            "it sent our own greeting back: an echo server that does not speak TLS".into(),
            Some("write tcp:// or ws:// instead"),
        ),
        Error::AlertReceived(alert) => Some(alarm(*alert, context)),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => fail(
            TlsFault::Disagreement,
            "it speaks only versions of TLS that are not safe (older than 1.2)".into(),
            None,
        ),
        Error::NoApplicationProtocol => fail(
            TlsFault::Disagreement,
            "it speaks none of the protocols that were offered".into(),
            None,
        ),
        Error::NoCertificatesPresented => fail(
            TlsFault::BadCertificate,
            "it showed no certificate".into(),
            None,
        ),
        other => fail(
            TlsFault::Disagreement,
            format!("the handshake failed: {other}"),
            None,
        ),
    }
}

/// The peer broke the handshake off with an alert (RFC 8446 §6.2).
fn alarm(alert: AlertDescription, context: &Context<'_>) -> DialError {
    let name = context.name;
    let (fault, text, hint) = match (alert, context.identity_asked) {
        (AlertDescription::CertificateRequired, _)
        | (AlertDescription::HandshakeFailure, Some(false)) => identity_wanted(),
        (AlertDescription::UnrecognisedName, _) => (
            TlsFault::Alert,
            format!("it has no site named {name}"),
            Some("ask for another with --server-name NAME"),
        ),
        (AlertDescription::HandshakeFailure, _) => (
            TlsFault::Disagreement,
            "it has no cipher in common with us, no certificate for this name, or no TLS on this port (alert HandshakeFailure)"
                .into(),
            None,
        ),
        (AlertDescription::ProtocolVersion, _) => (
            TlsFault::Disagreement,
            "it speaks no version of TLS that is safe (1.2 or 1.3)".into(),
            None,
        ),
        (AlertDescription::NoApplicationProtocol, _) => (
            TlsFault::Disagreement,
            "it speaks none of the protocols that were offered".into(),
            None,
        ),
        (alert, Some(true)) if is_about_certificates(alert) => identity_refused(alert),
        (alert, _) => (
            TlsFault::Alert,
            format!("it broke the handshake off ({})", alert_name(alert)),
            None,
        ),
    };
    DialError::Tls {
        place: context.place.to_owned(),
        fault,
        text,
        hint: hint.map(str::to_owned),
    }
}

type Told = (TlsFault, String, Option<&'static str>);

fn identity_wanted() -> Told {
    (
        TlsFault::IdentityWanted,
        "it wants to know who you are, and no certificate was shown".into(),
        Some("show yours with --cert FILE"),
    )
}

fn identity_refused(alert: AlertDescription) -> Told {
    (
        TlsFault::IdentityWanted,
        format!(
            "it does not accept your certificate ({})",
            alert_name(alert)
        ),
        Some("show one that it knows with --cert FILE"),
    )
}

fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

/// An alert that came after the handshake: in TLS 1.3 a server judges its client's certificate only then.
pub(crate) fn late_fault(error: &io::Error, place: &str) -> Option<DialError> {
    let (fault, text, hint) = match tls_error(error)? {
        Error::AlertReceived(AlertDescription::CertificateRequired) => identity_wanted(),
        Error::AlertReceived(alert) if is_about_certificates(*alert) => identity_refused(*alert),
        Error::AlertReceived(alert) => (
            TlsFault::Alert,
            format!("it ended the connection ({})", alert_name(*alert)),
            None,
        ),
        other => (
            TlsFault::Disagreement,
            format!("it broke the protocol: {other}"),
            None,
        ),
    };
    Some(DialError::Tls {
        place: place.to_owned(),
        fault,
        text,
        hint: hint.map(str::to_owned),
    })
}

fn alert_name(alert: AlertDescription) -> String {
    format!("alert {alert:?}")
}

/// Why our own key cannot be used with our own certificate.
pub(super) fn own_key(error: &Error, chain: &Path) -> String {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "it is not the key of the certificate in {}",
            chain.display()
        ),
        other => format!("the key cannot be used: {other}"),
    }
}

/// A version's name.
pub(super) fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        _ => "TLS of another version",
    }
}

/// The name of a protocol of RFC 7301, which may be any bytes.
pub(super) fn protocol(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}
