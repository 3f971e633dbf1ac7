//! Whom a client's certificate names.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Bytes of a name at most.
const NAME_BYTES_MAX: usize = 255;

/// The common name of the first certificate's subject; where it has none, its first DNS name, mail address or URI. Whoever calls this has had the chain
/// verified.
pub(super) fn name(chain: Option<&[CertificateDer<'_>]>) -> Option<Arc<str>> {
    let (_, certificate) = X509Certificate::from_der(chain?.first()?).ok()?;
    let common = certificate
        .subject()
        .iter_common_name()
        .find_map(|name| name.as_str().ok().filter(|name| !name.is_empty()));
    if let Some(name) = common {
        return checked(name);
    }
    let alternatives = certificate.subject_alternative_name().ok()??;
    let mut names = alternatives.value.general_names.iter();
    let first = names.find_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some(*name)
        }
        _ => None,
    });
    checked(first?)
}

/// A name that could confuse a log or a terminal is none.
fn checked(name: &str) -> Option<Arc<str>> {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    (fits && !name.chars().any(char::is_control)).then(|| name.into())
}
