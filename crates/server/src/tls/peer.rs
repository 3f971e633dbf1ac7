//! Whom a client's certificate names.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Bytes of a name at most.
const NAME_BYTES_MAX: usize = 255;

/// The common name of the first certificate's subject; where it has none, its first DNS name, mail address or URI. Whoever calls this has had the chain
/// verified. One with several common names could be taken for several users, and names nobody.
pub(super) fn name(chain: Option<&[CertificateDer<'_>]>) -> Option<Arc<str>> {
    let (_, certificate) = X509Certificate::from_der(chain?.first()?).ok()?;
    if certificate.subject().iter_common_name().count() > 1 {
        return None;
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn named(common: Option<&str>, alternatives: &[&str]) -> Option<Arc<str>> {
        let alternatives: Vec<String> = alternatives.iter().map(|one| (*one).into()).collect();
        let mut params = CertificateParams::new(alternatives).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(common) = common {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        name(Some(&[certificate.der().clone()]))
    }

    #[test]
    fn the_common_name_comes_first_and_what_could_confuse_is_no_name() {
        let is = |name: &str| Some(Arc::from(name));
        assert_eq!(named(Some("sensor-7"), &["a.example"]), is("sensor-7"));
        assert_eq!(named(None, &["a.example", "b.example"]), is("a.example"));
        assert_eq!(named(None, &["10.0.0.1"]), None);
        assert_eq!(named(Some("a\nb"), &["a.example"]), None);
        assert_eq!(named(Some(&"x".repeat(256)), &[]), None);
        assert_eq!(name(None), None);
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "ana");
        let two = DnType::CustomDnType(vec![2, 5, 4, 3]);
        params.distinguished_name.push(two, "bo");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(name(Some(&[certificate.der().clone()])), None);
        assert_eq!(name(Some(&[CertificateDer::from(vec![1, 2, 3])])), None);
    }
}
