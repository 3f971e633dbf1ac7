//! What a certificate says, for people.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

/// What a certificate says. Its texts are as it holds them: whoever shows them on a terminal escapes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names, for example `CN=example.org`; may be empty.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// The hosts and addresses that it is for (RFC 5280 §4.2.1.6).
    pub names: Vec<String>,
    /// Valid from, for example `2026-11-21 08:00:00 UTC`.
    pub not_before: String,
    /// Valid until.
    pub not_after: String,
    /// The same in seconds since 1970.
    pub not_before_unix_s: i64,
    /// The same in seconds since 1970.
    pub not_after_unix_s: i64,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// Its public key, for example `EC, 256 bits`.
    pub key: String,
    /// How it was signed, for example `ecdsa-with-SHA256`.
    pub signature: String,
    /// Whether subject and issuer are the same.
    pub is_self_signed: bool,
}

impl Certificate {
    /// Reads one. What cannot be read is told as that, with everything else empty.
    pub(super) fn read(der: &CertificateDer<'_>) -> Self {
        match X509Certificate::from_der(der) {
            Ok((_, certificate)) => Self::of(&certificate),
            Err(_) => Self {
                subject: "(a certificate that cannot be read)".into(),
                issuer: String::new(),
                names: Vec::new(),
                not_before: String::new(),
                not_after: String::new(),
                not_before_unix_s: 0,
                not_after_unix_s: 0,
                serial: String::new(),
                key: String::new(),
                signature: String::new(),
                is_self_signed: false,
            },
        }
    }

    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names(certificate),
            not_before: moment(&validity.not_before),
            not_after: moment(&validity.not_after),
            not_before_unix_s: validity.not_before.timestamp(),
            not_after_unix_s: validity.not_after.timestamp(),
            serial: certificate.raw_serial_as_string(),
            key: key(certificate),
            signature: short_name(&certificate.signature_algorithm.algorithm),
            is_self_signed: certificate.subject() == certificate.issuer(),
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match **bytes {
                [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
                _ => <[u8; 16]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| IpAddr::from(bytes).to_string()),
            },
            _ => None,
        })
        .collect()
}

fn moment(time: &ASN1Time) -> String {
    let moment = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

fn key(certificate: &X509Certificate<'_>) -> String {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
        Ok(PublicKey::EC(key)) => format!("EC, {} bits", key.key_size()),
        _ => short_name(&info.algorithm.algorithm),
    }
}

fn short_name(oid: &x509_parser::der_parser::oid::Oid<'_>) -> String {
    match oid2sn(oid, oid_registry()) {
        Ok(name) => name.to_owned(),
        Err(_) => oid.to_id_string(),
    }
}
