//! Making tokens: for development, scripts and tests. An application makes its own.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

use crate::algorithm::Algorithm;
use crate::key::{KeyError, hmac_key, wrong_kind};

/// A key to sign with. Says nothing of itself in logs but its algorithm.
pub struct SigningKey {
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

/// Signing did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot sign")]
pub struct CannotSign;

impl SigningKey {
    /// A secret.
    ///
    /// # Errors
    /// It is too short, or the algorithm needs a private key.
    pub fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let material = Material::Secret(Box::new(hmac_key(algorithm, secret)?));
        Ok(Self {
            algorithm,
            material,
        })
    }

    /// A private key as PEM (`BEGIN PRIVATE KEY`, PKCS #8).
    ///
    /// # Errors
    /// It is none, or none for the algorithm.
    pub fn pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| {
            KeyError::Unreadable(
                "there is no `BEGIN PRIVATE KEY` in it; `openssl pkcs8 -topk8 -nocrypt -in KEY` makes one",
            )
        })?;
        let der = der.secret_pkcs8_der();
        let curve = |signing| EcdsaKeyPair::from_pkcs8(signing, der).map(Material::Curve);
        let material = match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                return Err(wrong_kind(algorithm));
            }
            Algorithm::Es256 => curve(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => curve(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Es512 => curve(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Material::Edwards)
            }
            _ => RsaKeyPair::from_pkcs8(der).map(Material::Rsa),
        };
        let material = material.map_err(|rejected| match rejected.to_string().as_str() {
            "TooSmall" => KeyError::Unreadable("it has fewer than 2048 bits; make a longer one"),
            _ => wrong_kind(algorithm),
        })?;
        Ok(Self {
            algorithm,
            material,
        })
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token of these claims.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn mint(
        &self,
        key_id: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Result<String, CannotSign> {
        let mut header = json!({"alg": self.algorithm.name(), "typ": "JWT"});
        if let Some(id) = key_id {
            header["kid"] = id.into();
        }
        let claims = Value::Object(claims.clone()).to_string();
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let random = SystemRandom::new();
        match &self.material {
            Material::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Material::Edwards(key) => Ok(key.sign(message).as_ref().to_vec()),
            Material::Curve(key) => {
                let signature = key.sign(&random, message).map_err(|_| CannotSign)?;
                Ok(signature.as_ref().to_vec())
            }
            Material::Rsa(key) => {
                let encoding: &'static dyn signature::RsaEncoding = match self.algorithm {
                    Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .map_err(|_| CannotSign)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm)
    }
}
