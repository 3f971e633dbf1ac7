//! Keys that tokens are verified with. Each has one algorithm for good: what the header of a token says chooses none, it must agree.

use std::fmt;

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use aws_lc_rs::{digest, hmac};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

use crate::algorithm::{Algorithm, Family};

/// The shortest RSA modulus, in bytes: 2,048 bits (RFC 7518 section 3.3).
const MODULUS_BYTES_MIN: usize = 256;

/// The longest, in bytes: a larger one would make a check expensive for us.
const MODULUS_BYTES_MAX: usize = 1_024;

/// A key to verify with. Says nothing of itself in logs but its algorithm and id.
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    mark: KeyMark,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// Which key somebody's token was signed with: a digest of the key, which tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyMark([u8; 16]);

impl KeyMark {
    fn of(algorithm: Algorithm, material: &[u8]) -> Self {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(algorithm.to_string().as_bytes());
        digest.update(&[0]);
        digest.update(material);
        let mut mark = [0; 16];
        for (byte, of_digest) in mark.iter_mut().zip(digest.finish().as_ref()) {
            *byte = *of_digest;
        }
        Self(mark)
    }
}

impl fmt::Debug for KeyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMark")
    }
}

/// Why a key cannot be used. Never holds any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret is shorter than RFC 7518 allows.
    #[error(
        "the secret has {bytes} bytes and {algorithm} needs at least {min}; make one with `openssl rand -base64 48`"
    )]
    ShortSecret {
        /// How long it is.
        bytes: usize,
        /// The algorithm.
        algorithm: Algorithm,
        /// What it needs.
        min: usize,
    },
    /// Another kind of key than the algorithm needs.
    #[error("{algorithm} needs {needs}, which this is not")]
    WrongKind {
        /// The algorithm.
        algorithm: Algorithm,
        /// What it needs.
        needs: &'static str,
    },
    /// It is no key.
    #[error("it cannot be read: {0}")]
    Unreadable(&'static str),
}

impl Key {
    /// A secret that both sides know, for HS256, HS384 and HS512.
    ///
    /// # Errors
    /// It is too short, or the algorithm needs a public key.
    pub fn secret(
        algorithm: Algorithm,
        id: Option<String>,
        secret: &[u8],
    ) -> Result<Self, KeyError> {
        let material = Material::Secret(Box::new(hmac_key(algorithm, secret)?));
        Ok(Self {
            id,
            algorithm,
            mark: KeyMark::of(algorithm, secret),
            material,
        })
    }

    /// A public key as PEM (`BEGIN PUBLIC KEY`, RFC 7468 section 13).
    ///
    /// # Errors
    /// It is none, or none for the algorithm.
    pub fn pem(algorithm: Algorithm, id: Option<String>, pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| {
            KeyError::Unreadable(
                "there is no `BEGIN PUBLIC KEY` in it; `openssl pkey -in KEY -pubout` makes one",
            )
        })?;
        Self::public(algorithm, id, &der)
    }

    /// A public key as DER, or of Ed25519 and curves as the bare point.
    pub(crate) fn public(
        algorithm: Algorithm,
        id: Option<String>,
        bytes: &[u8],
    ) -> Result<Self, KeyError> {
        let Some(verification) = verification(algorithm) else {
            return Err(wrong_kind(algorithm));
        };
        let key = UnparsedPublicKey::new(verification, bytes);
        let public = key.parse().map_err(|_| wrong_kind(algorithm))?;
        if algorithm.family() == Family::Rsa {
            check_modulus(bytes)?;
        }
        Ok(Self {
            id,
            algorithm,
            mark: KeyMark::of(algorithm, bytes),
            material: Material::Public(public),
        })
    }

    /// An RSA key by its numbers, big-endian.
    pub(crate) fn rsa(
        algorithm: Algorithm,
        id: Option<String>,
        modulus: &[u8],
        exponent: &[u8],
    ) -> Result<Self, KeyError> {
        let modulus = &modulus[modulus.iter().take_while(|byte| **byte == 0).count()..];
        check_modulus_bytes(modulus.len())?;
        if algorithm.family() != Family::Rsa || exponent.len() > 8 {
            return Err(wrong_kind(algorithm));
        }
        let components = RsaPublicKeyComponents {
            n: modulus,
            e: exponent,
        };
        let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> =
            aws_lc_rs::encoding::AsDer::as_der(&components)
                .map_err(|_| KeyError::Unreadable("its numbers are no RSA key"))?;
        Self::public(algorithm, id, der.as_ref())
    }

    /// By what it is known again when it is read anew, whatever tokens call it.
    #[must_use]
    pub fn mark(&self) -> KeyMark {
        self.mark
    }

    /// The name that tokens call it by.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm that it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature is this key's.
    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            // In constant time.
            Material::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
            Material::Public(key) => key.verify_sig(signed, signature).is_ok(),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {:?})", self.algorithm, self.id)
    }
}

/// A secret for HMAC, checked for its length.
pub(crate) fn hmac_key(algorithm: Algorithm, secret: &[u8]) -> Result<hmac::Key, KeyError> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return Err(wrong_kind(algorithm)),
    };
    let (bytes, min) = (secret.len(), algorithm.secret_bytes_min());
    if bytes < min {
        return Err(KeyError::ShortSecret {
            bytes,
            algorithm,
            min,
        });
    }
    Ok(hmac::Key::new(hash, secret))
}

fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDsa => &signature::ED25519,
    })
}

pub(crate) fn wrong_kind(algorithm: Algorithm) -> KeyError {
    let needs = match algorithm {
        Algorithm::Es256 => "a key on the curve P-256",
        Algorithm::Es384 => "a key on the curve P-384",
        Algorithm::Es512 => "a key on the curve P-521",
        _ => match algorithm.family() {
            Family::Secret => "a secret, no public key",
            Family::Rsa => "an RSA key",
            _ => "an Ed25519 key",
        },
    };
    KeyError::WrongKind { algorithm, needs }
}

/// A key that would never verify is told when it is read. Around its modulus, a key has 38 bytes and no more than a few further ones.
fn check_modulus(der: &[u8]) -> Result<(), KeyError> {
    check_modulus_bytes(match der.len().saturating_sub(38) {
        around @ MODULUS_BYTES_MAX.. if around <= MODULUS_BYTES_MAX + 8 => MODULUS_BYTES_MAX,
        around => around,
    })
}

fn check_modulus_bytes(bytes: usize) -> Result<(), KeyError> {
    match bytes {
        ..MODULUS_BYTES_MIN => Err(KeyError::Unreadable(
            "the RSA key has fewer than 2048 bits; make a longer one",
        )),
        MODULUS_BYTES_MIN..=MODULUS_BYTES_MAX => Ok(()),
        _ => Err(KeyError::Unreadable(
            "the RSA key has more than 8192 bits; make a shorter one",
        )),
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}
