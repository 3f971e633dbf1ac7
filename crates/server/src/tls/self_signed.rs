//! A certificate that vouches for itself, for development: no client trusts it unless it is told to.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};

use super::error::TlsError;
use crate::core::unix_ms;

/// Days for which it is valid.
const DAYS: u64 = 365;
const DAY_S: u64 = 86_400;

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct SelfSigned {
    /// The certificate.
    pub chain: String,
    /// The key. Whoever has it can be the server.
    pub key: String,
}

impl SelfSigned {
    /// Makes one for these host names and addresses, for a year from now.
    ///
    /// # Errors
    /// A [`TlsError`] when a name can stand in no certificate, or there are no random numbers.
    pub fn new(names: &[String]) -> Result<Self, TlsError> {
        let failed = |error: rcgen::Error| TlsError::Other {
            text: format!("a certificate cannot be made: {error}"),
        };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        for name in names {
            let alternative = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
            };
            params.subject_alt_names.push(alternative);
        }
        params
            .distinguished_name
            .push(DnType::CommonName, "taut, self-signed");
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        // Clocks differ by a little.
        let begin = rcgen::date_time_ymd(1970, 1, 1);
        let now_s = unix_ms() / 1_000;
        params.not_before = begin + Duration::from_secs(now_s.saturating_sub(DAY_S));
        params.not_after = begin + Duration::from_secs(now_s + DAYS * DAY_S);
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
